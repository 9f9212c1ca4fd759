"""Reversing a payment on the pages."""

from flask import Flask

from tests.fixtures import people
from tests.web import browser_of
from tests.web.acts import a_world, check, do, words

WHY = {"reason": "The bank says the account is empty"}


def test_a_reversed_payment_is_owed_again_less_its_refunds(app: Flask, database: str) -> None:
    plan, payment = a_world(app)
    amal = browser_of(app, "amal")
    receipt = amal.get(f"/payments/{payment}")
    assert f'href="/payments/{payment}/reverse"' in receipt.text
    assert f'href="/plans/{plan}/refund?payment={payment}"' in receipt.text
    do(amal, f"/plans/{plan}/refund", amount="3.34", payment="newest", reason="Cold")
    shown = words(check(amal, f"/payments/{payment}/reverse", **WHY))
    assert "Reverse SAR 30.00?" in shown and "1 of 3 SAR 0.00 SAR 30.00" in shown
    page = do(amal, f"/payments/{payment}/reverse", **WHY)
    assert "SAR 30.00 reversed." in words(page) and "Remaining SAR 96.66" in words(page)
    assert "SAR 30.00 paid for installment 1 was reversed" in words(page) and WHY["reason"] in page.text
    assert "SAR 3.34 of 33.34 paid, SAR 30.00 left" in words(page)
    receipt_text = words(browser_of(app, "omar").get(f"/payments/{payment}"))
    assert "The bank took this payment back on" in receipt_text and "Reversed" in receipt_text
    assert "/reverse" not in amal.get(f"/payments/{payment}").text


def test_a_reversal_on_a_cancelled_plan_leaves_nothing_owed(app: Flask, database: str) -> None:
    plan, payment = a_world(app)
    amal = browser_of(app, "amal")
    do(amal, f"/plans/{plan}/cancel", give_back="keep", reason="Closed")
    assert "nothing is owed again" in words(check(amal, f"/payments/{payment}/reverse", **WHY))
    page = do(amal, f"/payments/{payment}/reverse", **WHY)
    assert "SAR 33.34 reversed." in words(page) and "Remaining SAR 0.00" in words(page)


def test_a_declined_payment_cannot_be_reversed(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    with app.app_context():
        row = people.installments_of(plan)[1]
        declined = people.pay(row.id, row.customer_id, "card_declined").id
    amal = browser_of(app, "amal")
    assert "Nothing of this payment is left" in amal.get(f"/payments/{declined}/reverse").text
    assert check(amal, f"/payments/{declined}/reverse", **WHY).status_code == 409
