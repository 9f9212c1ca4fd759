"""Mails to the customer about acts of the business and of the bank: what changed, as of the moment of sending."""

from collections.abc import Callable

import pytest

from portal.extensions import db
from portal.models import Email
from portal.services.adjustments import cancellations, credits, reschedules, voids, write_offs
from portal.services.adjustments.reschedules import NewTerms
from portal.services.mail import delivery
from portal.services.operations import account_deactivations, merchant_deactivations
from portal.services.payments import automatic, manual_payments, payment_methods, payments
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from portal.services.reminders import mutes
from tests.fixtures import mails, people
from tests.fixtures.mails import text_of

pytestmark = pytest.mark.usefixtures("context")

Act = Callable[[int, int], object]


def record(plan_id, actor, amount=10_00):
    day = people.today_of(actor.merchant_id)
    return manual_payments.record(plan_id, actor=actor, amount=amount, method="cash", received_on=day).payment_id


def void_after_its_receipt(plan_id, actor):
    payment_id = record(plan_id, actor)
    delivery.drain()
    voids.void(payment_id, actor=actor, reason="It came late")


ACTS: dict[str, Act] = {
    "plan_credited": lambda plan_id, amal: credits.credit(
        plan_id, actor=people.owner(amal), amount=10_00, how="last", reason="It came late"
    ),
    "plan_rescheduled": lambda plan_id, amal: reschedules.reschedule(
        plan_id, actor=people.owner(amal), terms=NewTerms("shift", days=7), reason="It came late"
    ),
    "plan_written_off": lambda plan_id, amal: write_offs.write_off(
        plan_id, actor=people.owner(amal), reason="It came late"
    ),
    "plan_cancelled": lambda plan_id, amal: cancellations.cancel(
        plan_id, actor=people.owner(amal), reason="It came late"
    ),
    "payment_voided": lambda plan_id, amal: void_after_its_receipt(plan_id, people.owner(amal)),
    "payment_reversed": lambda plan_id, amal: people.bounce(
        people.pay(people.installments_of(plan_id)[0].id, people.plan_of(plan_id).customer_id).id
    ),
}


@pytest.fixture
def plan_id(amal, omar):
    """A plan of 100.00 in four installments."""
    return people.a_plan(amal, total=100_00, count=4)


def act(kind, plan_id, amal):
    db.session.rollback()
    ACTS[kind](plan_id, amal)


def test_new_days_are_told_with_those_before(plan_id, amal, catcher):
    act("plan_rescheduled", plan_id, amal)
    assert drained("plan_rescheduled") == ("sent", None)
    text = " ".join(text_of(catcher.mails[-1]).split())
    assert "Before: " in text and "Now: " in text and text.count("25.00") >= 8
    assert "It came late" in text


def test_older_new_days_are_not_told_after_newer_ones(plan_id, amal):
    act("plan_rescheduled", plan_id, amal)
    act("plan_rescheduled", plan_id, amal)
    drained("plan_rescheduled")
    states = [(mail.state, mail.last_error) for mail in mails.outbox() if mail.kind == "plan_rescheduled"]
    assert sorted(states, key=str) == [("dropped", "rescheduled_again"), ("kept", None)]


def drained(kind):
    """Send what waits. Returns the state of the newest mail of this kind, and the reason why it was dropped."""
    delivery.drain()
    db.session.rollback()
    row = db.session.scalars(db.select(Email).where(Email.kind == kind).order_by(Email.id.desc())).first()
    return (row.state, row.last_error) if row is not None else None


def text(catcher, start):
    """The text of the mail whose subject begins like this, with ordinary spaces."""
    (mail,) = [mail for mail in catcher.mails if str(mail["Subject"]).replace("\u00a0", " ").startswith(start)]
    return " ".join(text_of(mail).split())


def test_a_credit_says_what_was_left_before_and_after(catcher, plan_id, amal):
    act("plan_credited", plan_id, amal)
    assert drained("plan_credited") == ("sent", None)
    said = text(catcher, "Amal's Bakery lowered what you owe by SAR 10.00")
    assert "gave you a credit of SAR 10.00" in said and "> It came late" in said
    assert "Left to pay before: SAR 100.00. After: SAR 90.00." in said and "Next is SAR 25.00 on" in said
    assert "By now" not in said
    assert "SAR 10.00 See the plan:" in said, "the amount of the mail is the credit, not the plan's total"


def test_a_credit_says_what_is_left_by_the_time_it_is_sent(catcher, plan_id, amal, omar):
    act("plan_credited", plan_id, amal)
    people.pay(people.installments_of(plan_id)[0].id, omar)
    drained("plan_credited")
    assert "By now SAR 65.00 is left to pay." in text(catcher, "Amal's Bakery lowered")


def test_two_credits_are_two_mails(catcher, plan_id, amal):
    act("plan_credited", plan_id, amal)
    act("plan_credited", plan_id, amal)
    drained("plan_credited")
    assert [mail.kind for mail in mails.outbox()].count("plan_credited") == 2


def test_a_write_off_says_that_it_can_still_be_paid(catcher, plan_id, amal):
    act("plan_written_off", plan_id, amal)
    assert drained("plan_written_off") == ("sent", None)
    said = text(catcher, "Amal's Bakery wrote off")
    assert "Left to pay before: SAR 100.00. After: SAR 0.00." in said and "You can still pay it." in said


