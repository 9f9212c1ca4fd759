"""Lateness of installments that a payment in flight covers: none, until the outcome is known."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import select

from portal.domain import clock
from portal.extensions import db
from portal.models import Installment, Merchant, Plan
from portal.reports.exports import customers as customers_file
from portal.reports.merchants import chasing, customers, dashboard, overview
from portal.reports.operations import checks
from portal.reports.plans import plans as plan_lists
from portal.services.payments import outcomes, payments
from portal.services.plans import lateness
from tests.fixtures import people

pytestmark = pytest.mark.usefixtures("context")

DUE = date(2026, 2, 10)
BEFORE_MIDNIGHT = datetime(2026, 2, 10, 20, 59, 58, tzinfo=UTC)
"""23:59:58 in Riyadh, the last moment of the due day."""
NEXT_DAY = BEFORE_MIDNIGHT + timedelta(hours=6)


def the_plan(plan_id):
    db.session.rollback()
    db.session.expire_all()
    return db.session.get_one(Plan, plan_id)


def seen(amal, plan_id):
    """Whether the plan is late: pages, API, lists, figures and files agree, because they share one definition."""
    plan, merchant = the_plan(plan_id), db.session.get_one(Merchant, amal)
    (row, *_) = people.installments_of(plan_id)
    home = overview.overview(merchant).home
    listed = {
        status: set(db.session.scalars(select(Installment.id).where(Installment.has_status(status, clock.now()))))
        for status in ("late", "pending", "open")
    }
    plans = {
        status: set(db.session.scalars(select(Plan.id).where(Plan.has_status(status, clock.now()))))
        for status in ("overdue", "active")
    }
    found = {
        row.status == "late",
        min(plan_lists.list_plans(people.owner(amal)).items[0].listed_installments)[2] == "late",
        row.id in listed["late"],
        row.id not in listed["pending"],
        plan.status == "overdue",
        plan_id in plans["overdue"],
        plan_id not in plans["active"],
        home.overdue_installments > 0,
        home.overdue > 0,
        dashboard.figures(merchant).home.overdue > 0,
        chasing.chases(merchant, [plan.customer_id])[plan.customer_id].days_late > 0,
        bool(customers.list_customers(merchant, customers.CustomerFilters(show="overdue")).items),
        len(list(customers_file.export_customers(people.owner(amal), customers.CustomerFilters(show="overdue")).rows))
        > 0,
    }
    assert row.id in listed["open"] and home.outstanding == plan.total
    assert len(found) == 1, found
    assert not [rule for rule, count in checks.run() if count]
    return found.pop()


@pytest.mark.parametrize(
    ("card", "late", "on_time"), [("card_lost_charged", False, True), ("card_lost_not_charged", True, None)]
)
def test_what_is_checked_over_midnight_is_late_only_when_the_check_fails(card, late, on_time):
    with time_machine.travel(BEFORE_MIDNIGHT - timedelta(days=9), tick=False) as now:
        amal, omar = people.amal(), people.omar()
        plan_id = people.a_plan(amal, count=1, first=DUE)
        now.move_to(BEFORE_MIDNIGHT)
        people.pay(people.installments_of(plan_id)[0].id, omar, card)
        assert people.installments_of(plan_id)[0].held == the_plan(plan_id).total
        now.move_to(NEXT_DAY)
        assert not seen(amal, plan_id) and lateness.mark_late_installments() == 0
        assert outcomes.settle_unknown_payments() == 1
        (row,) = people.installments_of(plan_id)
        assert (row.held, row.status) == (0, "late" if late else "paid")
        if late:
            assert seen(amal, plan_id) and the_plan(plan_id).next_late_at == row.late_at
            assert lateness.mark_late_installments() == 1
        else:
            assert row.paid_at == BEFORE_MIDNIGHT and the_plan(plan_id).status == "completed"
            home = overview.overview(db.session.get_one(Merchant, amal)).home
            assert (home.on_time, home.past) == (1, 1)


def test_a_part_that_is_checked_leaves_the_rest_late():
    with time_machine.travel(BEFORE_MIDNIGHT - timedelta(days=9), tick=False) as now:
        amal, omar = people.amal(), people.omar()
        plan_id = people.a_plan(amal, count=1, first=DUE)
        now.move_to(NEXT_DAY)
        shown = the_plan(plan_id).total
        payments.pay_plan(
            plan_id, customer_id=omar, choice="amount", shown=shown, amount=shown - 1, method="card_lost_charged"
        )
        assert people.installments_of(plan_id)[0].held == shown - 1
        assert seen(amal, plan_id)


def test_a_checked_installment_leaves_the_next_late_one():
    """The plan is overdue from the next installment that no payment covers."""
    with time_machine.travel(BEFORE_MIDNIGHT - timedelta(days=9), tick=False) as now:
        amal, omar = people.amal(), people.omar()
        plan_id = people.a_plan(amal, count=2, first=DUE)
        first, second = people.installments_of(plan_id)
        now.move_to(NEXT_DAY)
        result = payments.pay_installment(first.id, customer_id=omar, shown=None, method="card_lost_charged")
        assert result.installment is not None and result.installment.status == "pending"
        assert (the_plan(plan_id).next_late_at, the_plan(plan_id).next_due_on) == (second.late_at, first.due_date)
        now.move_to(second.late_at)
        assert the_plan(plan_id).status == "overdue"
