"""Every error at an address of the API is a problem document, and nothing is written."""

import dataclasses
import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask

from portal.extensions import db
from portal.models import Plan, User
from portal.reports.merchants import dashboard
from portal.services.accounts import accounts, sessions
from tests.api import Api, a_name, create_plan, customer, merchant, problem
from tests.fixtures import people
from tests.fixtures.people import PASSWORD

ADDRESSES = ("/api/plans/", "/auth/me/", "/token/", "/api/nothing/", "/auth/nothing", "/token/nothing", "/api/")
TERMS = {
    "customer_email": "omar@example.com",
    "total_amount": "100.00",
    "num_installments": 3,
    "start_date": "2026-08-31",
}


@pytest.fixture
def amal(api: Api) -> Api:
    return merchant(api).api


def plan_count(app: Flask) -> int:
    with app.app_context():
        return db.session.query(Plan).count()


def test_an_address_that_is_not_there(api: Api) -> None:
    for address in (
        "/api/nothing/",
        "/api/plans/abc/",
        "/api/plans/-1/",
        "/auth/nothing",
        "/token/x",
        "/api//nothing/",
    ):
        problem(api.get(address), 404, "not_found")
    for address in ("/api", "/auth", "/auth/", "/token/nothing"):
        assert problem(api.get(address), 404, "not_found")
        assert api.get(address).headers["Cache-Control"] == "no-store"
    for address in ("/nothing", "/tokens", "/apis/plans", "/token-refresh/", "/authors"):
        response = api.get(address)
        assert (response.status_code, response.headers["Content-Type"]) == (404, "text/html; charset=utf-8"), address


def test_a_method_that_is_not_there(api: Api, amal: Api) -> None:
    for method, address in (("DELETE", "/api/plans/"), ("PUT", "/token/"), ("PATCH", "/auth/me/"), ("GET", "/token/")):
        response = amal.call(method, address)
        problem(response, 405, "method_not_allowed")
        assert "OPTIONS" in response.headers["Allow"]


def test_no_token_and_bad_ones(api: Api) -> None:
    for header in ("", "Basic YTpi", "Bearer", "Bearer ", "Token x"):
        response = api.get("/auth/me/", Authorization=header)
        problem(response, 401, "no_token")
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="qist"'
    for token in ("x", "a.b.c", "qist_x", "qist_aaaaaaaaaa." + "A" * 43, "A" * 4000, "Bearer x"):
        response = api.get("/auth/me/", Authorization=f"Bearer {token}")
        problem(response, 401, "bad_token")
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="qist", error="invalid_token"'
    wrong = api.post("/token/", {"username": "nobody", "password": "not this one"})
    problem(wrong, 401, "bad_credentials")
    assert wrong.headers["WWW-Authenticate"] == 'Bearer realm="qist"'


def test_the_session_cookie_is_ignored(api: Api) -> None:
    omar = customer(api)
    signed_in = api.session.post(
        f"{api.url}/login", data={"login": omar.username, "password": PASSWORD}, allow_redirects=False
    )
    assert signed_in.status_code == 303 and api.session.cookies
    problem(api.get("/auth/me/"), 401, "no_token")
    problem(api.post("/api/plans/", TERMS), 401, "no_token")


BODY_THAT_DOES_NOT_SAY_IT_IS_JSON = [
    ("text/plain", b'{"a": 1}'),
    ("application/x-www-form-urlencoded", b"username=amal&password=x"),
    ("multipart/form-data; boundary=x", b"--x--"),
    ("application/json; charset=utf-16", '{"a": 1}'.encode("utf-16")),
    ("application/xml", b"<a/>"),
    ("", b"{}"),
]


def test_a_body_that_does_not_say_it_is_json(api: Api, amal: Api) -> None:
    for kind, body in BODY_THAT_DOES_NOT_SAY_IT_IS_JSON:
        for address in ("/token/", "/auth/register/", "/api/plans/"):
            problem(amal.post(address, body, Content_Type=kind), 415, "not_json")