def test_a_cancellation_says_what_goes_back_and_what_is_kept(catcher, plan_id, amal, omar):
    payments.pay_plan(plan_id, customer_id=omar, choice="amount", shown=None, method="card_ok", amount=40_00)
    cancellations.cancel(plan_id, actor=people.owner(amal), reason="Sold out", refund=30_00)
    assert drained("plan_cancelled") == ("sent", None)
    said = text(catcher, "Amal's Bakery cancelled a plan of yours")
    assert "Left to pay before: SAR 60.00. After: SAR 0.00." in said
    assert "SAR 30.00 was refunded to you." in said and "Amal's Bakery keeps SAR 10.00 that you paid." in said


def test_a_bounce_says_what_is_owed_again_and_that_automatic_payment_is_off(catcher, plan_id, amal, omar):
    method = payment_methods.save(omar, "card_ok").method_id
    automatic.turn_on(plan_id, customer_id=omar, method_id=method)
    act("payment_reversed", plan_id, amal)
    assert drained("payment_reversed") == ("sent", None)
    said = text(catcher, "The bank took your payment")
    assert "so it is owed again" in said and "Still to pay: SAR 100.00." in said
    assert "Automatic payment of this plan is off" in said
    assert people.plan_of(plan_id).automatic_method_id is None
    said = text(catcher, "The bank took a payment of SAR 25.00 back")
    assert "Automatic payment of this plan stopped." in said and "omar was told" in said
    assert "SAR 25.00 See the plan:" in said, "the amount of the mail is the payment, not the plan's total"
    assert catcher.recipients.count("amal@example.com") == 1


def test_a_bounced_recovery_is_not_expected_again(catcher, plan_id, amal, omar):
    write_offs.write_off(plan_id, actor=people.owner(amal), reason="Moved away")
    act("payment_reversed", plan_id, amal)
    assert drained("payment_reversed") == ("sent", None)
    assert "nothing is expected. You can still pay it." in text(catcher, "The bank took your payment")


@pytest.mark.parametrize(
    ("kind", "later", "reason"),
    [
        ("plan_credited", "plan_cancelled", "plan_closed"),
        ("plan_written_off", "plan_cancelled", None),
        ("payment_reversed", "plan_cancelled", "not_open"),
    ],
)
def test_a_mail_that_is_no_longer_true_is_dropped(catcher, plan_id, amal, kind, later, reason):
    act(kind, plan_id, amal)
    if reason is None:  # nothing is left that could be cancelled, so the customer pays it instead
        payments.pay_plan(
            plan_id, customer_id=people.plan_of(plan_id).customer_id, choice="all", shown=None, method="card_ok"
        )
    else:
        act(later, plan_id, amal)
    assert drained(kind) == ("dropped", reason or "plan_closed")


def test_a_void_tells_what_is_to_pay_again(plan_id, amal, catcher):
    act("payment_voided", plan_id, amal)
    assert drained("payment_voided") == ("sent", None)
    told = " ".join(text_of(catcher.mails[-1]).replace("\u00a0", " ").split())
    assert "Left to pay before: SAR 90.00. After: SAR 100.00. Next is SAR 25.00 on" in told
    assert "show Amal's Bakery your receipt" in told.replace("\u2019", "'") and "It came late" in told


def test_a_void_of_a_recovery_owes_nothing_again(plan_id, amal, catcher):
    act("plan_written_off", plan_id, amal)
    act("payment_voided", plan_id, amal)
    assert drained("payment_voided") == ("sent", None)
    told = text_of(catcher.mails[-1])
    assert "it counts no more" in " ".join(told.split()) and "Left to pay" not in told


def test_nothing_is_told_of_a_void_before_the_receipt_or_on_a_cancelled_plan(plan_id, amal, catcher):
    owner = people.owner(amal)
    voids.void(record(plan_id, owner), actor=owner, reason="Twice")
    assert drained("payment_voided") == ("dropped", "nothing_to_tell")
    payment_id = record(plan_id, owner)
    delivery.drain()
    act("plan_cancelled", plan_id, amal)
    voids.void(payment_id, actor=owner, reason="Twice")
    assert len([mail for mail in mails.outbox() if mail.kind == "payment_voided"]) == 1


@pytest.mark.parametrize("kind", ACTS)
class TestWho:
    """The columns of the table: with an account and without, muted, deactivated."""

    def test_a_muted_customer_gets_it(self, catcher, plan_id, amal, kind):
        mutes.mute_plan(plan_id, actor=people.owner(amal))
        act(kind, plan_id, amal)
        assert drained(kind) == ("sent", None)

    def test_a_customer_without_an_account_gets_it_with_a_link_and_without_typed_words(self, catcher, amal, kind):
        new = NewPlan("nadia@example.com", 100_00, 4, people.today_of(amal), "monthly", "Buy pills")
        plan_id = plans.open_plan(people.owner(amal), new).plan_id
        act(kind, plan_id, amal)
        assert drained(kind) == ("sent", None)
        (mail,) = [mail for mail, row in zip(catcher.mails, sent(), strict=True) if row.kind == kind]
        assert "/invitations/" in text_of(mail)
        assert "pills" not in text_of(mail) and "It came late" not in text_of(mail)

    def test_a_deactivated_person_does_not_get_it(self, catcher, plan_id, amal, omar, kind):
        act(kind, plan_id, amal)
        account_deactivations.deactivate(omar, actor=None, reason="Stolen")
        assert drained(kind) == ("dropped", "account_closed")

    def test_a_deactivated_business_does_not_send_it(self, catcher, plan_id, amal, kind):
        act(kind, plan_id, amal)
        merchant_deactivations.deactivate(amal, actor=None, reason="Fraud")
        assert drained(kind) == ("dropped", "merchant_deactivated")


def sent():
    """The mails that went out, in the order of sending."""
    rows = [mail for mail in mails.outbox() if mail.state == "sent"]
    return sorted(rows, key=lambda mail: (mail.ended_at, mail.id))
