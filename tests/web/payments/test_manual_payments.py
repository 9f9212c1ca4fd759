"""Recording manual payments on the pages."""

from datetime import timedelta

from flask import Flask

from tests.fixtures import people
from tests.web import browser_of
from tests.web.acts import a_world, check, do, money_of, words


def test_a_transfer_is_allocated_to_the_oldest_installments(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    with app.app_context():
        today = people.plan_of(plan).today
    amal, address = browser_of(app, "amal"), f"/plans/{plan}/record-payment"
    typed = {"amount": "40", "method": "transfer", "received_on": today.isoformat(), "reference": "TRX 88"}
    shown = words(check(amal, address, **typed))
    assert "2 of 3 SAR 33.33 SAR 0.00" in shown and "3 of 3 SAR 33.33 SAR 26.66" in shown
    page = do(amal, address, **typed)
    assert "SAR 40.00 recorded as paid." in words(page) and "Bank transfer" in page.text
    assert "SAR 40.00 recorded as paid for installments 2 and 3" in words(page)
    assert "SAR 6.67 of 33.33 paid, SAR 26.66 left" in words(page)
    receipt = words(browser_of(app, "omar").get("/payments/2"))
    assert "Receipt" in receipt and "TRX 88" in receipt and "Installment 2 of 3" in receipt and "SAR 6.67" in receipt


def test_every_error_is_reported_at_once_and_nothing_is_recorded(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    with app.app_context():
        tomorrow = people.plan_of(plan).today + timedelta(days=1)
    amal, address, before = browser_of(app, "amal"), f"/plans/{plan}/record-payment", money_of(app, plan)
    wrong = check(amal, address, amount="66.67", method="cash", received_on=tomorrow.isoformat(), reference="x")
    assert wrong.status_code == 422
    assert "which is SAR 66.66" in words(wrong) and "Choose today or an earlier day." in words(wrong)
    assert 'value="66.67"' in wrong.text and tomorrow.isoformat() in wrong.text
    for name, value in (
        ("received_on", ""),
        ("received_on", "31/12/2025"),
        ("received_on", "1999-12-31"),
        ("received_on", "9999-12-31"),
        ("reference", "x" * 201),
        ("reference", "a\nb"),
        ("method", "shells"),
        ("amount", "1,00,0"),
    ):
        typed = {"amount": "1", "method": "cash", "received_on": "2025-01-01", "reference": "", name: value}
        response = check(amal, address, **typed)
        assert response.status_code == 422 and f'id="{name}-error"' in response.text, (name, value)
    assert money_of(app, plan) == before
