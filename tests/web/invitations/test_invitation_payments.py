"""Paying by the invitation's link, without an account."""

from io import StringIO

import pytest
from flask import Flask

from portal.extensions import db
from portal.models import Payment
from portal.services.adjustments import write_offs
from portal.services.payments import outcomes
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from tests.fixtures import people, proofs
from tests.fixtures.people import PASSWORD
from tests.fixtures.query_log import queries
from tests.web import HTMX, browser_of
from tests.web.acts import money_of, words
from tests.web.payments.test_plan_payments import pay


@pytest.fixture
def invited(app: Flask, database: str) -> tuple[int, str]:
    """A plan of Amal's for Layla, who has no account. Returns the plan's id and the link's path."""
    with app.app_context():
        amal = people.amal()
        people.omar()
        new = NewPlan("layla@example.com", 100_00, 3, people.today_of(amal), "monthly", "Wedding cake")
        opened = plans.open_plan(people.owner(amal), new)
        return opened.plan_id, f"/invitations/{people.token_of(opened.plan_id)}"


def test_an_invited_customer_pays_and_then_claims_the_account(
    app: Flask, invited: tuple[int, str], logged: StringIO
) -> None:
    plan, link = invited
    layla = app.test_client()
    page = layla.get(link)
    assert "Pay SAR 33.34" in words(page) and "You can pay without an account." in page.text
    form = layla.get(f"{link}/pay")
    assert "The next installment" in form.text and "no real money moves" in form.text
    done = pay(layla, plan, address=f"{link}/pay", choice="amount", amount="40")
    assert (done.status_code, done.location) == (303, f"{link}/payments/1")
    receipt = layla.get(done.location)
    assert "SAR 40.00 paid" in words(receipt) and "Installment 2 of 3" in words(receipt)
    page = layla.get(link)
    assert "SAR 6.66 of 33.33 paid, SAR 26.67 left" in words(page) and "1 of 3 paid" in words(page)
    for response in (form, done, receipt, page):
        assert response.headers["Referrer-Policy"] == "no-referrer" and response.headers["Cache-Control"] == "no-store"
    assert layla.post(link, data={"username": "layla", "password": PASSWORD}).location == "/account/email/proof"
    with app.app_context():
        code = proofs.mailed("layla@example.com").code
    assert layla.post("/account/email/proof", data={"code": code}).location == f"/plans/{plan}"
    assert "SAR 40.00" in words(layla.get(f"/plans/{plan}"))
    assert link.rsplit("/", 1)[1] not in logged.getvalue()


def test_invalid_amounts_declines_and_unknown_outcomes_are_explained(app: Flask, invited: tuple[int, str]) -> None:
    plan, link = invited
    layla, address = app.test_client(), f"{invited[1]}/pay"
    much = pay(layla, plan, address=address, choice="amount", amount="101")
    assert much.status_code == 409 and 'id="amount-error"' in much.text
    declined = pay(layla, plan, address=address, choice="all", method="card_declined")
    assert declined.status_code == 402 and "Your card was declined. Nothing was charged." in words(declined)
    lost = pay(layla, plan, address=address, choice="all", method="card_lost_charged")
    assert layla.get(lost.location, headers=HTMX).status_code == 204
    assert "A payment is being checked with the bank." in layla.get(link).text
    with app.app_context():
        outcomes.settle_payment(2)
    settled = layla.get(lost.location, headers=HTMX)
    assert "SAR 100.00 paid" in words(settled) and "<html" not in settled.text
    assert "Nothing is left to pay." in layla.get(link).text


def test_a_written_off_plan_can_still_be_paid_by_the_link(app: Flask, invited: tuple[int, str]) -> None:
    plan, link = invited
    layla = app.test_client()
    pay(layla, plan, address=f"{link}/pay", choice="next")
    with app.app_context():
        write_offs.write_off(plan, actor=people.owner(people.plan_of(plan).merchant_id), reason="No answer for a year")
    page = layla.get(link)
    assert "wrote off SAR 66.66 . You can still pay it." in words(page) and f'href="{link}/pay"' in page.text
    assert "Nothing is left to pay" not in page.text
    assert pay(layla, plan, address=f"{link}/pay", choice="all").status_code == 303
    page = layla.get(link)
    assert "Nothing is left to pay." in page.text and f'href="{link}/pay"' not in page.text
    assert (money_of(app, plan).paid, money_of(app, plan).written_off) == (100_00, 0)


def test_the_link_gives_access_to_its_own_plan_only(app: Flask, invited: tuple[int, str]) -> None:
    plan, link = invited
    with app.app_context():
        merchant = people.plan_of(plan).merchant_id
        other = people.a_plan(merchant)
        row = people.installments_of(other)[0]
        theirs = people.pay(row.id, row.customer_id).id
    anonymous = app.test_client()
    for path in (f"{link}/payments/{theirs}", f"{link}/payments/{2**63}", f"{link}/payments/0", f"{link}/payments/x"):
        assert anonymous.get(path).status_code == 404
    pay(anonymous, plan, address=f"{link}/pay", choice="next")
    with app.app_context():
        fresh = people.mailed_again(plan)
        mine = db.session.scalars(db.select(Payment.id).where(Payment.plan_id == plan)).one()
    for path in (f"{link}/pay", f"{link}/payments/{mine}", "/invitations/x/pay", "/invitations/%00/pay"):
        assert anonymous.get(path).status_code == 404, "an older link"
        assert path.endswith(str(mine)) or anonymous.post(path, data={"choice": "all"}).status_code == 404
    assert anonymous.get(f"/invitations/{fresh}/payments/{mine}").status_code == 200
    assert money_of(app, plan).paid == 33_34
    assert browser_of(app, "omar").get(f"/payments/{mine}").status_code == 404


def test_the_form_takes_at_most_eight_queries(app: Flask, invited: tuple[int, str]) -> None:
    with queries(app) as sent:
        app.test_client().get(f"{invited[1]}/pay")
    assert len(sent) <= 8
