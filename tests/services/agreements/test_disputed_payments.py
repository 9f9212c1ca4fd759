"""Mails about payments of a plan that its customer disputes, or has not accepted: they ask for nothing."""

from pathlib import Path

import pytest

from portal.services.agreements import disputes
from portal.services.mail import delivery
from portal.services.payments import payments
from tests.fixtures import people
from tests.fixtures.agreements import acceptance
from tests.fixtures.mails import html_of, text_of

pytestmark = pytest.mark.usefixtures("context")

ASKS = ("Pay here", "Pay now", "Still to pay", "Next is", "owed again", "was due on")


@pytest.fixture(params=["required", "off"])
def plan_id(app, request):
    with acceptance(app, request.param):
        people.omar()
        yield people.a_plan(people.amal(), first=-40)


def paid_by_the_pay_link(plan_id):
    """The words of the customer's mails after a payment by the pay link and its bounce: subject, text and HTML."""
    customer_id = people.plan_of(plan_id).customer_id
    paid = payments.pay_plan(
        plan_id, customer_id=customer_id, choice="amount", amount=25_00, shown=None, method="card_ok", link="pay"
    )
    delivery.drain()
    people.bounce(paid.payment.id)
    delivery.drain()


def words(mail):
    return mail["Subject"], text_of(mail), html_of(mail)


def test_a_receipt_and_a_bounce_of_a_disputed_plan_ask_for_nothing(plan_id, catcher):
    disputes.dispute(plan_id, customer_id=people.plan_of(plan_id).customer_id)
    delivery.drain()
    count = len(catcher.mails)
    paid_by_the_pay_link(plan_id)
    receipt, bounce = [mail for mail in catcher.mails[count:] if mail["To"] == "omar@example.com"]
    for mail in (receipt, bounce):
        for part in words(mail):
            assert [ask for ask in ASKS if ask in part] == []
        for part in words(mail)[1:]:
            assert "You said that this plan is not yours" in part
            assert "25.00" in part


def test_a_receipt_of_a_plan_that_waits_for_acceptance_says_that_nothing_is_owed(app, catcher):
    with acceptance(app, "required"):
        people.omar()
        plan_id = people.a_plan(people.amal())
        paid_by_the_pay_link(plan_id)
    receipt = next(mail for mail in catcher.mails if "received your payment" in mail["Subject"])
    for part in words(receipt)[1:]:
        assert "Nothing more of the plan is owed until you accept it." in part
        assert "Still to pay" not in part and "Nothing is left" not in part


def test_the_invitation_to_a_plan_that_waits_for_acceptance_says_so(app, catcher):
    with acceptance(app, "required"):
        people.a_plan(people.amal(), "layla@example.com")
        delivery.drain()
    (mail,) = catcher.mails
    for part in words(mail)[1:]:
        assert "It counts once you accept it there. Until then you owe nothing of it." in part


def test_an_answer_that_the_customer_has_answered_is_not_mailed_any_more(plan_id, catcher):
    customer_id = people.plan_of(plan_id).customer_id
    disputes.dispute(plan_id, customer_id=customer_id)
    disputes.answer(plan_id, actor=people.owner(people.plan_of(plan_id).merchant_id), text="You bought it on Friday")
    disputes.uphold(plan_id, customer_id=customer_id)
    delivery.drain()
    assert [mail for mail in catcher.mails if "answered you" in mail["Subject"]] == []


def test_the_mails_that_ask_are_the_ones_of_the_templates():
    """The phrases that these tests look for are in use: a reworded one does not pass by absence."""
    folder = Path(__file__).parents[3] / "templates" / "mail"
    texts = "".join(path.read_text() for path in folder.rglob("*.*"))
    assert [ask for ask in ASKS if ask not in texts] == []
