"""Sign-in over the API: refused tokens, the end of tokens, read-only keys, and rate limits."""

from typing import Any

import pytest
import redis
import time_machine
from flask import Flask

from portal.config import Settings
from portal.domain import clock
from portal.domain.permissions import GIVEN_TO_KEYS
from portal.extensions import db
from portal.models import User
from portal.services.accounts import api_keys
from portal.services.accounts.tokens import Pair
from portal.services.security import second_factors
from portal.web_extensions import limiter
from tests.api import Api, a_name, create_plan, customer, merchant, problem, sign_in
from tests.fixtures import people
from tests.fixtures.live import Live
from tests.fixtures.people import PASSWORD
from tests.services.accounts.test_tokens import forged
from tests.services.security import factors


def set_settings(app: Flask, monkeypatch: pytest.MonkeyPatch, **changed: Any) -> None:
    before: Settings = app.config["QIST"]
    monkeypatch.setitem(app.config, "QIST", type(before)(**{**fields_of(before), **changed}))


def fields_of(settings: Settings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__slots__}


def test_every_forged_token_is_401(app: Flask, api: Api) -> None:
    omar = customer(api)
    assert omar.api.token
    with app.app_context():
        attacks = forged(Pair(omar.api.token, omar.refresh))
    for name, token in attacks.items():
        response = api.get("/auth/me/", Authorization=f"Bearer {token}".encode())  # type: ignore[arg-type]
        assert response.status_code == 401, name
        if name != "a refresh token":
            problem(api.post("/token/refresh/", {"refresh": token}), 401, "bad_token")
    assert omar.api.get("/auth/me/").status_code == 200


def test_an_email_is_one_account_in_every_case_of_its_ascii_letters(api: Api) -> None:
    mine = {"username": "ΑΣA@example.com", "email": "ΑΣa@example.com"}
    rest = {"password": PASSWORD, "password2": PASSWORD, "role": "customer"}
    refusal = problem(
        api.post("/auth/register/", {**mine, **rest, "email": "omar@example.com"}), 422, "username_is_email"
    )
    assert refusal["errors"][0]["pointer"] == "#/username"
    assert api.post("/auth/register/", {**mine, **rest}).status_code == 201
    again = {"username": "aspa", "email": "ΑΣA@Example.com"}
    problem(api.post("/auth/register/", {**again, **rest}), 422, "email_taken")
    assert api.post("/token/", {"username": "ΑΣA@example.COM", "password": PASSWORD}).status_code == 200
    problem(api.post("/token/", {"username": "Αςa@example.com", "password": PASSWORD}), 401, "bad_credentials")


@pytest.mark.parametrize("length", [4_000, 10_240, 16_000])
def test_an_overlong_token_is_401_through_the_real_server(live: Live, length: int) -> None:
    nobody = Api(live.url, "A" * length)
    for address in ("/auth/me/", "/api/plans/"):
        problem(nobody.get(address), 401, "bad_token")
    problem(nobody.post("/token/refresh/", {"refresh": "A" * length}), 401, "bad_token")


def test_a_refresh_token_that_was_used_ends_the_family(api: Api) -> None:
    omar = customer(api)
    with time_machine.travel(clock.now(), tick=True) as now:
        second = api.post("/token/refresh/", {"refresh": omar.refresh}).json()
        now.shift(61)
        assert api.as_(second["access"]).get("/auth/me/").status_code == 200
        problem(api.post("/token/refresh/", {"refresh": omar.refresh}), 401, "bad_token")
        problem(api.as_(second["access"]).get("/auth/me/"), 401, "bad_token")
        problem(api.post("/token/refresh/", {"refresh": second["refresh"]}), 401, "bad_token")


def test_a_sign_in_is_revoked_by_its_refresh_token(api: Api) -> None:
    omar = customer(api)
    for refresh in (omar.refresh, omar.refresh, "unknown"):
        assert api.post("/token/revoke/", {"refresh": refresh}).status_code == 204
    problem(omar.api.get("/auth/me/"), 401, "bad_token")
    problem(api.post("/token/refresh/", {"refresh": omar.refresh}), 401, "bad_token")
    problem(api.post("/token/revoke/", {}), 422, "required")


def test_a_new_password_on_the_page_ends_api_tokens(app: Flask, api: Api) -> None:
    omar = customer(api)
    browser = app.test_client()
    browser.post("/login", data={"login": omar.username, "password": PASSWORD})
    new = "eight green boats"
    fields = {"current_password": PASSWORD, "new_password": new, "new_password2": new, "confirm": new}
    changed = browser.post("/account/password", data=fields)
    if changed.status_code == 404:
        changed = browser.post("/password", data=fields)
    assert changed.status_code == 303, changed.text
    problem(omar.api.get("/auth/me/"), 401, "bad_token")
    problem(api.post("/token/refresh/", {"refresh": omar.refresh}), 401, "bad_token")


def test_a_deactivated_user_is_signed_out_everywhere(app: Flask, api: Api) -> None:
    amal = merchant(api)
    with app.app_context():
        key = api_keys.create(people.owner(amal.id), name="Web shop", given=GIVEN_TO_KEYS)
        db.session.get_one(User, amal.id).deactivated_at = clock.now()
        db.session.commit()
    problem(amal.api.get("/auth/me/"), 401, "bad_token")
    problem(api.as_(key).get("/auth/me/"), 401, "bad_token")
    problem(api.post("/token/", {"username": amal.username, "password": "not this one"}), 401, "bad_credentials")
    problem(api.post("/token/", {"username": amal.username, "password": PASSWORD}), 403, "account_deactivated")


