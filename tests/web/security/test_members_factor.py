"""Members of businesses who need a second factor, where the operator says so."""

import dataclasses

import pytest
from flask import Flask

from portal.errors import Refused
from portal.extensions import db
from portal.models import User
from portal.services.accounts import api_keys, tokens
from portal.services.security import second_factors
from tests.fixtures import people
from tests.services.security import factors
from tests.web import browser_of

PAGE = "/account/second-factors"


@pytest.fixture
def amal(app: Flask, database: str, monkeypatch: pytest.MonkeyPatch) -> int:
    with app.app_context():
        amal = people.amal()
    monkeypatch.setitem(app.config, "QIST", dataclasses.replace(app.config["QIST"], member_factor="required"))
    return amal


def test_a_member_without_a_factor_can_only_turn_one_on(app: Flask, amal: int) -> None:
    browser = browser_of(app, "amal")
    for path in ("/dashboard", "/plans", "/home", "/account/password", "/settings/api-keys"):
        assert browser.get(path).location == PAGE, path
    assert browser.post("/settings/closing").location == PAGE
    assert "Turn one on first" in browser.get(PAGE).text
    browser.post(f"{PAGE}/app")
    with app.app_context():
        code = factors.code_of(amal)
    assert browser.post(f"{PAGE}/app/confirm", data={"code": code}).status_code == 201
    assert browser.get("/dashboard").status_code == 200
    refused = browser.post(f"{PAGE}/app/remove")
    assert refused.status_code == 409 and "This account needs a second factor" in refused.text
    with app.app_context(), pytest.raises(Refused):
        second_factors.remove_app(amal)


def test_a_members_token_without_a_factor_does_nothing_and_the_keys_of_the_business_go_on(
    app: Flask, amal: int
) -> None:
    with app.app_context():
        key = api_keys.create(people.owner(amal), name="Till")
        access = tokens.start(amal).access
    client = app.test_client()
    refused = client.get("/api/plans/", headers={"Authorization": f"Bearer {access}"})
    assert refused.status_code == 403 and refused.json and refused.json["code"] == "second_factor_needed"
    assert client.get("/api/plans/", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    with app.app_context():
        factors.turn_on(amal)
        access = tokens.start(amal).access
    assert client.get("/api/plans/", headers={"Authorization": f"Bearer {access}"}).status_code == 200


def test_customers_and_unproven_members_are_not_asked(app: Flask, amal: int) -> None:
    with app.app_context():
        omar = people.omar()
        access = tokens.start(omar).access
        db.session.get_one(User, amal).email_proven_at = None
        db.session.commit()
    assert browser_of(app, "omar").get("/home").status_code == 200
    headers = {"Authorization": f"Bearer {access}"}
    assert app.test_client().get("/api/plans/", headers=headers).status_code == 200
    assert browser_of(app, "amal").get("/account/email/proof").location != PAGE, "first the email is proven"


def test_nobody_is_asked_without_the_setting(app: Flask, amal: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "QIST", dataclasses.replace(app.config["QIST"], member_factor="off"))
    assert browser_of(app, "amal").get("/dashboard").status_code == 200
