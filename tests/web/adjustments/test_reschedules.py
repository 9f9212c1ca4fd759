"""Pages for new days: one installment moves, all shift, the rest is split; and what needs the customer's consent."""

import re
from datetime import timedelta

from flask import Flask
from werkzeug.test import TestResponse

from portal.domain import clock
from portal.extensions import db
from portal.models import Merchant
from portal.services.adjustments import reschedules
from portal.services.adjustments.reschedules import NewTerms
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from tests.fixtures import people
from tests.web import browser_of
from tests.web.acts import a_world, check, confirm, do, words

WHY = {"reason": "Salary comes later"}


def day(app: Flask, plan: int, away: int) -> str:
    with app.app_context():
        return (people.plan_of(plan).today + timedelta(days=away)).isoformat()


def test_all_open_installments_shift_after_a_confirmation_with_the_days_before_and_after(
    app: Flask, database: str
) -> None:
    plan, _ = a_world(app)
    amal, address = browser_of(app, "amal"), f"/plans/{plan}/reschedule"
    shown = words(check(amal, address, how="shift", days="9", **WHY))
    assert "Change when this plan is paid?" in shown and "SAR 33.33 SAR 0.00" in shown
    page = do(amal, address, how="shift", days="9", **WHY)
    assert "SAR 66.66 has new days." in words(page) and "SAR 66.66 shifted to other days" in words(page)
    assert "Salary comes later" in page.text and "3 payments, on agreed days" in words(page)
    assert "SAR 66.66 shifted to other days" in words(browser_of(app, "omar").get(f"/plans/{plan}"))


