"""Limits of refunds on the forms of refunds and cancellations, on the page of API keys, and over the API."""

import pytest
from flask import Flask
from sqlalchemy import select

from portal.domain.permissions import GIVEN_TO_KEYS
from portal.extensions import db
from portal.models import ApiKey
from portal.services.accounts import api_keys, tokens
from tests.fixtures import people
from tests.web import browser_of
from tests.web.acts import check, confirm, do, money_of, words


@pytest.fixture
def plan(app: Flask, database: str) -> int:
    """A plan of Amal for Omar with SAR 50.00 paid. Sara, a manager, may refund SAR 30.00 a day."""
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        people.set_limit(people.a_member("sara", amal, "manager"), amal, 30_00)
        plan_id = people.a_plan(amal, total=100_00, count=2)
        people.pay(people.installments_of(plan_id)[0].id, omar)
        db.session.remove()
    return plan_id


def test_the_forms_say_how_much_more_may_be_refunded_today(app: Flask, plan: int) -> None:
    sara = browser_of(app, "sara")
    with app.app_context():
        merchant_id = people.plan_of(plan).merchant_id
    sara.post("/account/hat", data={"merchant": merchant_id})
    address = f"/plans/{plan}/refund"
    assert "You may refund SAR 30.00 more today." in words(sara.get(address))
    refused = check(sara, address, amount="30.01", reason="Broken", payment="newest")
    assert refused.status_code == 409
    assert "You may refund SAR 30.00 more today. Nothing was refunded." in words(refused)
    assert "SAR 20.00 refunded." in words(do(sara, address, amount="20", reason="Broken", payment="newest"))
    assert "You may refund SAR 10.00 more today." in words(sara.get(f"/plans/{plan}/cancel"))
    refused = check(sara, f"/plans/{plan}/cancel", give_back="all", refund="", reason="Broken")
    assert refused.status_code == 409 and "You may refund SAR 10.00 more today." in words(refused)
    open_form = check(sara, address, amount="10", reason="Broken", payment="newest")
    do(sara, address, amount="10", reason="Broken", payment="newest")
    late = confirm(sara, open_form)
    assert late.status_code == 409 and money_of(app, plan).refunded == 30_00
    assert "You may refund SAR 0.00 more today." in words(sara.get(address))


def test_a_member_without_a_limit_reads_of_none(app: Flask, plan: int) -> None:
    assert "more today" not in words(browser_of(app, "amal").get(f"/plans/{plan}/refund"))


def test_a_key_gets_its_limit_on_the_form(app: Flask, plan: int) -> None:
    amal = browser_of(app, "amal")
    page = "/settings/api-keys"
    reading = amal.post(page, data={"name": "Till", "refund_limit": "5"})
    assert reading.status_code == 422 and "A key that may not refund has no limit." in words(reading)
    assert amal.post(page, data={"name": "Till", "permissions": "refund", "refund_limit": "x"}).status_code == 422
    assert amal.post(page, data={"name": "Till", "permissions": "refund", "refund_limit": "12.50"}).status_code == 201
    assert amal.post(page, data={"name": "Shop", "permissions": "refund"}).status_code == 201
    assert "Up to SAR 12.50" in words(amal.get(page)) and "None" in words(amal.get(page))
    with app.app_context():
        assert db.session.scalars(select(ApiKey.refund_limit).order_by(ApiKey.id)).all() == [12_50, 0]


def test_the_api_answers_refund_limit_with_what_is_left_today(app: Flask, plan: int) -> None:
    with app.app_context():
        merchant_id = people.plan_of(plan).merchant_id
        owner = people.owner(merchant_id)
        keys = [api_keys.create(owner, name="Till", given=GIVEN_TO_KEYS, refund_limit=limit) for limit in (0, 20_00)]
        sara = db.session.scalar(db.text("SELECT id FROM users WHERE username = 'sara'"))
        token = tokens.start(sara, merchant_id).access
        db.session.remove()
    address, api = f"/api/plans/{plan}/refunds/", app.test_client()

    def ask(bearer: str, amount: str) -> tuple[int, str | None, str | None, str | None]:
        headers = {"Authorization": f"Bearer {bearer}"}
        response = api.post(address, json={"amount": amount, "reason": "Broken"}, headers=headers)
        body = response.get_json()
        return response.status_code, body.get("code"), body.get("allowance"), body.get("detail")

    no = "This API key may refund SAR\u00a00.00 more today. Nothing was refunded."
    assert ask(keys[0], "0.01") == (409, "refund_limit", "0.00", no)
    assert ask(keys[1], "20.01")[:3] == (409, "refund_limit", "20.00")
    assert ask(keys[1], "20.00")[0] == 201
    cancel = api.post(
        f"/api/plans/{plan}/cancel/",
        json={"reason": "Broken", "refund": "5.00"},
        headers={"Authorization": f"Bearer {keys[1]}"},
    ).get_json()
    assert (cancel["code"], cancel["allowance"]) == ("refund_limit", "0.00")
    assert ask(token, "30.00")[0] == 201
