"""The gateway's callbacks over HTTP."""

import json

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.gateways import payment as gateway
from portal.models import Payment
from tests.fixtures import people
from tests.web.acts import a_world

ADDRESS = "/gateway/callbacks"


def call(client: FlaskClient, app: Flask, key: str | None, **headers: str) -> int:
    """Send a signed callback about this key. Returns the status of the response."""
    body = json.dumps({"type": "charge.reversed", "key": key}).encode()
    with app.app_context():
        signed = {**gateway.active().signed(body), **headers}
    return client.post(ADDRESS, data=body, headers=signed, content_type="application/json").status_code


def payment_of(app: Flask, payment: int) -> Payment:
    with app.app_context():
        return people.payment_of(payment)


def test_a_repeated_callback_about_a_bounced_charge_reverses_it_once(app: Flask, client: FlaskClient) -> None:
    _, payment = a_world(app)
    key = payment_of(app, payment).gateway_key
    assert call(client, app, key) == 204
    assert payment_of(app, payment).state == "succeeded", "the gateway reports no bounce yet"
    with app.app_context():
        gateway.active().bounce(key or "")
    assert [call(client, app, key) for _ in range(2)] == [204, 204]
    assert payment_of(app, payment).state == "reversed"


def test_a_callback_settles_a_payment_of_unknown_outcome(app: Flask, client: FlaskClient) -> None:
    plan, _ = a_world(app)
    with app.app_context():
        row = people.installments_of(plan)[1]
        lost = people.pay(row.id, row.customer_id, "card_lost_charged").id
    assert call(client, app, payment_of(app, lost).gateway_key) == 204
    assert payment_of(app, lost).state == "succeeded"


def test_an_unsigned_or_malformed_callback_changes_nothing(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, payment = a_world(app)
    key = payment_of(app, payment).gateway_key
    with app.app_context():
        gateway.active().bounce(key or "")
        old = "t=1000000000,v1=" + "0" * 64
    for signature in ("", "x", old, "t=9,v1=zz", "t=1,v1=\u0663"):
        assert call(client, app, key, **{"Qist-Signature": signature.encode().decode("latin-1")}) == 401
    for odd in (b"", b"[]", b"{}", b'{"key": 5}', b'{"key": "a b"}', b"\xff", b"[" * 5000):
        with app.app_context():
            response = client.post(ADDRESS, data=odd, headers=gateway.active().signed(odd))
        assert response.status_code == 400, odd[:20]
    assert call(client, app, "nobodys-key") == 204
    assert client.post(ADDRESS, data=b"x" * 9000).status_code == 413
    assert client.get(ADDRESS).status_code == 405
    assert payment_of(app, payment).state == "succeeded"
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", True)
    assert call(client, app, key) == 204, "callbacks are exempt from CSRF tokens"
    assert payment_of(app, payment).state == "reversed"


def test_callbacks_are_rate_limited(client: FlaskClient, limits: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.web.rate_limits.CALLBACKS", "2 per minute")
    responses = [client.post(ADDRESS, data=b"{}") for _ in range(3)]
    assert [response.status_code for response in responses] == [401, 401, 429]
    assert int(responses[2].headers["Retry-After"]) > 0