def test_one_installment_moves_and_the_rest_is_split(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    amal, address = browser_of(app, "amal"), f"/plans/{plan}/reschedule"
    with app.app_context():
        second = people.installments_of(plan)[1].id
    page = do(amal, address, how="move", installment=str(second), due_date=day(app, plan, 100), **WHY)
    assert "SAR 33.33 moved to another day" in words(page)
    typed = {"how": "split", "num_installments": "6", "interval": "weekly", "due_date": day(app, plan, 120)}
    page = do(amal, address, **typed, **WHY)
    assert "SAR 66.66 split over 6 new installments" in words(page) and "7 payments, on agreed days" in words(page)


def test_errors_stand_beside_their_fields(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    amal, address = browser_of(app, "amal"), f"/plans/{plan}/reschedule"
    for typed, field in (
        ({"how": "shift", "days": "x"}, "days"),
        ({"how": "shift", "days": ""}, "days"),
        ({"how": "move", "installment": "1", "due_date": "soon"}, "due_date"),
        ({"how": "move", "installment": "999", "due_date": day(app, plan, 100)}, "installment"),
        ({"how": "split", "num_installments": "61", "due_date": day(app, plan, 100)}, "num_installments"),
    ):
        wrong = check(amal, address, **typed, **WHY)
        assert wrong.status_code == 422 and f'id="{field}-error"' in wrong.text, typed
    missing = check(amal, address, how="shift", days="3", reason="")
    assert missing.status_code == 422 and 'id="reason-error"' in missing.text


def test_for_larger_amounts_the_customer_is_asked(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    amal, omar = browser_of(app, "amal"), browser_of(app, "omar")
    typed = {"how": "split", "num_installments": "1", "interval": "monthly", "due_date": day(app, plan, 300)}
    asks = check(amal, f"/plans/{plan}/reschedule", **typed, **WHY)
    assert asks.status_code == 200 and "more at once, than your customer agreed to" in words(asks)
    assert "Ask the customer" in words(asks)
    confirm(amal, asks)
    shown = words(amal.get(f"/plans/{plan}"))
    assert "Your customer is asked for these days." in shown and "Nothing changes unless they agree." in shown
    again = check(amal, f"/plans/{plan}/reschedule", **typed, **WHY)
    refused = confirm(amal, again)
    assert refused.status_code == 409 and "was asked for other days already" in words(refused)
    page = omar.get(f"/plans/{plan}/proposal")
    text = words(page)
    assert "Agree to these days" in text and "SAR 66.66 on " in text and "Once you agree you pay instead:" in text
    assert "Other days to pay" in words(omar.get(f"/plans/{plan}"))
    number = proposal_of(page)
    for browser in (browser_of(app, "sara"), browser_of(app, "badr")):
        assert browser.post(f"/plans/{plan}/proposal/accept", data={"proposal": number}).status_code == 404
    assert amal.post(f"/plans/{plan}/proposal/accept", data={"proposal": number}).status_code == 403
    taken = amal.post(f"/plans/{plan}/proposal/withdraw", data={"proposal": number})
    assert taken.status_code == 303
    late = omar.post(f"/plans/{plan}/proposal/accept", data={"proposal": number})
    assert late.status_code == 409 and "The shop took these days back. Nothing was changed." in words(late)
    assert "Agree to these days" not in words(late)


def test_the_customer_agrees_or_keeps_their_days(app: Flask, database: str) -> None:
    plan, _ = a_world(app)
    amal, omar = browser_of(app, "amal"), browser_of(app, "omar")
    typed = {"how": "split", "num_installments": "1", "interval": "monthly", "due_date": day(app, plan, 300)}
    confirm(amal, check(amal, f"/plans/{plan}/reschedule", **typed, **WHY))
    number = proposal_of(omar.get(f"/plans/{plan}/proposal"))
    assert omar.post(f"/plans/{plan}/proposal/decline", data={"proposal": number}).status_code == 303
    assert "You declined. Your days stay as they are." in words(omar.get(f"/plans/{plan}"))
    assert "These days were declined." in words(amal.get(f"/plans/{plan}/proposal"))
    confirm(amal, check(amal, f"/plans/{plan}/reschedule", **typed, **WHY))
    number = proposal_of(omar.get(f"/plans/{plan}/proposal"))
    assert omar.post(f"/plans/{plan}/proposal/accept", data={"proposal": number}).status_code == 303
    assert omar.post(f"/plans/{plan}/proposal/accept", data={"proposal": number}).status_code == 303  # a second click
    shown = words(omar.get(f"/plans/{plan}"))
    assert "You agreed to the other days. They are in your mail." in shown and "Pay SAR 66.66" in shown
    for odd in ("", "x", "0", "9" * 30):
        assert omar.post(f"/plans/{plan}/proposal/accept", data={"proposal": odd}).status_code == 404


def test_the_customers_link_answers_and_the_pay_link_does_not(app: Flask, database: str) -> None:
    a_world(app)
    with app.app_context():
        amal = db.session.scalars(db.select(Merchant.id)).first() or 0
        plan = plans.open_plan(
            people.owner(amal), NewPlan("layla@example.com", 90_00, 3, clock.today("Asia/Riyadh"))
        ).plan_id
        link = f"/invitations/{people.token_of(plan)}"
        terms = NewTerms("split", count=1, due_date=clock.today("Asia/Riyadh") + timedelta(days=3))
        reschedules.reschedule(plan, actor=people.owner(amal), terms=terms, reason="Please")
    shown = browser_of(app, "amal").get(f"/plans/{plan}").text
    pay_link = re.findall(r"http://localhost(/invitations/[\w-]+)", shown)[0]
    anonymous = app.test_client()
    assert "Other days to pay" in words(anonymous.get(link)) and "Other days to pay" not in words(
        anonymous.get(pay_link)
    )
    page = anonymous.get(f"{link}/proposal")
    assert page.headers["Cache-Control"] == "no-store" and "Agree to these days" in words(page)
    number = proposal_of(page)
    assert anonymous.get(f"{pay_link}/proposal").status_code == 403
    assert anonymous.post(f"{pay_link}/proposal/accept", data={"proposal": number}).status_code == 403
    assert anonymous.post(f"{link}/proposal/accept", data={"proposal": number}).status_code == 303
    with app.app_context():
        assert [row.remaining for row in people.plan_of(plan).installments] == [90_00]
    again = anonymous.post(f"{link}/proposal/decline", data={"proposal": number})
    assert again.status_code == 409 and "agreed on already" in words(again)


def proposal_of(page: TestResponse) -> str:
    return re.findall(r'name="proposal" value="([0-9]+)"', page.text)[0]
