"""Schedules of a plan: a deposit with the rest split, own dates and amounts, and why a plan is closed."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from portal.domain import clock
from portal.errors import Invalid, Refused
from portal.extensions import db
from portal.models import Plan, PlanDraft
from portal.services.adjustments import cancellations, credits, write_offs
from portal.services.operations import approvals
from portal.services.payments import refunds
from portal.services.plans import drafts, plans
from portal.services.plans.plans import NewPlan, PlanFound
from tests.fixtures import operations, people

pytestmark = pytest.mark.usefixtures("context")

NEW = NewPlan("omar@example.com", 100_00, 3, date(2026, 8, 31), "monthly", "A cake")


def today():
    return clock.today("Asia/Riyadh")


def own(*rows, total=100_00):
    return replace(NEW, total=total, rows=tuple(rows))


def opened(new, merchant_id=None, **kwargs):
    amal = merchant_id or people.amal()
    if merchant_id is None:
        people.omar()
    return people.plan_of(plans.open_plan(people.owner(amal), new, **kwargs).plan_id)


def schedule(plan):
    return [(row.number, row.due_date, row.amount) for row in people.installments_of(plan.id)]


def faults_of(new, **kwargs):
    amal = people.amal()
    people.omar()
    with pytest.raises(Invalid) as refused:
        plans.open_plan(people.owner(amal), new, **kwargs)
    db.session.rollback()
    assert db.session.scalar(select(func.count(Plan.id))) == 0
    return {(fault.field, fault.code) for fault in refused.value.faults}


def test_a_deposit_is_due_at_once_and_the_rest_is_split():
    first = today() + timedelta(days=10)
    plan = opened(replace(NEW, deposit=30_01, start_date=first, interval="weekly"))
    week = timedelta(days=7)
    assert schedule(plan) == [
        (1, today(), 30_01),
        (2, first, 23_33),
        (3, first + week, 23_33),
        (4, first + 2 * week, 23_33),
    ]
    assert (plan.num_installments, plan.deposit, plan.start_date, plan.interval) == (4, 30_01, first, "weekly")


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"deposit": 0}, {("deposit", "bad_deposit")}),
        ({"deposit": 100_00}, {("deposit", "bad_deposit")}),
        ({"deposit": 99_98}, {("total_amount", "total_too_small")}),
        ({"deposit": 1, "num_installments": 60}, {("num_installments", "bad_count")}),
        ({"deposit": 1, "days": 0}, {("start_date", "date_after_deposit")}),
    ],
)
def test_a_deposit_that_can_not_be_is_refused(changes, faults):
    first = today() + timedelta(days=changes.pop("days", 1))
    assert faults_of(replace(NEW, start_date=first, **changes)) == faults


def test_own_dates_and_amounts_are_the_schedule():
    days = [today() + timedelta(days=away) for away in (0, 3, 90)]
    plan = opened(own((days[0], 1), (days[1], 99_00), (days[2], 99)))
    assert schedule(plan) == [(1, days[0], 1), (2, days[1], 99_00), (3, days[2], 99)]
    assert (plan.num_installments, plan.interval, plan.start_date, plan.deposit) == (3, "custom", days[0], None)


@pytest.mark.parametrize(
    ("rows", "faults"),
    [
        ([], {("installments", "bad_count")}),
        ([(1, 100)] * 61, {("installments", "bad_count")}),
        ([(0, 50_00), (0, 50_00)], {("installments/1/due_date", "dates_not_rising")}),
        ([(3, 50_00), (2, 50_00)], {("installments/1/due_date", "dates_not_rising")}),
        ([(0, 0), (1, 100_00)], {("installments/0/amount", "bad_amount")}),
        ([(-1, 100_00)], {("installments/0/due_date", "date_in_past")}),
        ([(0, 50_00), (1, 50_01)], {("installments", "wrong_sum")}),
        ([(0, 50_00), (100_000, 50_00)], {("installments/1/due_date", "bad_dates")}),
    ],
)
def test_own_rows_that_can_not_be_are_refused(rows, faults):
    typed = [(today() + timedelta(days=away), amount) for away, amount in rows]
    assert faults_of(own(*typed)) == faults


def test_own_rows_of_the_past_are_for_migrations():
    rows = ((date(2024, 1, 1), 40_00), (date(2024, 2, 1), 60_00))
    assert [row[1:] for row in schedule(opened(own(*rows), past_dates=True))] == list(rows)


def test_the_same_schedule_under_an_external_id_is_the_same_plan():
    amal = people.amal()
    people.omar()
    days = [today() + timedelta(days=away) for away in (1, 9)]
    new = replace(own((days[0], 40_00), (days[1], 60_00)), external_id="a-1")
    first = opened(new, amal)
    assert isinstance(plans.open_plan(people.owner(amal), new), PlanFound)
    with pytest.raises(Refused) as refused:
        plans.open_plan(people.owner(amal), replace(new, rows=((days[0], 60_00), (days[1], 40_00))))
    assert (refused.value.code, refused.value.facts["plan_id"]) == ("external_id_used", first.id)
    for rows in ([(days[0], 40_00)], [(days[0], 40_00), (days[1], 60_00), (days[1] + timedelta(days=9), 10_00)]):
        with pytest.raises(Refused):  # the same first installments, and another total
            plans.open_plan(people.owner(amal), replace(new, total=sum(row[1] for row in rows), rows=tuple(rows)))
    with_deposit = replace(NEW, deposit=10_00, start_date=days[1], external_id="a-2")
    opened(with_deposit, amal)
    assert isinstance(plans.open_plan(people.owner(amal), with_deposit), PlanFound)
    with pytest.raises(Refused):
        plans.open_plan(people.owner(amal), replace(with_deposit, deposit=20_00))


@pytest.mark.parametrize("away", [1, 2, 40])
def test_a_plan_is_found_again_after_its_first_dates(away):
    amal = people.amal()
    people.omar()
    first = today() + timedelta(days=1)
    kinds = {
        "deposit": replace(NEW, deposit=10_00, start_date=first, external_id="deposit"),
        "interval": replace(NEW, start_date=today(), external_id="interval"),
        "own": replace(own((today(), 40_00), (first, 60_00)), external_id="own"),
    }
    for new in kinds.values():
        opened(new, amal)
    with time_machine.travel(clock.now() + timedelta(days=away), tick=False):
        for kind, new in kinds.items():
            assert isinstance(plans.open_plan(people.owner(amal), new), PlanFound), kind
            for other in (replace(new, total=200_00, rows=None), replace(new, start_date=date(1990, 1, 1), rows=None)):
                with pytest.raises((Invalid, Refused)):
                    plans.open_plan(people.owner(amal), other)
            with pytest.raises(Invalid):
                plans.open_plan(people.owner(amal), replace(new, external_id=f"{kind} 2", start_date=date(2026, 1, 1)))


@pytest.mark.parametrize("kind", ["deposit", "own"])
def test_a_draft_keeps_its_schedule(app, kind):
    merchant, olga = operations.a_draft_merchant(app), operations.olga()
    people.omar()
    day = today() + timedelta(days=5)
    new = replace(NEW, deposit=10_00, start_date=day) if kind == "deposit" else own((today(), 1_00), (day, 99_00))
    drafts.save(operations.owner(merchant), new)
    db.session.rollback()
    approvals.approve(merchant, actor=olga)
    assert drafts.open_all() == 1
    assert db.session.scalar(select(func.count(PlanDraft.id))) == 0
    plan = db.session.scalars(Plan.of_merchant(merchant)).one()
    expected = plans.schedule_of(new, today())
    assert schedule(plan) == [(row.number, row.due_date, row.amount) for row in expected]


def test_closed_by_says_why_nothing_is_owed():
    amal, omar = people.amal(), people.omar()
    owner = people.owner(amal)

    def made():
        return people.a_plan(amal, total=10_00, count=1)

    def pay(plan_id):
        return people.pay(people.installments_of(plan_id)[0].id, omar).id

    def why(plan_id):
        return people.plan_of(plan_id).closed_by

    paid, cancelled, lost, back, credited = (made() for _ in range(5))
    assert why(paid) is None
    pay(paid)
    cancellations.cancel(cancelled, actor=owner, reason="No")
    write_offs.write_off(lost, actor=owner, reason="Gone")
    pay(back)
    refunds.refund(back, actor=owner, amount=10_00, reason="Back")
    credits.credit(credited, actor=owner, amount=10_00, how="last", reason="A gift")
    found = [why(plan_id) for plan_id in (paid, cancelled, lost, back, credited)]
    assert found == ["paid", "cancel", "write_off", "refund", "cancel"]
    pay(lost)
    assert why(lost) == "paid"
