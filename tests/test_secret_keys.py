"""A changed SECRET_KEY: what a previous key signed still works, and new signatures are of the new key."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.config import Settings
from portal.extensions import db
from portal.gateways.payment.protocol import BadSignature, PaymentGateway
from portal.gateways.payment.registry import GATEWAYS
from portal.models import Invitation, User
from portal.services.accounts import proofs, tokens
from portal.services.accounts.proofs import Asker
from portal.services.plans import invitations
from portal.services.reminders import unsubscribe
from tests.fixtures import people
from tests.fixtures.proofs import confirming, mailed
from tests.services.accounts import a_browser, register
from tests.web import sign_in

NEW = "an-entirely-other-key-9876543210-zyxwvutsrq"


def made(settings: Settings) -> PaymentGateway:
    return GATEWAYS["simulated"](settings)


@contextmanager
def rotated(app: Flask, *, kept: bool = True) -> Iterator[None]:
    """Inside the block SECRET_KEY is NEW, and the key of the tests is a previous one if `kept`."""
    before, config = app.config["QIST"], dict(app.config)
    previous = before.secret_keys if kept else ()
    app.config["QIST"] = dataclasses.replace(before, secret_key=NEW, secret_keys_previous=previous)
    app.config.update(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=list(previous), WTF_CSRF_SECRET_KEY=[*previous, NEW])
    try:
        yield
    finally:
        app.config.update({name: config[name] for name in ("QIST", "SECRET_KEY", "SECRET_KEY_FALLBACKS")})
        app.config["WTF_CSRF_SECRET_KEY"] = config["WTF_CSRF_SECRET_KEY"]


def test_a_browser_stays_signed_in_until_the_previous_key_is_removed(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        people.omar()
    sign_in(client, "omar")
    with rotated(app, kept=False):
        assert client.get("/home").status_code == 303
    assert sign_in(client, "omar").location == "/home"
    with rotated(app):
        assert client.get("/home").status_code == 200


@pytest.mark.usefixtures("context")
class TestServices:
    def test_api_tokens(self, app: Flask, omar: int) -> None:
        pair = tokens.start(omar)
        with rotated(app):
            assert tokens.find(pair.access).user_id == omar
            fresh = tokens.refresh(pair.refresh)
        with rotated(app, kept=False):
            assert tokens.find(fresh.access).user_id == omar
            with pytest.raises(tokens.BadToken):
                tokens.find(pair.access)

    def test_invitation_links(self, app: Flask, amal: int) -> None:
        plan = people.a_plan(amal, "nadia@example.com")
        link = db.session.scalars(
            db.select(Invitation).where(Invitation.plan_id == plan, Invitation.kind == "customer")
        ).one()
        token = people.token_of(plan)
        with rotated(app):
            assert invitations.token_of(link) == token
        with rotated(app, kept=False):
            assert invitations.token_of(link) is None

    def test_unsubscribe_links(self, app: Flask, omar: int) -> None:
        token = unsubscribe.token_of(omar)
        with rotated(app):
            assert unsubscribe.customer_of(token) == db.session.get_one(User, omar)
            fresh = unsubscribe.token_of(omar)
        with rotated(app, kept=False):
            assert unsubscribe.customer_of(token) is None
            assert unsubscribe.customer_of(fresh) is not None

    def test_codes_of_proofs(self, app: Flask) -> None:
        with confirming(app):
            nadia = register()
            _, asker = a_browser(nadia)
            proofs.ask(nadia, Asker(asker.address, asker.session_id))
            code = mailed("nadia@example.com").code
            with rotated(app):
                assert proofs.prove(nadia, code, session_id=asker.session_id) == nadia

    def test_callbacks_of_the_simulated_gateway(self, app: Flask) -> None:
        settings = app.config["QIST"]
        body = b'{"key": "abc"}'
        headers = made(settings).signed(body)
        new = dataclasses.replace(settings, secret_key=NEW)
        with pytest.raises(BadSignature):
            made(new).callback_key(body, headers)
        kept = dataclasses.replace(new, secret_keys_previous=settings.secret_keys)
        assert made(kept).callback_key(body, headers) == "abc"
