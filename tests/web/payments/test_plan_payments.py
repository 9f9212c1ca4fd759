"""Paying a plan: the next installment, everything due, all that remains, or an amount."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from portal.extensions import db
from portal.gateways.payment.simulated.tables import charges
from portal.models import Payment
from portal.services.adjustments import credits
from portal.services.payments import outcomes
from tests.fixtures import people
from tests.fixtures.query_log import queries
from tests.web import HTMX, browser_of
from tests.web.acts import money_of, words


@pytest.fixture
def plan(app: Flask, database: str) -> int:
    """Amal sold Omar a desk for SAR 100 in three parts; two of them are due."""
    with app.app_context():
        amal = people.amal()
        people.omar(), people.badr(), people.sara()
        return people.a_plan(amal, count=3, first=-40, description="Oak desk")


def fields(page: TestResponse) -> dict[str, str]:
    """The form's hidden fields."""
    tags = re.findall(r'<input[^>]*type="hidden"[^>]*>', page.text[page.text.index("pay-form") :])
    names = {tag: re.search(r'name="([^"]+)"', tag) for tag in tags}
    values = {tag: re.search(r'value="([^"]*)"', tag) for tag in tags}
    return {name[1]: value[1] for tag, name in names.items() if name and (value := values[tag])}


def pay(client: FlaskClient, plan: int, *, address: str = "", **typed: str) -> TestResponse:
    """Open the form and submit it. `typed` overrides its fields."""
    address = address or f"/plans/{plan}/pay"
    form = fields(client.get(address))
    return client.post(address, data={**form, "amount": "", "method": "card_ok", **typed})


def count_of(app: Flask) -> int:
    """The number of payments."""
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(Payment)) or 0


def test_the_form_offers_every_choice_with_its_amount(app: Flask, plan: int) -> None:
    omar = browser_of(app, "omar")
    page = words(omar.get(f"/plans/{plan}"))
    assert "Pay SAR 33.34" in page and "everything due, SAR 66.67" in page and "all that remains, SAR 100.00" in page
    form = omar.get(f"/plans/{plan}/pay?choice=due")
    text = words(form)
    assert "The next installment 1 of 3" in text and "Everything due Installments 1 to 2 SAR 66.67" in text
    assert "All that remains" in text and "Up to SAR 100.00; it goes to the oldest installment first" in text
    assert re.search(r'value="due" checked', form.text)
    assert re.search(r"Charged today, \d+ \w+ \d{4}", text) and "no real money moves" in text
    assert re.search(r'value="next" checked', omar.get(f"/plans/{plan}/pay?choice=odd").text)


@pytest.mark.parametrize(
    ("typed", "paid", "covers"),
    [
        ({"choice": "next"}, 33_34, [(1, 33_34)]),
        ({"choice": "due"}, 66_67, [(1, 33_34), (2, 33_33)]),
        ({"choice": "all"}, 100_00, [(1, 33_34), (2, 33_33), (3, 33_33)]),
        ({"choice": "amount", "amount": " 40.5 "}, 40_50, [(1, 33_34), (2, 7_16)]),
    ],
)
def test_the_choice_is_paid_and_the_receipt_lists_its_installments(
    app: Flask, plan: int, typed: dict[str, str], paid: int, covers: list[tuple[int, int]]
) -> None:
    omar = browser_of(app, "omar")
    done = pay(omar, plan, **typed)
    assert done.status_code == 303 and done.location.startswith("/payments/")
    receipt = omar.get(done.location)
    assert "Receipt" in receipt.text and f"SAR {paid // 100}.{paid % 100:02} paid" in words(receipt)
    with app.app_context():
        payment = db.session.scalars(select(Payment)).one()
        assert payment.amount == paid
        assert [(part.installment.number, part.amount) for part in payment.allocations] == covers
    for number, amount in covers:
        line = rf"Installment {number} of 3 Due \d+ \w+ \d+ SAR {amount // 100}\.{amount % 100:02}"
        assert re.search(line, words(receipt)), line


def test_a_partly_paid_installment_stays_late(app: Flask, plan: int) -> None:
    omar = browser_of(app, "omar")
    pay(omar, plan, choice="amount", amount="10")
    page = words(omar.get(f"/plans/{plan}"))
    assert "SAR 10.00 of 33.34 paid, SAR 23.34 left" in page and "40 days late" in page and "Pay SAR 23.34" in page
    assert "SAR 10.00 of 33.34 paid, SAR 23.34 left" in words(browser_of(app, "amal").get(f"/plans/{plan}"))


@pytest.mark.parametrize(
    ("typed", "status", "message"),
    [
        ({"choice": "amount", "amount": ""}, 422, "Enter an amount."),
        ({"choice": "amount", "amount": "0"}, 422, "Enter more than zero."),
        ({"choice": "amount", "amount": "-5"}, 422, "Enter an amount in digits"),
        ({"choice": "amount", "amount": "1e3"}, 422, "Enter an amount in digits"),
        ({"choice": "amount", "amount": "1.005"}, 422, "at most 2 digits"),
        ({"choice": "amount", "amount": "100.01"}, 409, "more than is owed, which is SAR 100.00"),
        ({"choice": "due", "amount": "10"}, 422, "Choose “Another amount” to pay it"),
    ],
)
def test_an_invalid_amount_is_refused_beside_the_field_and_charges_nothing(
    app: Flask, plan: int, typed: dict[str, str], status: int, message: str
) -> None:
    response = pay(browser_of(app, "omar"), plan, **typed)
    assert response.status_code == status
    assert message in words(response) and 'id="amount-error"' in response.text and "data-error-summary" in response.text
    assert f'value="{typed["amount"]}"' in response.text and f'value="{typed["choice"]}" checked' in response.text
    assert count_of(app) == 0


