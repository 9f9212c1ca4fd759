"""Voiding cash or a transfer on the pages."""

from flask import Flask

from tests.web import browser_of
from tests.web.acts import a_cash_payment, a_world, check, do, money_of, words

WHY = {"reason": "Written down twice"}


def test_voided_cash_is_owed_again_less_its_refunds(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    cash, amal = a_cash_payment(app, plan), browser_of(app, "amal")
    receipt = amal.get(f"/payments/{cash}").text
    assert f'href="/payments/{cash}/void"' in receipt and "/reverse" not in receipt
    do(amal, f"/plans/{plan}/refund", amount="4", payment=str(cash), reason="Change")
    shown = words(check(amal, f"/payments/{cash}/void", **WHY))
    assert "Void SAR 6.00?" in shown and "2 of 3 SAR 23.33 SAR 29.33" in shown
    page = do(amal, f"/payments/{cash}/void", **WHY)
    assert "SAR 6.00 voided." in words(page) and "Remaining SAR 62.66" in words(page)
    assert "SAR 6.00 paid for installment 2 was voided" in words(page) and WHY["reason"] in page.text
    receipt = words(browser_of(app, "omar").get(f"/payments/{cash}"))
    assert "This payment was voided on" in receipt and "Voided" in receipt
    assert "/void" not in amal.get(f"/payments/{cash}").text


def test_a_void_on_a_cancelled_plan_leaves_nothing_owed(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    cash, amal = a_cash_payment(app, plan), browser_of(app, "amal")
    do(amal, f"/plans/{plan}/cancel", give_back="keep", reason="Closed")
    assert "nothing is owed again" in words(check(amal, f"/payments/{cash}/void", **WHY))
    page = do(amal, f"/payments/{cash}/void", **WHY)
    assert "SAR 10.00 voided." in words(page) and "Remaining SAR 0.00" in words(page)
    assert money_of(app, plan).paid == 33_34


def test_a_voided_recovery_is_written_off_again(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    amal = browser_of(app, "amal")
    do(amal, f"/plans/{plan}/write-off", reason="Moved away")
    cash = a_cash_payment(app, plan)
    assert "What it recovered is written off again." in words(check(amal, f"/payments/{cash}/void", **WHY))
    do(amal, f"/payments/{cash}/void", **WHY)
    figures = money_of(app, plan)
    assert (figures.written_off, figures.remaining, figures.owed) == (66_66, 0, 66_66)
