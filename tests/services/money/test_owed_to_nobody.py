"""Money that a won dispute brings, and that is owed to nobody: it goes back, and the plan did not keep it."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from portal.domain import clock
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import Email
from portal.reports.operations import checks
from portal.reports.plans.figures import plan_figures
from portal.services.adjustments import credits
from portal.services.payments import refunds, reversals
from tests.fixtures import people
from tests.services.payments.test_won_disputes import assert_checks_hold, events_of, pay, payments_of

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def plan_id(amal, omar):
    """A plan of 100.00 in four installments; the first two are due."""
    return people.a_plan(amal, total=100_00, count=4, first=-31)


def closed_kinds(plan_id):
    db.session.rollback()
    return [kind for kind in events_of(plan_id) if kind in ("plan.completed", "plan.closed")]


def mails_of(plan_id):
    query = select(Email.kind).where(Email.plan_id == plan_id, Email.kind == "plan_completed")
    return len(db.session.scalars(query).all())


@pytest.mark.parametrize("method", ["card_ok", "card_refund_lost_done", "card_refund_lost_not_done"])
def test_a_plan_that_was_credited_after_the_bounce_stays_cancelled(plan_id, amal, omar, method):
    payment = pay(plan_id, omar, method=method)
    people.bounce(payment.id)
    credits.credit(plan_id, actor=people.owner(amal), amount=100_00, how="last", reason="Sorry")
    people.win(payment.id)
    assert_checks_hold()
    with time_machine.travel(clock.now() + timedelta(minutes=5)):
        refunds.settle_unknown_refunds()
    plan = people.plan_of(plan_id)
    assert (plan.state, plan.closed_by) == ("cancelled", "cancel")
    assert closed_kinds(plan_id) == ["plan.closed"]
    assert mails_of(plan_id) == 0
    assert_checks_hold()


def test_it_stays_cancelled_when_the_card_does_not_take_the_money(plan_id, amal, omar):
    payment = pay(plan_id, omar, method="card_refund_declined")
    people.bounce(payment.id)
    credits.credit(plan_id, actor=people.owner(amal), amount=100_00, how="last", reason="Sorry")
    people.win(payment.id)
    assert people.plan_of(plan_id).state == "cancelled"
    assert closed_kinds(plan_id) == ["plan.closed"]
    assert (mails_of(plan_id), plan_figures(plan_id).kept) == (0, 50_00)
    assert_checks_hold()


def test_a_plan_that_was_paid_again_and_refunded_stays_closed(plan_id, amal, omar):
    payment = pay(plan_id, omar, "all")
    people.bounce(payment.id)
    pay(plan_id, omar, "all")
    refunds.refund(plan_id, actor=people.owner(amal), amount=100_00, reason="Broken")
    before = closed_kinds(plan_id), mails_of(plan_id)
    people.win(payment.id)
    plan = people.plan_of(plan_id)
    assert (plan.state, plan.closed_by) == ("cancelled", "refund")
    assert (closed_kinds(plan_id), mails_of(plan_id)) == before
    assert_checks_hold()


def test_what_pays_a_part_completes_the_plan_and_the_rest_goes_back(plan_id, amal, omar):
    payment = pay(plan_id, omar, "all")
    people.bounce(payment.id)
    credits.credit(plan_id, actor=people.owner(amal), amount=60_00, how="last", reason="Sorry")
    people.win(payment.id)
    plan = people.plan_of(plan_id)
    assert (plan.state, plan.closed_by, plan_figures(plan_id).kept) == ("completed", "paid", 40_00)
    assert closed_kinds(plan_id)[-1:] == ["plan.completed"]
    assert_checks_hold()


def test_more_than_the_bank_had_taken_is_not_booked(plan_id, amal, omar):
    payment = pay(plan_id, omar)
    refunds.refund(plan_id, actor=people.owner(amal), amount=20_00, reason="Broken")
    people.bounce(payment.id, 50_00)
    key, lost_id = payment.gateway_key, payment.id
    db.session.rollback()
    won = gateway.Outcome("succeeded", amount=70_00, charged_at=clock.now(), wins_back=key)
    assert reversals.win_back("bank_gives_more", won) is None
    lost = people.payment_of(lost_id)
    assert (lost.reversed, lost.lost, lost.regained) == (30_00, 20_00, 20_00)
    assert [row.amount for row in payments_of(plan_id) if row.wins_back_id] == [30_00]
    assert [rule for rule, count in checks.run() if count] == ["gateway_charges", "gateway_reversals"]
