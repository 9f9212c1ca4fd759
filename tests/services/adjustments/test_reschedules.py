"""New dates for what is open: the rows of the commit, what is refused, and what follows the new dates."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from portal.domain import clock
from portal.errors import Busy, Invalid, Refused
from portal.extensions import db
from portal.models import Email, Event, Installment, LedgerEntry
from portal.services.adjustments import cancellations, credits, reschedules, write_offs
from portal.services.adjustments.reschedules import NewTerms, PlanRescheduled, RescheduleProposed
from portal.services.payments import payments
from portal.services.payments.outcomes import PaymentMade
from tests.fixtures import people
from tests.fixtures.concurrency import at_once

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def amal():
    return people.amal()


@pytest.fixture
def plan_id(amal):
    people.omar()
    return people.a_plan(amal, total=90_00, count=3, first=10)


def day(away):
    return clock.today("Asia/Riyadh") + timedelta(days=away)


def change(plan_id, amal, how, **terms):
    return reschedules.reschedule(
        plan_id, actor=people.owner(amal), terms=NewTerms(how, **terms), reason="Salary comes later"
    )


def rows_of(plan_id):
    db.session.rollback()
    rows = db.session.scalars(select(Installment).where(Installment.plan_id == plan_id).order_by(Installment.id))
    return list(rows)


def live(plan_id):
    return [(row.number, row.due_date, row.remaining) for row in people.plan_of(plan_id).installments]


def test_one_installment_moves_and_the_closed_one_is_replaced(amal, plan_id):
    first = rows_of(plan_id)[0]
    done = change(plan_id, amal, "move", installment_id=first.id, due_date=day(25))
    assert done.amount == 30_00
    closed, _, _, added = rows_of(plan_id)
    assert (closed.status, closed.moved, closed.remaining, closed.paid_at) == ("replaced", 30_00, 0, None)
    assert (added.number, added.due_date, added.amount, added.status) == (1, day(25), 30_00, "pending")
    assert added.late_at > closed.late_at
    plan = people.plan_of(plan_id)
    assert (plan.num_installments, plan.next_due_on) == (3, min(row.due_date for row in plan.installments))
    assert sum(amount for _, _, amount in live(plan_id)) == plan.total
    assert [row.id for row in done.plan.installments] == [row.id for row in plan.installments]
    events = db.session.scalars(select(Event).where(Event.kind == "plan.rescheduled")).all()
    assert [(event.payload.how, event.payload.amount) for event in events] == [("move", 30_00)]
    assert db.session.scalar(select(func.count(LedgerEntry.id)).where(LedgerEntry.plan_id == plan_id)) == 1


def test_all_open_ones_shift_and_a_part_paid_one_ends_paid(amal, plan_id):
    omar = people.plan_of(plan_id).customer_id
    payments.pay_plan(plan_id, customer_id=omar, choice="amount", amount=40_00, shown=None, method="card_ok")
    before = live(plan_id)
    change(plan_id, amal, "shift", days=14)
    rows = rows_of(plan_id)
    assert [row.status for row in rows] == ["paid", "paid", "replaced", "pending", "pending"]
    assert (rows[1].paid, rows[1].moved, rows[1].paid_at is not None) == (10_00, 20_00, True)
    two_weeks = timedelta(days=14)
    assert [(row.due_date, row.amount) for row in rows[3:]] == [
        (before[1][1] + two_weeks, 20_00),
        (before[2][1] + two_weeks, 30_00),
    ]
    plan = people.plan_of(plan_id)
    assert (plan.num_installments, [row.number for row in rows[3:]]) == (4, [3, 4])
    payments.pay_plan(plan_id, customer_id=omar, choice="all", shown=None, method="card_ok")
    assert people.plan_of(plan_id).closed_by == "paid"


def test_the_rest_is_split_over_smaller_parts(amal, plan_id):
    change(plan_id, amal, "split", count=5, due_date=day(100), interval="weekly")
    assert [amount for _, _, amount in live(plan_id)] == [18_00] * 5
    assert [number for number, _, _ in live(plan_id)] == [1, 2, 3, 4, 5]
    plan = people.plan_of(plan_id)
    assert (plan.num_installments, plan.interval) == (5, "custom")
    change(plan_id, amal, "shift", days=1)
    assert [number for number, _, _ in live(plan_id)] == [1, 2, 3, 4, 5]


def test_a_bounce_reopens_the_part_that_was_paid(amal, plan_id):
    omar = people.plan_of(plan_id).customer_id
    paid = payments.pay_plan(plan_id, customer_id=omar, choice="amount", amount=10_00, shown=None, method="card_ok")
    change(plan_id, amal, "shift", days=14)
    people.bounce(paid.payment.id)
    first = rows_of(plan_id)[0]
    assert (first.remaining, first.moved, first.status, first.paid_at) == (10_00, 20_00, "pending", None)
    assert sum(amount for _, _, amount in live(plan_id)) == 90_00


@pytest.mark.parametrize(
    ("how", "terms"),
    [
        ("split", {"count": 2, "due_date": 200}),
        ("split", {"count": 3, "due_date": 1}),
        ("move", {"installment_id": "last", "due_date": 1}),
        ("shift", {"days": -1}),
    ],
)
def test_earlier_days_and_larger_amounts_need_the_customers_consent(amal, plan_id, how, terms):
    before = live(plan_id)
    terms = dict(terms)
    if "due_date" in terms:
        terms["due_date"] = day(terms["due_date"])
    if "installment_id" in terms:
        terms["installment_id"] = rows_of(plan_id)[-1].id
    assert isinstance(change(plan_id, amal, how, **terms), RescheduleProposed)
    db.session.rollback()
    assert live(plan_id) == before
    assert db.session.scalar(select(func.count(Email.id)).where(Email.kind == "plan_rescheduled")) == 0


@pytest.mark.parametrize(
    ("how", "terms", "fault"),
    [
        ("melt", {}, ("how", "bad_choice")),
        ("shift", {}, ("days", "bad_number")),
        ("shift", {"days": 367}, ("days", "bad_number")),
        ("move", {"due_date": 50}, ("installment", "not_open")),
        ("move", {"installment_id": "first", "due_date": -1}, ("due_date", "date_in_past")),
        ("move", {"installment_id": "first", "due_date": 10}, ("due_date", "date_taken")),
        ("split", {"count": 0, "due_date": 50}, ("num_installments", "bad_count")),
        ("split", {"count": 61, "due_date": 50}, ("num_installments", "bad_count")),
        ("split", {"count": 3}, ("due_date", "bad_date")),
        ("split", {"count": 3, "due_date": 50, "interval": "daily"}, ("interval", "bad_interval")),
    ],
)
def test_terms_that_can_not_be_are_refused(amal, plan_id, how, terms, fault):
    terms = dict(terms)
    if "due_date" in terms:
        terms["due_date"] = day(terms["due_date"])
    if "installment_id" in terms:
        terms["installment_id"] = rows_of(plan_id)[0].id
    with pytest.raises(Invalid) as refused:
        change(plan_id, amal, how, **terms)
    assert (refused.value.faults[0].field, refused.value.faults[0].code) == fault


def test_a_plan_has_at_most_sixty_live_installments(amal):
    omar = people.omar()
    plan_id = people.a_plan(amal, total=60_00, count=60, first=10)
    payments.pay_plan(plan_id, customer_id=omar, choice="amount", amount=1_50, shown=None, method="card_ok")
    with pytest.raises(Invalid) as refused:
        change(plan_id, amal, "shift", days=3)
    assert (refused.value.faults[0].field, refused.value.faults[0].code) == ("how", "bad_count")
    db.session.rollback()
    with pytest.raises(Invalid) as refused:
        change(plan_id, amal, "split", count=59, due_date=day(2000))
    assert refused.value.faults[0].facts["limit"] == 58


@pytest.mark.parametrize("end", ["cancel", "credit", "write off"])
def test_a_closed_plan_is_not_rescheduled(amal, plan_id, end):
    owner = people.owner(amal)
    if end == "cancel":
        cancellations.cancel(plan_id, actor=owner, reason="No")
    elif end == "credit":
        credits.credit(plan_id, actor=owner, amount=90_00, how="last", reason="No")
    else:
        write_offs.write_off(plan_id, actor=owner, reason="No")
    with pytest.raises(Refused, match="nothing_owed"):
        change(plan_id, amal, "shift", days=3)


def test_of_eight_at_once_no_minor_unit_is_lost(app, amal, plan_id):
    omar = people.plan_of(plan_id).customer_id
    db.session.rollback()

    def shift():
        return change(plan_id, amal, "shift", days=7)

    def pay():
        return payments.pay_plan(plan_id, customer_id=omar, choice="amount", amount=7_00, shown=None, method="card_ok")

    results = at_once(app, [shift, pay] * 4)
    expected = (Refused, PlanRescheduled, PaymentMade, Busy)
    assert [result for result in results if not isinstance(result, expected)] == []
    rows = rows_of(plan_id)
    assert sum(row.amount - row.moved for row in rows) == 90_00
    assert sum(row.paid + row.remaining for row in rows) == 90_00
