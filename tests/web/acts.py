"""Steps of the merchant's forms for actions on a plan's money, and a plan to try them on."""

import re
from html import unescape

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from portal.reports.plans.figures import PlanFigures, plan_figures
from portal.services.payments import manual_payments
from tests.fixtures import people
from tests.web import HTMX


def a_world(app: Flask) -> tuple[int, int]:
    """A plan of Amal for Omar, SAR 100 in three installments, with the first paid; and two unrelated accounts.

    Returns the ids of the plan and of the payment.
    """
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        people.badr(), people.sara()
        plan = people.a_plan(amal, total=100_00, count=3)
        return plan, people.pay(people.installments_of(plan)[0].id, omar).id


def a_cash_payment(app: Flask, plan: int) -> int:
    """SAR 10 in cash for the plan, recorded by its merchant. Returns the payment's id."""
    with app.app_context():
        owner, day = people.owner(people.plan_of(plan).merchant_id), people.plan_of(plan).today
        return manual_payments.record(plan, actor=owner, amount=10_00, method="cash", received_on=day).payment_id


def money_of(app: Flask, plan: int) -> PlanFigures:
    """The plan's figures now."""
    with app.app_context():
        return plan_figures(plan)


def check(client: FlaskClient, address: str, *, htmx: bool = False, **typed: str) -> TestResponse:
    """Send the form. Returns the confirmation."""
    return client.post(address, data={"step": "check", **typed}, headers=HTMX if htmx else {})


def hidden(response: TestResponse) -> dict[str, str]:
    """The hidden fields of the confirmation."""
    form = response.text[response.text.index('class="stack confirmation"') :]
    pairs = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form)
    return {name: unescape(value) for name, value in pairs if name not in ("csrf_token", "next")}


def confirm(client: FlaskClient, page: TestResponse, /, *, htmx: bool = False, **instead: str) -> TestResponse:
    """Send the confirmation."""
    data = {"step": "confirm", **hidden(page), **instead}
    return client.post(page.request.path, data=data, headers=HTMX if htmx else {})


def do(client: FlaskClient, address: str, **typed: str) -> TestResponse:
    """Send the form and its confirmation. Returns the page after the redirect."""
    confirmation = check(client, address, **typed)
    assert confirmation.status_code == 200, confirmation.text
    redirect = confirm(client, confirmation)
    assert redirect.status_code == 303, redirect.text
    return client.get(redirect.location)


def words(response: TestResponse) -> str:
    """The page as one line of text, without tags."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.text))).replace("\u00a0", " ")
