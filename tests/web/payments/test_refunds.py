"""Refunds on the pages: full, partial, repeated, of a chosen payment or the newest first."""

from flask import Flask

from portal.services.payments import manual_payments, refunds
from tests.fixtures import people
from tests.web import browser_of
from tests.web.acts import a_world, check, do, money_of, words

WHY = {"reason": "One layer was missing"}


def test_a_payment_is_refunded_in_two_parts(app: Flask, database: str) -> None:
    plan, payment = a_world(app)
    amal = browser_of(app, "amal")
    page = do(amal, f"/plans/{plan}/refund", amount="10", payment="newest", **WHY)
    assert "SAR 10.00 refunded." in words(page) and "Refunded SAR 10.00" in words(page)
    assert "Partly refunded" in page.text and "One layer was missing" in page.text
    page = do(amal, f"/plans/{plan}/refund", amount="23.34", payment=str(payment), **WHY)
    assert "Refunded SAR 33.34" in words(page) and "Remaining SAR 66.66" in words(page), "nothing is owed again"
    assert money_of(app, plan).refundable == 0
    receipt = browser_of(app, "omar").get(f"/payments/{payment}")
    assert "SAR 10.00 refunded" in words(receipt) and "SAR 23.34 refunded" in words(receipt)
    assert "One layer was missing" in receipt.text and "Kept after refunds SAR 0.00" in words(receipt)


def test_the_newest_payment_or_the_chosen_payment_is_refunded(app: Flask, database: str) -> None:
    plan, card = a_world(app)
    with app.app_context():
        today, merchant = people.plan_of(plan).today, people.plan_of(plan).merchant_id
        manual_payments.record(plan, actor=people.owner(merchant), amount=20_00, method="cash", received_on=today)
    amal = browser_of(app, "amal")
    both = words(check(amal, f"/plans/{plan}/refund", amount="30", payment="newest", **WHY))
    assert "Cash SAR 20.00 SAR 0.00" in both and "Visa ending in 4242 SAR 33.34 SAR 23.34" in both
    assert "you hand back yourself" in both
    chosen_only = words(check(amal, f"/plans/{plan}/refund", amount="30", payment=str(card), **WHY))
    assert "Visa ending in 4242 SAR 33.34 SAR 3.34" in chosen_only and "Cash" not in chosen_only
    too_much = check(amal, f"/plans/{plan}/refund", amount="33.35", payment=str(card), **WHY)
    assert too_much.status_code == 422 and "At most SAR 33.34 can be given back." in words(too_much)
    assert 'value="33.35"' in too_much.text and WHY["reason"] in too_much.text, "what was typed is kept"
    chosen = amal.get(f"/plans/{plan}/refund?payment={card}").text
    assert f'selected value="{card}"' in chosen or f'value="{card}" selected' in chosen


def test_a_declined_refund_and_an_unknown_outcome_are_explained(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    with app.app_context():
        rows = people.installments_of(plan)
        declined = people.pay(rows[1].id, rows[1].customer_id, "card_refund_declined").id
        lost = people.pay(rows[2].id, rows[2].customer_id, "card_refund_lost_done").id
    amal = browser_of(app, "amal")
    page = do(amal, f"/plans/{plan}/refund", amount="1", payment=str(declined), **WHY)
    assert "The card takes no refunds. Nothing was given back." in words(page)
    page = do(amal, f"/plans/{plan}/refund", amount="2", payment=str(lost), **WHY)
    assert "The refund is being checked with the bank." in words(page) and "On its way back SAR 2.00" in words(page)
    with app.app_context():
        refunds.settle_refund(2)
    page = amal.get(f"/plans/{plan}")
    assert "Refunded SAR 2.00" in words(page) and "Refund of SAR 1.00 was declined." in words(page)


def test_an_invalid_amount_is_refused_beside_the_field(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    amal, before = browser_of(app, "amal"), money_of(app, plan)
    for typed in ("", "0", "-1", "1e3", "1.234", "NaN", "٣٫٣٣٣", "10 000", "9" * 40, "33.35", "\x00"):
        response = check(amal, f"/plans/{plan}/refund", amount=typed, payment="newest", **WHY)
        assert response.status_code == 422 and 'id="amount-error"' in response.text, typed
    strange = check(amal, f"/plans/{plan}/refund", amount="1", payment="999", **WHY)
    assert strange.status_code == 422 and 'id="payment-error"' in strange.text
    assert money_of(app, plan) == before
