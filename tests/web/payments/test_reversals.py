"""A bounced payment on the pages: the gateway is asked, and only its word reopens the installments."""

from flask import Flask

from portal.gateways import payment as gateway
from tests.fixtures import people
from tests.web import browser_of
from tests.web.acts import a_world, do, money_of, words


def bounce(app: Flask, payment: int) -> None:
    """The bank takes a payment back, and the gateway hasn't said so yet."""
    with app.app_context():
        assert gateway.active().bounce(people.payment_of(payment).gateway_key or "")


def test_a_good_payment_stays_paid_and_the_refusal_stands_beside_the_button(app: Flask, database: str) -> None:
    """Before, the press reversed it without a question, and the customer was charged a second time."""
    plan, payment = a_world(app)
    amal, before = browser_of(app, "amal"), money_of(app, plan)
    receipt = amal.get(f"/payments/{payment}")
    assert f'href="/payments/{payment}/reverse"' in receipt.text and "/void" not in receipt.text
    assert f'href="/plans/{plan}/refund?payment={payment}"' in receipt.text
    assert "Ask the gateway" in words(amal.get(f"/payments/{payment}/reverse"))
    refused = amal.post(f"/payments/{payment}/reverse")
    assert refused.status_code == 409
    assert "The bank has not taken this payment back. Nothing was changed." in words(refused)
    form = refused.text[refused.text.index('action="/payments/') :]
    assert form.index("has not taken this payment back") < form.index("Ask the gateway")
    assert money_of(app, plan) == before


def test_a_bounced_payment_is_owed_again_less_its_refunds(app: Flask, database: str) -> None:
    plan, payment = a_world(app)
    amal = browser_of(app, "amal")
    do(amal, f"/plans/{plan}/refund", amount="3.34", payment="newest", reason="Cold")
    bounce(app, payment)
    asked = amal.post(f"/payments/{payment}/reverse")
    assert (asked.status_code, asked.location) == (303, f"/plans/{plan}")
    page = amal.get(asked.location)
    assert "The bank took SAR 30.00 back. It is booked." in words(page) and "Remaining SAR 96.66" in words(page)
    assert "SAR 30.00 paid for installment 1 was taken back by the bank" in words(page)
    assert "SAR 3.34 of 33.34 paid, SAR 30.00 left" in words(page)
    receipt = words(browser_of(app, "omar").get(f"/payments/{payment}"))
    assert "The bank took this payment back on" in receipt and "Bounced" in receipt
    assert "/reverse" not in amal.get(f"/payments/{payment}").text
    assert amal.post(f"/payments/{payment}/reverse").location == f"/plans/{plan}", "asked twice, booked once"
    assert "Remaining SAR 96.66" in words(amal.get(f"/plans/{plan}"))


def test_a_bounce_on_a_cancelled_plan_leaves_nothing_owed(app: Flask, database: str) -> None:
    plan, payment = a_world(app)
    amal = browser_of(app, "amal")
    do(amal, f"/plans/{plan}/cancel", give_back="keep", reason="Closed")
    bounce(app, payment)
    page = amal.get(amal.post(f"/payments/{payment}/reverse").location)
    assert "The bank took SAR 33.34 back." in words(page) and "Remaining SAR 0.00" in words(page)
    figures = money_of(app, plan)
    assert (figures.paid, figures.credited, figures.owed) == (0, 100_00, 0), "no installment of it counts as paid"


def test_a_declined_payment_and_cash_are_not_reversed(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    with app.app_context():
        row = people.installments_of(plan)[1]
        declined = people.pay(row.id, row.customer_id, "card_declined").id
    amal = browser_of(app, "amal")
    assert amal.post(f"/payments/{declined}/reverse").status_code == 409
    assert "The bank has not taken this payment back." in words(amal.post(f"/payments/{declined}/reverse"))
