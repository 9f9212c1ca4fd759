"""A deactivated business: what stops, what goes on, and how refunds are released."""

import pytest
from sqlalchemy import func, text

from portal.domain import permissions
from portal.errors import Forbidden, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import Email, Event, Membership, Payment, Plan, Refund
from portal.reports.operations import background, checks
from portal.services.adjustments import credits
from portal.services.mail import delivery
from portal.services.operations import merchant_deactivations, refund_releases
from portal.services.payments import automatic, outcomes, payment_methods, payments, refunds
from portal.services.plans import lateness, plans
from portal.services.plans.plans import NewPlan
from portal.services.reminders import reminders
from tests.fixtures import operations, people

pytestmark = pytest.mark.usefixtures("context")


def deactivate(merchant_id: int) -> None:
    merchant_deactivations.deactivate(merchant_id, actor=operations.olga(), reason="Fraud")


def reactivate(merchant_id: int) -> None:
    merchant_deactivations.reactivate(merchant_id, actor=operations.olga(), reason="A mistake")


def count(table: type) -> int:
    db.session.rollback()
    return db.session.scalar(db.select(func.count()).select_from(table)) or 0


def test_no_plan_and_no_charge_until_it_is_active_again() -> None:
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal)
    first = people.installments_of(plan_id)[0].id
    stale = people.owner(amal)
    deactivate(amal)
    new = NewPlan("omar@example.com", 10_00, 1, people.today_of(amal))
    for actor in (stale, operations.owner(amal)):
        with pytest.raises(Forbidden) as refused:
            plans.open_plan(actor, new)
        assert refused.value.code == "merchant_deactivated"
    for pay in (
        lambda: payments.pay_installment(first, customer_id=omar, shown=None, method="card_ok"),
        lambda: payments.pay_plan(plan_id, customer_id=omar, choice="all", shown=None, method="card_ok"),
    ):
        with pytest.raises(Refused) as declined:
            pay()
        assert (declined.value.code, declined.value.status) == ("merchant_deactivated", 409)
    assert (count(Plan), count(Payment)) == (1, 0)
    reactivate(amal)
    assert people.pay(first, omar).state == "succeeded"
    plans.open_plan(operations.owner(amal), new)


def test_members_read_and_do_nothing_else() -> None:
    amal = people.amal()
    people.omar()
    plan_id = people.a_plan(amal)
    deactivate(amal)
    with pytest.raises(Forbidden) as refused:
        credits.credit(plan_id, actor=operations.owner(amal), amount=1, how="last", reason="Sorry")
    assert refused.value.code == "merchant_deactivated"
    viewer = permissions.member(1, amal, "viewer", "deactivated")
    with pytest.raises(Forbidden) as forbidden:
        viewer.require("credit")
    assert forbidden.value.code == "forbidden"


def test_a_payment_in_flight_is_settled_and_its_receipt_is_sent() -> None:
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal)
    payment = people.pay(people.installments_of(plan_id)[0].id, omar, "card_lost_charged")
    assert payment.state == "in_flight"
    deactivate(amal)
    outcomes.settle_payment(payment.id)
    assert people.payment_of(payment.id).state == "succeeded"
    assert people.installments_of(plan_id)[0].remaining == 0
    delivery.drain()
    assert operations.states_of("receipt") == ["kept"]


def test_a_declined_payment_in_flight_is_settled_without_a_mail() -> None:
    amal, omar = people.amal(), people.omar()
    payment = people.pay(people.installments_of(people.a_plan(amal))[0].id, omar, "card_lost_not_charged")
    deactivate(amal)
    outcomes.settle_payment(payment.id)
    assert people.payment_of(payment.id).state == "declined"
    delivery.drain()
    assert operations.states_of("payment_declined") == ["dropped"]