BODY_THAT_CAN_NOT_BE_READ = [
    b"{",
    b"{'a': 1}",
    b'{"a": NaN}',
    b'{"a": 01}',
    b"\xff\xfe",
    b'{"username": "\xff"}',
    b'{"username": "\\ud800"}',
    b'{"username": "\\x"}',
    b'{"total_amount": 1e999}',
    b'{"a":' * 50_000,
    b'{"username": "a"} {}',
    b"\xef\xbb\xbf{}",
]


def test_a_body_that_can_not_be_read(api: Api, amal: Api, app: Flask) -> None:
    for body in BODY_THAT_CAN_NOT_BE_READ:
        for address in ("/token/", "/auth/register/", "/api/plans/"):
            response = amal.post(address, body, Content_Type="application/json")
            assert response.status_code in (400, 413, 422), response.text
            problem(response, response.status_code, response.json()["code"])
        assert plan_count(app) == 0


BODY_THAT_IS_NO_OBJECT = [[], "x", 1, None, True]


def test_a_body_that_is_no_object(amal: Api) -> None:
    for body in BODY_THAT_IS_NO_OBJECT:
        response = amal.post("/api/plans/", json.dumps(body).encode(), Content_Type="application/json")
        assert problem(response, 422, "not_an_object")["errors"][0]["pointer"] == "#"


def test_a_body_that_is_too_large(api: Api, amal: Api) -> None:
    for address in ("/token/", "/auth/register/", "/api/plans/"):
        huge = b'{"username": "' + b"a" * 1_000_000 + b'"}'
        problem(amal.post(address, huge, Content_Type="application/json"), 413, "too_large")


def test_a_body_in_chunks(api: Api) -> None:
    omar = customer(api)
    host = urlsplit(api.url).netloc
    connection = http.client.HTTPConnection(host, timeout=60)
    body = json.dumps({"username": omar.username, "password": PASSWORD}).encode()
    connection.request(
        "POST", "/token/", iter([body[:10], body[10:]]), {"Content-Type": "application/json"}, encode_chunked=True
    )
    assert connection.getresponse().status == 200


def test_every_fault_at_once(amal: Api, app: Flask) -> None:
    response = amal.post(
        "/api/plans/",
        {
            "customer_email": "nobody",
            "total_amount": "1e3",
            "num_installments": 61,
            "start_date": "2026-02-30",
            "interval": "yearly",
            "status": "completed",
            "merchant": 1,
            "metadata": {"a": 5},
            "external_id": "",
        },
    )
    codes = {fault["pointer"]: fault["code"] for fault in problem(response, 422, "invalid")["errors"]}
    assert codes == {
        "#/customer_email": "bad_email",
        "#/total_amount": "bad_amount",
        "#/num_installments": "bad_number",
        "#/start_date": "bad_date",
        "#/interval": "wrong_type",
        "#/status": "unknown_field",
        "#/merchant": "unknown_field",
        "#/metadata/a": "wrong_type",
        "#/external_id": "required",
    }
    missing = {fault["pointer"] for fault in problem(amal.post("/api/plans/"), 422, "invalid")["errors"]}
    assert missing == {"#/customer_email", "#/total_amount", "#/num_installments", "#/start_date"}
    assert plan_count(app) == 0


def test_every_fault_of_a_registration_at_once(api: Api, app: Flask) -> None:
    response = api.post("/auth/register/", {"username": "a b", "email": "x", "password": "short", "password2": "other"})
    codes = {fault["pointer"]: fault["code"] for fault in problem(response, 422, "invalid")["errors"]}
    assert codes == {
        "#/username": "bad_username",
        "#/email": "bad_email",
        "#/password": "password_too_short",
        "#/password2": "passwords_differ",
        "#/role": "unknown_role",
    }
    role = {"username": "eve", "email": "eve@example.com", "password": PASSWORD, "password2": PASSWORD}
    problem(api.post("/auth/register/", {**role, "role": "operator"}), 422, "unknown_role")
    problem(api.post("/auth/register/", {**role, "role": "customer", "is_staff": True}), 422, "unknown_field")
    with app.app_context():
        assert db.session.query(User).count() == 0


