"""Receipts say what remains, what is next, and that they are no tax invoice."""

from flask import Flask

from portal.services.adjustments import write_offs
from tests.fixtures import people
from tests.web import browser_of
from tests.web.acts import a_world, words


def test_a_receipt_says_what_remains_and_what_is_next(app: Flask, database: str) -> None:
    plan, payment = a_world(app)
    page = words(browser_of(app, "omar").get(f"/payments/{payment}"))
    assert "Left to pay SAR 66.66" in page and "Next SAR 33.33 on " in page
    assert "This receipt is not a tax invoice." in page
    with app.app_context():
        amal = people.plan_of(plan).merchant_id
        write_offs.write_off(plan, actor=people.owner(amal), reason="Gone")
    page = words(browser_of(app, "amal").get(f"/payments/{payment}"))
    assert "Left to pay SAR 0.00" in page and "Next SAR" not in page


def test_closed_plans_are_listed_by_why_they_closed(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    with app.app_context():
        amal = people.plan_of(plan).merchant_id
        write_offs.write_off(plan, actor=people.owner(amal), reason="Gone")
    amal_browser = browser_of(app, "amal")
    assert f"/plans/{plan}" in amal_browser.get("/plans?status=completed&closed_by=write_off").text
    assert f"/plans/{plan}" not in amal_browser.get("/plans?status=completed&closed_by=paid").text
    assert "Why it is closed" in amal_browser.get("/plans?status=completed").text