def test_no_lateness_no_reminder_and_no_automatic_payment() -> None:
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal, first=-20)
    automatic_id = people.a_plan(amal, first=0)
    automatic.turn_on(automatic_id, customer_id=omar, method_id=payment_methods.save(omar, "card_ok").method_id)
    db.session.execute(text("UPDATE merchants SET sending_hour = 0"))
    db.session.execute(text("SET LOCAL session_replication_role = replica"))
    db.session.execute(text("UPDATE plans SET created_at = now() - interval '40 days'"))
    db.session.commit()
    deactivate(amal)
    assert lateness.mark_late_installments() == 0
    assert automatic.collect_automatic_payments() == 0
    assert reminders.send_overdue_reminders() == 0
    reminders.send_due_soon_reminders()
    assert operations.states_of("reminder") == []
    reactivate(amal)
    assert lateness.mark_late_installments() == 1
    assert automatic.collect_automatic_payments() == 1
    late = db.session.scalars(db.select(Event).where(Event.kind == "installment.late")).one()
    assert late.plan_id == plan_id


def test_an_invitation_that_waits_is_not_sent() -> None:
    amal = people.amal()
    people.a_plan(amal, "nadia@example.com")
    deactivate(amal)
    delivery.drain()
    mail = db.session.scalars(db.select(Email).where(Email.kind == "invitation")).one()
    assert (mail.state, mail.last_error) == ("dropped", "merchant_deactivated")


def a_waiting_refund() -> tuple[int, int, int]:
    """Amal, the plan, and the refund that her deactivated business asked for."""
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal)
    people.pay(people.installments_of(plan_id)[0].id, omar)
    deactivate(amal)
    result = refunds.refund(plan_id, actor=operations.owner(amal), amount=5_00, reason="Broken")
    assert isinstance(result, refunds.RefundsPending)
    return amal, plan_id, result.refund_ids[0]


def refund_of(refund_id: int) -> Refund:
    db.session.rollback()
    return db.session.get_one(Refund, refund_id, populate_existing=True)


def test_a_refund_waits_until_an_operator_releases_it() -> None:
    _, plan_id, refund_id = a_waiting_refund()
    db.session.execute(text("SET LOCAL session_replication_role = replica"))
    db.session.execute(text("UPDATE refunds SET created_at = now() - interval '1 day'"))
    db.session.commit()
    refunds.settle_unknown_refunds()
    refunds.settle_refund(refund_id)
    refunds.send(refund_id)
    assert refund_of(refund_id).state == "in_flight"
    assert people.payment_of(refund_of(refund_id).payment_id).refunding == 5_00
    assert background.in_flight().refunds == 0
    refund_releases.release(refund_id, actor=operations.olga())
    refunds.settle_refund(refund_id)
    assert refund_of(refund_id).state == "succeeded"
    delivery.drain()
    assert operations.states_of("refund") == ["kept"]
    assert operations.acts()[-1][0] == "refund_released"
    with pytest.raises(Refused, match="not_waiting"):
        refund_releases.release(refund_id, actor=operations.olga())
    assert people.plan_of(plan_id).state == "active"


def test_a_withheld_refund_is_declined_and_can_be_asked_for_again() -> None:
    amal, plan_id, refund_id = a_waiting_refund()
    with pytest.raises(Invalid):
        refund_releases.withhold(refund_id, actor=operations.olga(), reason="")
    refund_releases.withhold(refund_id, actor=operations.olga(), reason="Not yours")
    refund = refund_of(refund_id)
    assert (refund.state, refund.decline_code, refund.awaits_release) == ("declined", "not_released", False)
    assert people.payment_of(refund.payment_id).refunding == 0
    assert [rule for rule, count in checks.run() if count] == []
    again = refunds.refund(plan_id, actor=operations.owner(amal), amount=5_00, reason="Broken")
    assert again.refunds[0].state == "in_flight"