@pytest.mark.parametrize(
    "broken",
    [
        {"key": ""},
        {"key": "\x00" * 20},
        {"shown": "1e3"},
        {"shown_due": "", "choice": "due"},
        {"choice": ""},
        {"choice": "everything"},
        {"method": ""},
        {"method": "pm_of_somebody_else"},
        {"method": "x" * 5000},
    ],
)
def test_a_malformed_form_charges_nothing(app: Flask, plan: int, broken: dict[str, Any]) -> None:
    response = pay(browser_of(app, "omar"), plan, **{"choice": "next", **broken})
    assert response.status_code in (409, 422) and "Nothing was charged" in words(response)
    assert count_of(app) == 0


def test_a_changed_amount_is_refused_and_the_current_amount_is_shown(app: Flask, plan: int) -> None:
    omar = browser_of(app, "omar")
    form = fields(omar.get(f"/plans/{plan}/pay"))
    with app.app_context():
        merchant = people.plan_of(plan).merchant_id
        credits.credit(plan, actor=people.owner(merchant), amount=70_00, how="last", reason="Scratched")
    for choice in ("next", "due", "all", "amount"):
        typed = {"choice": choice, "amount": "5" if choice == "amount" else ""}
        stale = omar.post(f"/plans/{plan}/pay", data={**form, **typed, "key": f"a-fresh-key-of-{choice}"})
        assert stale.status_code == 409, choice
        assert "What is owed has changed meanwhile. Nothing was charged." in words(stale)
        assert "Pay SAR 30.00" in words(stale)
    assert count_of(app) == 0
    assert omar.post(f"/plans/{plan}/pay", data={**fields(stale), "choice": "next", "amount": ""}).status_code == 303


def test_the_same_form_sent_again_is_one_payment(app: Flask, plan: int) -> None:
    omar = browser_of(app, "omar")
    sent = {**fields(omar.get(f"/plans/{plan}/pay")), "choice": "due", "amount": "", "method": "card_ok"}
    responses = [omar.post(f"/plans/{plan}/pay", data=sent) for _ in range(3)]
    assert {(response.status_code, response.location) for response in responses} == {(303, responses[0].location)}
    other = omar.post(f"/plans/{plan}/pay", data={**sent, "choice": "all"})
    assert other.status_code == 422 and "This button was used already" in words(other)
    assert count_of(app) == 1
    with app.app_context():
        assert db.session.scalar(select(func.count()).where(charges.c.outcome == "charged")) == 1


def test_a_declined_card_is_explained_and_an_unknown_outcome_is_polled(app: Flask, plan: int) -> None:
    omar = browser_of(app, "omar")
    declined = pay(omar, plan, choice="all", method="card_insufficient_funds")
    assert declined.status_code == 402 and "There is not enough money on this card. Nothing was charged." in words(
        declined
    )
    assert (
        '<option value="card_insufficient_funds" selected' in declined.text and 'value="all" checked' in declined.text
    )
    waiting = pay(omar, plan, choice="all", method="card_lost_charged").location
    page = omar.get(waiting)
    assert "Checking with the bank." in words(page) and 'hx-trigger="every 2s"' in page.text
    assert omar.get(waiting, headers=HTMX).status_code == 204
    assert "is being checked with the bank" in omar.get(f"/plans/{plan}/pay").text
    with app.app_context():
        outcomes.settle_payment(2)
    settled = omar.get(waiting, headers=HTMX)
    assert settled.status_code == 200 and "<html" not in settled.text
    assert "SAR 100.00 paid" in words(settled) and "every 2s" not in settled.text
    assert "Nothing is left to pay on this plan." in omar.get(f"/plans/{plan}/pay").text


def test_only_the_plans_customer_pays(app: Flask, plan: int) -> None:
    form = {**fields(browser_of(app, "omar").get(f"/plans/{plan}/pay")), "choice": "all", "amount": ""}
    for name, status in (("amal", 403), ("badr", 404), ("sara", 404)):
        stranger = browser_of(app, name)
        assert stranger.get(f"/plans/{plan}/pay").status_code == status
        assert stranger.post(f"/plans/{plan}/pay", data=form).status_code == status
    assert money_of(app, plan).paid == 0


def test_the_number_of_queries_is_independent_of_the_plans_length(app: Flask, plan: int) -> None:
    with app.app_context():
        long = people.a_plan(people.plan_of(plan).merchant_id, count=30, first=-200)
    omar = browser_of(app, "omar")
    with queries(app) as few:
        omar.get(f"/plans/{plan}/pay")
    with queries(app) as many:
        omar.get(f"/plans/{long}/pay")
    assert len(many) == len(few) <= 7
