"""The gateway's callbacks, as they come over HTTP."""

import json

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.gateways import payment as gateway
from portal.models import Payment
from portal.services.payments import callbacks
from tests.fixtures import people
from tests.web.acts import a_world

ADDRESS = "/gateway/callbacks"


def call(client: FlaskClient, app: Flask, key: str | None, **headers: str) -> int:
    """Send a signed callback about this key. Returns the status of the answer."""
    body = json.dumps({"type": "charge.reversed", "key": key}).encode()
    with app.app_context():
        signed = {"Qist-Signature": callbacks.sign(body), **headers}
    return client.post(ADDRESS, data=body, headers=signed, content_type="application/json").status_code


def payment_of(app: Flask, payment: int) -> Payment:
    with app.app_context():
        return people.payment_of(payment)


def test_a_bounced_charge_is_told_once_or_twice(app: Flask, client: FlaskClient) -> None:
    _, payment = a_world(app)
    key = payment_of(app, payment).gateway_key
    assert call(client, app, key) == 204
    assert payment_of(app, payment).state == "succeeded", "the callback only says look, and nothing had happened"
    with app.app_context():
        gateway.bounce(key or "")
    assert [call(client, app, key) for _ in range(2)] == [204, 204]
    assert payment_of(app, payment).state == "reversed"


def test_a_lost_answer_is_settled_by_a_callback(app: Flask, client: FlaskClient) -> None:
    plan, _ = a_world(app)
    with app.app_context():
        row = people.installments_of(plan)[1]
        lost = people.pay(row.id, row.customer_id, "card_lost_charged").id
    assert call(client, app, payment_of(app, lost).gateway_key) == 204
    assert payment_of(app, lost).state == "succeeded"


def test_what_is_not_signed_or_not_readable_changes_nothing(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, payment = a_world(app)
    key = payment_of(app, payment).gateway_key
    with app.app_context():
        gateway.bounce(key or "")
        old = "t=1000000000,v1=" + "0" * 64
    for signature in ("", "x", old, "t=9,v1=zz", "t=1,v1=\u0663"):
        assert call(client, app, key, **{"Qist-Signature": signature.encode().decode("latin-1")}) == 401
    for odd in (b"", b"[]", b"{}", b'{"key": 5}', b'{"key": "a b"}', b"\xff", b"[" * 5000):
        with app.app_context():
            answer = client.post(ADDRESS, data=odd, headers={"Qist-Signature": callbacks.sign(odd)})
        assert answer.status_code == 400, odd[:20]
    assert call(client, app, "nobodys-key") == 204
    assert client.post(ADDRESS, data=b"x" * 9000).status_code == 413
    assert client.get(ADDRESS).status_code == 405
    assert payment_of(app, payment).state == "succeeded"
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", True)
    assert call(client, app, key) == 204, "it needs no token of a session"
    assert payment_of(app, payment).state == "reversed"


def test_who_calls_too_often_has_to_wait(client: FlaskClient, limits: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.web.rate_limits.CALLBACKS", "2 per minute")
    answers = [client.post(ADDRESS, data=b"{}") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert int(answers[2].headers["Retry-After"]) > 0