AMOUNTS_THAT_ARE_READ_FROM_THEIR_TEXT = ['"100.00"', '"100"', "100", "100.0", "100.00", '"00100.5"']


def test_amounts_that_are_read_from_their_text(app: Flask, amal: Api) -> None:
    with app.app_context():
        people.omar()
    for text in AMOUNTS_THAT_ARE_READ_FROM_THEIR_TEXT:
        body = json.dumps({**TERMS, "total_amount": "AMOUNT"}).replace('"AMOUNT"', text)
        response = amal.post("/api/plans/", body.encode(), Content_Type="application/json")
        assert response.status_code == 201
        assert response.json()["total_amount"] == ("100.50" if "5" in text else "100.00")


AMOUNTS_THAT_ARE_REFUSED = [
    "1e3",
    "1E2",
    "-1",
    "-0",
    "0",
    "0.00",
    "0.001",
    "100.001",
    "100.0000000000000001",
    "10000000000000.01",
    "9223372036854775808",
    "1" * 400,
    "true",
    "null",
    "[]",
    "{}",
    '""',
    '" 100"',
    '"+100"',
    '"1,000.00"',
    '"١٠٠"',
    '"NaN"',
    '"Infinity"',
    '"1e3"',
    '"0x64"',
    '"100\\u0000"',
    '"100 "',
    '".5"',
    '"5."',
]


def test_amounts_that_are_refused(amal: Api, app: Flask) -> None:
    for text in AMOUNTS_THAT_ARE_REFUSED:
        body = json.dumps({**TERMS, "total_amount": "AMOUNT"}).replace('"AMOUNT"', text)
        response = amal.post("/api/plans/", body.encode(), Content_Type="application/json")
        assert response.status_code == 422, response.text
        assert response.json()["errors"][0]["pointer"] == "#/total_amount"
        assert plan_count(app) == 0


def test_a_number_keeps_every_digit(api: Api) -> None:
    amal = merchant(api).api
    body = json.dumps({**TERMS, "total_amount": "AMOUNT", "num_installments": 1}).replace(
        '"AMOUNT"', "9999999999999.99"
    )
    response = amal.post("/api/plans/", body.encode(), Content_Type="application/json")
    assert response.json()["total_amount"] == "9999999999999.99"


COUNTS_THAT_ARE_REFUSED = ["0", "61", "-1", "3.0", "3.5", '"3.0"', "1e1", "true", '"٣"', '" 3"', "99999999999", "[3]"]


def test_counts_that_are_refused(amal: Api) -> None:
    for text in COUNTS_THAT_ARE_REFUSED:
        body = json.dumps({**TERMS, "num_installments": "COUNT"}).replace('"COUNT"', text)
        response = amal.post("/api/plans/", body.encode(), Content_Type="application/json")
        assert [fault["pointer"] for fault in response.json()["errors"]] == ["#/num_installments"]


DATES_THAT_ARE_REFUSED = [
    "31-08-2026",
    "2026-8-31",
    "2026-02-30",
    "1999-12-31",
    "2200-01-01",
    "20260831",
    "2026-08-31T00:00:00Z",
    "٢٠٢٦-٠٨-٣١",
    "2199-12-31",
]


def test_dates_that_are_refused(amal: Api) -> None:
    for text in DATES_THAT_ARE_REFUSED:
        response = amal.post("/api/plans/", {**TERMS, "start_date": text})
        assert [fault["pointer"] for fault in response.json()["errors"]] == ["#/start_date"]
        assert response.status_code == 422