def test_unknown_names_and_wrong_passwords_are_answered_alike(api: Api) -> None:
    omar = customer(api)
    wrong = api.post("/token/", {"username": omar.username, "password": "not this one"})
    unknown = api.post("/token/", {"username": "nobody-at-all", "password": "not this one"})
    assert wrong.content == unknown.content
    problem(wrong, 401, "bad_credentials")


def test_a_read_only_key_can_not_write(app: Flask, api: Api) -> None:
    amal, omar = merchant(api), customer(api)
    with app.app_context():
        reads, writes = (
            api_keys.create(people.owner(amal.id), name="Shop", given=given) for given in ((), GIVEN_TO_KEYS)
        )
    terms = {"total_amount": "9.00", "num_installments": 3, "start_date": "2026-08-31"}
    reader, writer = api.as_(reads), api.as_(writes)
    assert writer.post("/api/plans/", {**terms, "customer_email": omar.email}).status_code == 201
    assert len(reader.get("/api/plans/").json()) == 1
    assert reader.post("/api/plans/preview/", terms).status_code == 200
    problem(reader.post("/api/plans/", {**terms, "customer_email": omar.email}), 403, "read_only_key")
    assert reader.get("/auth/me/").json()["id"] == amal.id
    assert len(reader.get("/api/plans/").json()) == 1


def test_guessing_one_accounts_password_is_slowed_down(api: Api, limits: None) -> None:
    omar = customer(api)
    for name in [omar.username, omar.username.upper()] * 5:
        problem(api.post("/token/", {"username": name, "password": "not this one"}), 401, "bad_credentials")
    response = api.post("/token/", {"username": omar.username, "password": PASSWORD})
    problem(response, 429, "too_many_requests")
    assert 1 <= int(response.headers["Retry-After"]) <= 901
    assert sign_in(api, {"id": 0, "email": "", "username": customer(api).username}).id == 0


def test_correct_passwords_do_not_count_towards_the_limit(api: Api, limits: None) -> None:
    omar = customer(api)
    for _ in range(15):
        assert api.post("/token/", {"username": omar.username, "password": PASSWORD}).status_code == 200


def test_signing_in_from_one_address_is_limited(api: Api, limits: None) -> None:
    codes = [api.post("/token/", {"username": a_name("x"), "password": "y"}).status_code for _ in range(31)]
    assert codes == [401] * 30 + [429]


def test_registering_from_one_address_is_limited(api: Api, limits: None) -> None:
    codes = [api.post("/auth/register/").status_code for _ in range(31)]
    assert codes == [422] * 30 + [429]


def test_writes_are_limited_by_caller(app: Flask, api: Api, limits: None, monkeypatch: pytest.MonkeyPatch) -> None:
    amal, badr, omar = merchant(api), merchant(api), customer(api)
    set_settings(app, monkeypatch, ratelimit_writes="3 per minute")
    for _ in range(3):
        create_plan(amal, omar.email)
    response = amal.api.post("/api/plans/", {})
    problem(response, 429, "too_many_requests")
    assert 1 <= int(response.headers["Retry-After"]) <= 61
    assert amal.api.get("/api/plans/").status_code == 200
    assert create_plan(badr, omar.email)
    codes = [omar.api.call("DELETE", "/api/payment-methods/1/").status_code for _ in range(4)]
    assert codes == [404, 404, 404, 429]
    with app.app_context():
        key = api_keys.create(people.owner(amal.id), name="Shop", given=GIVEN_TO_KEYS)
    assert api.as_(key).post("/api/plans/", {}).status_code == 422


def test_without_valkey_a_stricter_limit_applies(
    app: Flask, api: Api, limits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> int:
        raise redis.ConnectionError("gone")

    monkeypatch.setattr(type(limiter._storage), "incr", away)
    monkeypatch.setattr(type(limiter._storage), "check", lambda _: False)
    workers = app.config["QIST"].web_workers
    codes = [api.post("/auth/register/").status_code for _ in range(31)]
    assert codes[0] == 422 and 500 not in codes
    assert codes.count(422) <= 30 // (2 * workers) + 1 and codes[-1] == 429


def test_an_account_with_a_second_factor_sends_its_code_once(api: Api, app: Flask) -> None:
    omar = customer(api)
    with app.app_context():
        codes = factors.turn_on(omar.id)
        code = factors.code_of(omar.id)
    login = {"username": omar.username, "password": PASSWORD}
    problem(api.post("/token/", login), 422, "second_factor_required")
    problem(api.post("/token/", login | {"code": "000000"}), 422, "wrong_code")
    assert api.post("/token/", login | {"code": code}).status_code == 200
    problem(api.post("/token/", login | {"code": code}), 422, "wrong_code")
    assert api.post("/token/", login | {"code": codes[0]}).status_code == 200
    problem(api.post("/token/", login | {"password": "no", "code": codes[1]}), 401, "bad_credentials")
    with app.app_context():
        assert second_factors.state(omar.id).codes_left == 9