def test_an_overcharge_goes_back_without_a_release() -> None:
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal, count=1)
    payment = people.pay(people.installments_of(plan_id)[0].id, omar, "card_lost_charged")
    deactivate(amal)
    db.session.execute(text("SET LOCAL session_replication_role = replica"))
    db.session.execute(text("UPDATE installments SET credited = amount"))
    db.session.commit()
    outcomes.settle_payment(payment.id)
    assert [refund.state for refund in db.session.scalars(db.select(Refund))] == ["succeeded"]


def test_refunds_of_other_businesses_and_of_cash_do_not_wait() -> None:
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal)
    people.pay(people.installments_of(plan_id)[0].id, omar)
    assert isinstance(
        refunds.refund(plan_id, actor=people.owner(amal), amount=5_00, reason="Broken"), refunds.RefundsMade
    )
    assert background.in_flight().refunds == 0


def test_an_owner_objects_and_the_operators_are_told() -> None:
    amal, olga = people.amal(), operations.olga()
    with pytest.raises(Refused, match="not_deactivated"):
        merchant_deactivations.object_to(people.owner(amal), text="Why?")
    deactivate(amal)
    manager = permissions.member(people.a_member("nour", amal, "manager"), amal, "manager", "deactivated")
    with pytest.raises(Forbidden):
        merchant_deactivations.object_to(manager, text="Why?")
    for _ in range(5):
        merchant_deactivations.object_to(operations.owner(amal), text="It was not us")
    with pytest.raises(Refused, match="too_many_objections"):
        merchant_deactivations.object_to(operations.owner(amal), text="It was not us")
    assert operations.acts()[1] == ("merchant_objected", amal, "It was not us")
    assert operations.mails_to(olga.user_id) == ["operator_act"] * 6
    delivery.drain()
    subjects = db.session.scalars(db.select(Email.subject).where(Email.to_user_id == olga.user_id)).all()
    assert "Operators: amal objected for Amal's Bakery." in subjects


def test_owners_are_told_why() -> None:
    amal = people.amal()
    nour = people.a_member("nour", amal, "owner")
    people.a_member("vera", amal, "viewer")
    deactivate(amal)
    reactivate(amal)
    assert operations.mails_to(amal) == operations.mails_to(nour) == ["merchant_deactivated", "merchant_reactivated"]
    delivery.drain()
    mail = db.session.scalars(
        db.select(Email).where(Email.kind == "merchant_deactivated", Email.to_user_id == amal)
    ).one()
    assert (mail.state, mail.subject) == ("kept", "Amal's Bakery is deactivated")
    db.session.refresh(mail, ["body"])
    assert "Reason: Fraud" in (mail.body or "") and "/settings/objection" in (mail.body or "")


def test_an_operator_decides_nothing_about_their_own_business() -> None:
    amal, olga = people.amal(), operations.olga()
    db.session.add(Membership(user_id=olga.user_id, merchant_id=amal, role="viewer", created_at=db.func.now()))
    db.session.commit()
    with pytest.raises(Refused, match="own_business"):
        deactivate(amal)
    with pytest.raises(NotFound):
        deactivate(2**40)
    assert operations.merchant_of(amal).standing == "live"


def test_the_command_line_deactivates_without_an_account() -> None:
    amal = people.amal()
    merchant_deactivations.deactivate(amal, actor=None, reason="Fraud")
    assert operations.acts() == [("merchant_deactivated", None, "Fraud")]
    assert operations.merchant_of(amal).standing == "deactivated"


def test_a_race_of_a_plan_and_a_deactivation_ends_with_one_of_the_two(context: object) -> None:
    """The lock on the business: a plan that began before the deactivation is whole, a later one is refused."""
    amal = people.amal()
    people.omar()
    with db.engine.connect() as other:
        other.execute(text("SELECT FROM merchants WHERE id = :id FOR SHARE"), {"id": amal})
        with pytest.raises(Exception, match="busy"):
            deactivate(amal)
        other.rollback()
    deactivate(amal)
    assert count(Plan) == 0