def test_text_that_no_column_holds(amal: Api, api: Api) -> None:
    for field in ("customer_email", "description", "external_id"):
        response = amal.post("/api/plans/", {**TERMS, field: "a\x00b"})
        assert response.status_code == 422 and response.json()["errors"][0]["pointer"] == f"#/{field}"
    assert amal.post("/api/plans/", {**TERMS, "metadata": {"a": "\x00"}}).status_code == 422
    problem(api.post("/token/", {"username": "a\x00", "password": "b"}), 422, "bad_text")
    problem(amal.get("/api/plans/?customer_email=%00"), 422, "bad_text")


PARAMETERS_THAT_ARE_REFUSED = [
    "limit=0",
    "limit=201",
    "limit=x",
    "limit=1&limit=2",
    "limit=",
    "cursor=x",
    "cursor=%00",
    "cursor=W10",
    "status=paid",
    "sort=total",
]


def test_parameters_that_are_refused(amal: Api) -> None:
    for query in PARAMETERS_THAT_ARE_REFUSED:
        response = amal.get(f"/api/plans/?{query}")
        assert response.status_code == 422
        assert response.json()["errors"][0]["pointer"] == f"#/{query.partition('=')[0]}"


def test_an_internal_error_discloses_nothing(app: Flask, amal: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("the secret sauce")

    monkeypatch.setattr(dashboard, "figures", broken)
    response = amal.get("/api/analytics/dashboard/")
    problem(response, 500, "internal_error")
    assert "sauce" not in response.text


def test_an_internal_error_at_sign_in_discloses_nothing(app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("the secret sauce")

    monkeypatch.setattr(sessions, "authenticate", broken)
    monkeypatch.setattr(accounts, "register", broken)
    account = {"username": "nora", "email": "nora@example.com", "password": PASSWORD, "password2": PASSWORD}
    for base in ("", "/api"):
        for path, body in (
            ("/token/", {"username": "nora", "password": PASSWORD}),
            ("/auth/register/", {**account, "role": "customer"}),
        ):
            response = api.post(base + path, body)
            problem(response, 500, "internal_error")
            assert "sauce" not in response.text and PASSWORD not in response.text


def test_a_password_never_comes_back(api: Api) -> None:
    secret = "my own secret phrase"
    for body in ({"username": 5, "password": secret}, {"username": "x", "password": [secret]}, {"pasword": secret}):
        assert secret not in api.post("/token/", body).text
    sent = {"username": "a b", "email": "x", "password": secret, "password2": "y", "role": secret}
    assert secret not in api.post("/auth/register/", sent).text


def test_pages_of_named_origins_may_call(app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, request_method = "https://shop.example", {"Access_Control_Request_Method": "POST"}
    without = api.get("/api/plans/", Origin=shop).headers
    assert "Access-Control-Allow-Origin" not in without and without["Vary"] == "Accept-Encoding"
    settings = dataclasses.replace(app.config["QIST"], cors_origins=(shop,))
    monkeypatch.setitem(app.config, "QIST", settings)
    for address in ADDRESSES:
        response = api.get(address, Origin=shop)
        assert response.headers["Access-Control-Allow-Origin"] == shop
        assert "Access-Control-Allow-Credentials" not in response.headers
        assert "Origin" in response.headers["Vary"]
    preflight = api.call("OPTIONS", "/api/plans/", Origin=shop, **request_method)
    assert preflight.status_code == 200
    assert "Idempotency-Key" in preflight.headers["Access-Control-Allow-Headers"]
    stranger = api.call("OPTIONS", "/api/plans/", Origin="https://evil.example", **request_method)
    assert "Access-Control-Allow-Origin" not in stranger.headers
    assert "Access-Control-Allow-Origin" not in api.get("/login", Origin=shop).headers


def test_answers_are_never_kept_by_caches(api: Api) -> None:
    amal = merchant(api)
    create_plan(amal, f"{a_name('omar')}@example.com")
    for address in ("/api/plans/", "/auth/me/", "/api/nothing"):
        assert amal.api.get(address).headers["Cache-Control"] == "no-store"
