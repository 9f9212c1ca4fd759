"""The amounts outstanding at the end of a past day, by days past due: the same as the live figures showed that day."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine

from portal.domain import clock
from portal.errors import Refused
from portal.extensions import db
from portal.models import Merchant
from portal.reports.books import aged, balances
from portal.reports.merchants import ageing
from portal.reports.payments import statements
from portal.services.adjustments import cancellations, credits, reschedules, voids, write_offs
from portal.services.adjustments.reschedules import NewTerms
from portal.services.payments import manual_payments, refunds
from tests.fixtures import people

pytestmark = pytest.mark.usefixtures("context")
START = datetime(2026, 3, 28, 9, tzinfo=UTC)


def live(amal):
    db.session.rollback()
    report = ageing.ageing(db.session.get_one(Merchant, amal))
    return {row.currency: row for row in (report.home, *report.others) if row.outstanding}


def as_of(amal, day):
    db.session.rollback()
    return aged.as_of(people.owner(amal), day)


ALL = range(9)
MOVED, BACK = (0, 1, 2, 4, 6, 8), (0, 1, 2, 5, 6, 7, 8)
"""With new dates, or with payments that are taken back."""


@pytest.mark.parametrize(
    ("seed", "acts"),
    [
        (4, ALL),
        *(
            pytest.param(seed, acts, marks=pytest.mark.long)
            for seed, acts in enumerate((MOVED, MOVED, BACK, BACK, ALL, ALL))
            if seed != 4
        ),
    ],
)
def test_a_past_day_shows_what_that_day_showed(seed, acts):
    """With all acts mixed the sum is exact. A bucket need not be: the books know a credit by its plan alone."""
    chance, seen = random.Random(seed), {}
    with time_machine.travel(START, tick=False) as traveller:
        amal, omar = people.amal(), people.omar()
        owner = people.owner(amal)
        plans = [people.a_plan(amal, total=90_01, count=count, first=-40 + 9 * count) for count in (2, 3, 4)]
        cash = []
        for _ in range(30):
            plan_id = chance.choice(plans)
            try:
                act(chance.choice(acts), chance, owner, omar, plan_id, cash)
            except Refused:
                db.session.rollback()
            if chance.random() < 0.4:
                seen[people.today_of(amal)] = live(amal)
                traveller.shift(timedelta(days=chance.choice((1, 1, 20))))
        assert len(seen) > 5
        for day, shown in seen.items():
            aged_then = as_of(amal, day)
            if acts is not ALL:
                assert aged_then == shown, day
            assert {code: row.outstanding for code, row in aged_then.items()} == {
                code: row.outstanding for code, row in shown.items()
            }
            trial = balances.trial_balance(owner, day)
            assert {row.currency: row.outstanding for row in trial if row.outstanding} == {
                code: row.outstanding for code, row in shown.items()
            }
            closing = sum(statements.statement(people.plan_of(plan), last=day).closing for plan in plans)
            assert closing == sum(row.outstanding for row in shown.values())


def act(which, chance, owner, omar, plan_id, cash):
    parts = [row for row in people.installments_of(plan_id) if row.remaining]
    if not parts:
        return
    today = people.plan_of(plan_id).today
    why = {"actor": owner, "reason": "Why not"}
    if which in (0, 1):
        people.pay(chance.choice(parts).id, omar)
    elif which == 2:
        done = manual_payments.record(plan_id, actor=owner, amount=7_00, method="cash", received_on=today)
        cash.append(done.payment_id)
    elif which == 3:
        credits.credit(plan_id, amount=3_00, how="last", **why)
    elif which == 4:
        reschedules.reschedule(plan_id, terms=NewTerms("shift", days=chance.choice((1, 10))), **why)
    elif which == 5 and cash:
        voids.void(cash.pop(), **why)
    elif which == 6:
        refunds.refund(plan_id, amount=1_00, **why)
    elif which == 7:
        people.bounce(people.pay(parts[0].id, omar).id)
    elif chance.random() < 0.2:
        chance.choice((write_offs.write_off, cancellations.cancel))(plan_id, **why)


def test_the_file_has_a_row_for_each_plan_with_the_same_sums():
    amal = people.amal()
    people.omar()
    late, due = people.a_plan(amal, total=90_00, count=3, first=-45), people.a_plan(amal, total=30_00, count=1, first=5)
    today = clock.today("Asia/Riyadh")
    file = aged.export(people.owner(amal), today)
    rows = [dict(zip(file.header, row, strict=True)) for row in file.rows]
    assert [row["plan"] for row in rows] == [late, due]
    assert [row["outstanding"] for row in rows] == [Decimal("90.00"), Decimal("30.00")]
    assert rows[0]["days_31_60"] == Decimal("30.00") and rows[1]["not_due"] == Decimal("30.00")
    buckets = ("not_due", "days_1_30", "days_31_60", "days_61_90", "days_over_90")
    assert all(sum(row[name] for name in buckets) == row["outstanding"] for row in rows)
    assert (
        as_of(amal, today - timedelta(days=1)) == {}
        and list(aged.export(people.owner(amal), today - timedelta(days=1)).rows) == []
    )
