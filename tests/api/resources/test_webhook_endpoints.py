"""Webhook endpoints over the API: made, changed, rotated, deleted, and the log of what was sent."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask

from portal.domain import clock
from portal.jobs import tasks
from portal.services.webhooks.endpoints import LIVE_MAX
from tests.api import Api, Person, create_plan, merchant, problem
from tests.fixtures.webhooks import receiving

ALL = "/api/webhook-endpoints/"
SHOP = "https://shop.example.com/hooks"


def make(amal: Person, url: str = SHOP, **more: object) -> dict:
    response = amal.api.post(ALL, {"url": url, **more})
    assert response.status_code == 201, response.text
    made: dict = response.json()
    assert response.headers["Location"] == f"{ALL}{made['id']}/"
    return made


def test_a_secret_is_shown_once(amal: Person) -> None:
    made = make(amal, types=["payment.succeeded", "plan.created"])
    assert made["secret"].startswith("whsec_") and made["types"] == ["plan.created", "payment.succeeded"]
    without = {name: value for name, value in made.items() if name != "secret"}
    assert amal.api.get(ALL).json() == [without] == [amal.api.get(f"{ALL}{made['id']}/").json()]
    rotated = amal.api.post(f"{ALL}{made['id']}/rotate/").json()
    assert rotated["secret"] not in ("", made["secret"]) and rotated["old_secret_until"]


def test_a_scheme_in_capitals_is_accepted(amal: Person) -> None:
    made = make(amal, "HTTPS://shop.example.com/Hooks")
    assert made["url"] == "https://shop.example.com/Hooks"
    changed = amal.api.call("PATCH", f"{ALL}{made['id']}/", {"url": "Https://shop.example.com/"})
    assert (changed.status_code, changed.json()["url"]) == (200, "https://shop.example.com/")


def test_an_old_sign_in_makes_moves_and_rotates_nothing(amal: Person) -> None:
    """A stolen refresh token can't send the events elsewhere: an exchange does not make the sign-in fresh."""
    one = f"{ALL}{make(amal)['id']}/"
    with time_machine.travel(clock.now() + timedelta(minutes=14)):
        pair = amal.api.post("/token/refresh/", {"refresh": amal.refresh}).json()
        assert amal.api.as_(pair["access"]).post(f"{one}rotate/").status_code == 200
    with time_machine.travel(clock.now() + timedelta(minutes=16)):
        pair = amal.api.post("/token/refresh/", {"refresh": pair["refresh"]}).json()
        old = amal.api.as_(pair["access"])
        problem(old.post(ALL, {"url": SHOP}), 403, "fresh_sign_in_needed")
        problem(old.call("PATCH", one, {"url": f"{SHOP}/2"}), 403, "fresh_sign_in_needed")
        problem(old.post(f"{one}rotate/"), 403, "fresh_sign_in_needed")
        assert old.call("PATCH", one, {"enabled": False}).json()["enabled"] is False
        assert [row["url"] for row in old.get(ALL).json()] == [SHOP]


def test_an_endpoint_is_changed_turned_off_and_deleted(amal: Person) -> None:
    one = f"{ALL}{make(amal)['id']}/"
    changed = amal.api.call("PATCH", one, {"url": f"{SHOP}/2", "types": ["plan.created"]}).json()
    assert (changed["url"], changed["types"], changed["enabled"]) == (f"{SHOP}/2", ["plan.created"], True)
    off = amal.api.call("PATCH", one, {"enabled": False}).json()
    assert (off["enabled"], off["disabled_for"], off["url"]) == (False, "owner", f"{SHOP}/2")
    assert amal.api.call("PATCH", one, {"enabled": True}).json()["enabled"] is True
    assert amal.api.call("DELETE", one).status_code == 204
    problem(amal.api.get(one), 404, "not_found")
    assert amal.api.get(ALL).json() == []


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({}, "required", "#/url"),
        ({"url": "http://shop.example.com/"}, "not_https", "#/url"),
        ({"url": "https://10.0.0.1/"}, "refused_address", "#/url"),
        ({"url": "shop"}, "bad_url", "#/url"),
        ({"url": SHOP, "types": ["plan.painted"]}, "wrong_type", "#/types"),
        ({"url": SHOP, "secret": "mine"}, "unknown_field", "#/secret"),
    ],
)
def test_a_wrong_field_is_refused(amal: Person, body: dict, code: str, pointer: str) -> None:
    (fault,) = problem(amal.api.post(ALL, body), 422, code)["errors"]
    assert fault["pointer"].startswith(pointer)
    assert amal.api.get(ALL).json() == []


def test_the_number_of_endpoints_is_limited(amal: Person) -> None:
    for _ in range(LIVE_MAX):
        make(amal)
    problem(amal.api.post(ALL, {"url": SHOP}), 409, "too_many_endpoints")


def test_the_log_shows_each_attempt_and_sends_again(app: Flask, api: Api, amal: Person, omar: Person) -> None:
    with receiving(lambda receiver: 500 if len(receiver.got) == 1 else 200) as receiver:
        log = f"{ALL}{make(amal, receiver.url)['id']}/deliveries/"
        create_plan(amal, omar.email)
        (waiting,) = amal.api.get(log).json()
        assert (waiting["state"], waiting["type"], waiting["attempts"]) == ("waiting", "plan.created", [])
        problem(amal.api.post(f"{log}{waiting['event']}/send/"), 409, "delivery_waiting")
        with app.app_context():
            tasks.deliver_webhooks()
        (tried,) = amal.api.get(f"{log}?status=waiting").json()
        assert [(one["status"], one["problem"], one["response"]) for one in tried["attempts"]] == [(500, None, "ok")]
        assert receiver.names == [tried["event"]]
        assert amal.api.get(f"{log}?state=failed").json() == []
        amal.api.call("PATCH", log.removesuffix("deliveries/"), {"enabled": False})
        problem(amal.api.post(f"{log}{tried['event']}/send/"), 409, "endpoint_disabled")
        amal.api.call("PATCH", log.removesuffix("deliveries/"), {"enabled": True})
        again = amal.api.post(f"{log}{tried['event']}/send/")
        assert (again.status_code, again.json(), again.headers["Location"]) == (202, {"event": tried["event"]}, log)
        with app.app_context():
            tasks.deliver_webhooks()
        assert amal.api.get(log).json()[0]["state"] == "delivered" and receiver.names == [tried["event"]] * 2
    badr = merchant(api)
    problem(badr.api.get(log), 404, "not_found")
    problem(amal.api.post(f"{log}evt_{0:032x}/send/"), 404, "not_found")
    problem(amal.api.get(f"{ALL}we_1/"), 404, "not_found")
