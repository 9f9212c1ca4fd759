"""The customer turns automatic payment on and off on the plan's page."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.extensions import db
from portal.models import PaymentMethod
from portal.services.payments import payment_methods
from tests.fixtures import people
from tests.web import browser_of


@pytest.fixture
def ids(app: Flask, database: str) -> dict[str, int]:
    with app.app_context():
        users = {"amal": people.amal(), "omar": people.omar()}
        return {**users, "plan": people.a_plan(users["amal"], count=2, first=5)}


@pytest.fixture
def omar(app: Flask, ids: dict[str, int]) -> FlaskClient:
    return browser_of(app, "omar")


def save(app: Flask, customer_id: int, card: str = "card_ok") -> tuple[int, str]:
    with app.app_context():
        method_id = payment_methods.save(customer_id, card).method_id
        return method_id, db.session.get_one(PaymentMethod, method_id).token


def collects_from(app: Flask, plan_id: int) -> int | None:
    with app.app_context():
        return people.plan_of(plan_id).automatic_method_id


def test_without_a_saved_card_the_page_links_to_saving_one(omar: FlaskClient, ids: dict[str, int]) -> None:
    page = omar.get(f"/plans/{ids['plan']}").text
    assert "/payment-methods" in page.split('id="plan-automatic"')[1]
    assert "Turn on" not in page


def test_automatic_payment_is_turned_on_changed_and_turned_off(
    app: Flask, omar: FlaskClient, ids: dict[str, int]
) -> None:
    path = f"/plans/{ids['plan']}"
    first, token = save(app, ids["omar"])
    assert "Turn on" in omar.get(path).text
    response = omar.post(f"{path}/automatic-payment", data={"method": token})
    assert (response.status_code, response.location) == (303, path)
    assert collects_from(app, ids["plan"]) == first
    page = omar.get(path).text
    assert "Automatic payment is on for this plan." in page
    assert "On. What is due is collected from Visa ending in 4242 on each due day, from 09:00." in page
    assert "Automatic payment turned on, with the card ending in 4242" in page
    assert "Automatic payment is on" in browser_of(app, "amal").get(path).text
    second, token = save(app, ids["omar"], "card_declined")
    assert "Use this card instead" in omar.get(path).text
    omar.post(f"{path}/automatic-payment", data={"method": token})
    assert collects_from(app, ids["plan"]) == second
    assert omar.post(f"{path}/automatic-payment/off").location == path
    assert collects_from(app, ids["plan"]) is None
    assert "Automatic payment is off for this plan." in omar.get(path).text


@pytest.mark.parametrize("method", ["", "card_ok", "pm_nothing", "\x00", "another's"])
def test_a_card_that_is_not_saved_by_this_customer_is_refused(
    app: Flask, omar: FlaskClient, ids: dict[str, int], method: str
) -> None:
    if method == "another's":
        with app.app_context():
            sara = people.sara()
        _, method = save(app, sara)
    omar.post(f"/plans/{ids['plan']}/automatic-payment", data={"method": method})
    assert "Choose one of your saved payment methods." in omar.get(f"/plans/{ids['plan']}").text
    assert collects_from(app, ids["plan"]) is None


def test_a_paid_plan_has_no_automatic_payment(app: Flask, omar: FlaskClient, ids: dict[str, int]) -> None:
    _, token = save(app, ids["omar"])
    with app.app_context():
        done = people.a_plan(ids["amal"], count=1)
        people.pay(people.installments_of(done)[0].id, ids["omar"])
    assert "plan-automatic" not in omar.get(f"/plans/{done}").text
    omar.post(f"/plans/{done}/automatic-payment", data={"method": token})
    assert "Nothing is owed on this plan any more." in omar.get(f"/plans/{done}").text
