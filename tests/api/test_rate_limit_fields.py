"""The fields RateLimit and RateLimit-Policy, and the security event above RATELIMIT_LOGIN."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.extensions import db
from portal.models import SecurityEvent
from portal.web_extensions import limiter
from tests.api import Api, Person, create_plan, merchant
from tests.fixtures.people import PASSWORD

MEMBER = re.compile(r'"([a-z-]+)";(?:q=([0-9]+);w=([0-9]+)|r=([0-9]+);t=([0-9]+))')


@pytest.fixture
def limited(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Turns the limits on, with other settings."""

    def turn_on(**settings: str) -> None:
        monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], **settings))
        limiter.reset()
        monkeypatch.setattr(limiter, "enabled", True)

    yield turn_on
    limiter.reset()


def fields(response: Any) -> tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int]]]:
    """Quota and window, and remaining and seconds, by the name of the limit."""
    parts = [MEMBER.findall(response.headers[name]) for name in ("RateLimit-Policy", "RateLimit")]
    policies = {name: (int(q), int(w)) for name, q, w, _, _ in parts[0]}
    rest = {name: (int(r), int(t)) for name, _, _, r, t in parts[1]}
    assert list(policies) == list(rest) and all(0 < t <= policies[name][1] for name, (_, t) in rest.items())
    return policies, rest


def test_writes_say_how_many_are_left(limited: Any, amal: Person, omar: Person) -> None:
    limited(ratelimit_writes="3 per minute")
    for left in (2, 1, 0):
        response = amal.api.post("/api/plans/", {"x": left})
        assert response.status_code == 422
        policies, rest = fields(response)
        assert policies == {"writes": (3, 60)} and rest["writes"][0] == left
    refused = amal.api.post("/api/plans/", {})
    assert refused.status_code == 429
    _, rest = fields(refused)
    assert rest["writes"] == (0, int(refused.headers["Retry-After"]))
    for response in (amal.api.get("/api/plans/"), amal.api.as_(None).post("/api/plans/", {})):
        assert "RateLimit" not in response.headers and "RateLimit-Policy" not in response.headers
    assert fields(omar.api.post("/api/payment-methods/", {"card": "card_ok"}))[1]["writes"][0] == 2, "by caller"


def test_a_sign_in_has_a_member_for_each_limit(limited: Any, api: Api, amal: Person) -> None:
    limited(ratelimit_login="5 per minute")
    wrong = api.post("/token/", {"username": amal.username, "password": "not this one"})
    policies, rest = fields(wrong)
    assert policies == {"login": (5, 60), "login-failures": (10, 900), "all-login-failures": (100, 3600)}
    assert (rest["login"][0], rest["login-failures"][0], rest["all-login-failures"][0]) == (4, 9, 99)
    right = api.post("/token/", {"username": amal.username, "password": PASSWORD})
    assert right.status_code == 200
    _, rest = fields(right)
    assert (rest["login"][0], rest["login-failures"][0]) == (3, 9), "a right password is no failure"


def test_a_limit_with_two_periods_has_two_members(limited: Any, api: Api) -> None:
    limited(ratelimit_register="2 per minute;5 per hour")
    policies, rest = fields(api.post("/auth/register/", {}))
    assert policies == {"register-minute": (2, 60), "register-hour": (5, 3600)}
    assert (rest["register-minute"][0], rest["register-hour"][0]) == (1, 4)
    for status in (422, 429):
        refused = api.post("/auth/register/", {})
        assert refused.status_code == status
    assert fields(refused)[1]["register-minute"][0] == 0


def test_no_fields_while_the_storage_is_away(limited: Any, monkeypatch: pytest.MonkeyPatch, api: Api) -> None:
    amal = merchant(api)
    limited()
    monkeypatch.setattr(limiter, "_storage_dead", True)
    monkeypatch.setattr(limiter, "_Limiter__should_check_backend", lambda: False)
    response = amal.api.post("/api/plans/", {})
    assert response.status_code == 422 and "RateLimit" not in response.headers


def test_pages_have_no_fields(limited: Any, api: Api) -> None:
    limited()
    assert "RateLimit" not in api.session.post(f"{api.url}/login", data={"login": "x", "password": "y"}).headers


def test_many_sign_ins_from_one_address_are_one_security_event_a_minute(
    limited: Any, app: Flask, api: Api, amal: Person
) -> None:
    limited(ratelimit_login="2 per minute")
    bodies = [{"username": f"nobody{number}", "password": "not this one"} for number in range(5)]
    statuses = [api.post("/token/", body).status_code for body in bodies]
    assert statuses == [401, 401, 429, 429, 429]
    page = api.session.post(f"{api.url}/login", data={"login": "x", "password": "y"})
    assert page.status_code == 429
    with app.app_context():
        events = db.session.scalars(select(SecurityEvent).where(SecurityEvent.kind == "sign_ins_limited")).all()
        assert [(event.user_id, event.address) for event in events] == [(None, "127.0.0.1")]


def test_the_fields_are_documented(app: Flask) -> None:
    document = app.test_client().get("/api/openapi.json").get_json()
    create = document["paths"]["/api/plans/"]["post"]["responses"]
    assert all({"RateLimit", "RateLimit-Policy"} <= set(create[status]["headers"]) for status in ("201", "422", "429"))
    listed = document["paths"]["/api/plans/"]["get"]["responses"]
    assert not any("RateLimit" in answer["headers"] for answer in listed.values())


def test_a_replayed_answer_has_the_fields_of_its_own_request(limited: Any, amal: Person, omar: Person) -> None:
    limited(ratelimit_writes="9 per minute")
    plan = create_plan(amal, omar.email)
    where, key = f"/api/plans/installments/{plan['installments'][0]['id']}/pay/", {"Idempotency_Key": "once"}
    left = [fields(omar.api.post(where, None, **key))[1]["writes"][0] for _ in range(2)]
    assert left == [8, 7]
