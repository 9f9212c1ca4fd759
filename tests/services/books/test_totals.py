"""The sums behind a business's figures equal what is counted, whatever is folded, and reading them costs the same."""

import json
import threading
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import event, func, select, text

from portal.domain import clock
from portal.extensions import db
from portal.models import CollectedTotal, DueTotal, Merchant
from portal.reports.merchants import dashboard, overview
from portal.reports.operations import checks
from portal.services.adjustments import write_offs
from portal.services.books import totals
from portal.services.payments import manual_payments, refunds
from tests.fixtures import people
from tests.fixtures.business import everything
from tests.fixtures.concurrency import at_once
from tests.services.money import counted

pytestmark = pytest.mark.usefixtures("context")


def shown(merchant_id):
    """Everything that pages and API show of the totals."""
    db.session.rollback()
    merchant = db.session.get_one(Merchant, merchant_id)
    return overview.overview(merchant), dashboard.figures(merchant)


def rows(table=DueTotal, **conditions):
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(table).filter_by(**conditions))


def broken():
    """The rules about totals with the rows that break them: of the whole check, and of what was touched lately."""
    db.session.rollback()
    since = clock.now() - timedelta(days=1)
    return [
        {code: count for code, count in found if code.endswith("_totals") and count}
        for found in (checks.run(), checks.run_recent(since))
    ]


def test_a_fold_changes_no_figure():
    amal = everything()["amal"]
    before = shown(amal)
    count = counted.figures(amal, "SAR")
    assert {name: getattr(before[0].home, name) for name in count} == count
    assert rows(merchant_id=amal, folded=True) == 0
    totals.fold(amal)
    assert shown(amal) == before
    assert rows(merchant_id=amal, folded=False) == rows(CollectedTotal, merchant_id=amal, folded=False) == 0
    totals.fold(amal)
    assert shown(amal) == before and broken() == [{}, {}]


def test_comparisons_read_what_was_recorded_then_after_folds_too():
    with time_machine.travel(datetime(2026, 3, 20, 9, 30, tzinfo=UTC), tick=False) as now:
        amal, omar = people.amal(), people.omar()
        plan_id = people.a_plan(amal, total=400_00, count=4, first=date(2026, 2, 10))
        first, second, third, _ = people.installments_of(plan_id)
        for paid, at in ((first, (2026, 3, 20, 9, 30)), (second, (2026, 3, 21, 8, 0)), (third, (2026, 4, 2, 9, 0))):
            now.move_to(datetime(*at, tzinfo=UTC))
            people.pay(paid.id, omar)
            totals.fold(amal)
        now.move_to(datetime(2026, 4, 20, 9, 59, tzinfo=UTC))
        home = shown(amal)[0].home
        assert (home.outstanding, home.outstanding_before) == (100_00, 200_00)
        assert home.collected_before == 0  # by 9:00 of 20 March; the payment came at 9:30
        now.move_to(datetime(2026, 4, 20, 10, 0, tzinfo=UTC))
        assert shown(amal)[0].home.collected_before == 100_00
        totals.fold(amal)
        assert shown(amal)[0].home.collected_before == 100_00
        now.move_to(datetime(2026, 6, 1, 9, tzinfo=UTC))
        before = shown(amal)
        totals.fold(amal)
        assert shown(amal) == before
        assert rows(CollectedTotal) == 3 and before[0].home.months[2].collected == 200_00


def test_a_day_keeps_few_rows_however_often_it_changes():
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal, total=60_00, count=1, first=-3)
    for turn in range(20):
        manual_payments.record(
            plan_id, actor=people.owner(amal), amount=1_00 + turn, method="cash", received_on=people.today_of(amal)
        )
        if turn % 5 == 0:
            totals.fold(amal)
    assert rows() == rows(folded=True) + 4 > 4
    totals.fold(amal)
    assert rows() == rows(CollectedTotal) == 1
    assert omar and broken() == [{}, {}]


def test_the_job_folds_businesses_with_many_new_rows(monkeypatch):
    amal, badr = people.amal(), people.badr()
    people.a_plan(amal, count=4)
    people.a_plan(badr, count=2)
    monkeypatch.setattr(totals, "FRESH", 3)
    assert totals.fold_all() == 1
    assert (rows(merchant_id=amal, folded=False), rows(merchant_id=badr, folded=False)) == (0, 2)
    assert totals.fold_all() == 0


def test_folds_while_others_pay_lose_nothing_and_count_nothing_twice(app: Flask):
    amal, omar = people.amal(), people.omar()
    plan_ids = [people.a_plan(amal, total=6_00, count=6) for _ in range(4)]
    installments = [[row.id for row in people.installments_of(plan_id)] for plan_id in plan_ids]
    done = threading.Event()

    def pay(plan):
        def all_of_it():
            for row_id in installments[plan]:
                people.pay(row_id, omar)
                db.session.rollback()
            return "paid"

        return all_of_it

    def fold():
        seen = set()
        while not done.is_set():
            totals.fold(amal)
            figures = dashboard.figures(db.session.get_one(Merchant, amal)).home
            seen.add(figures.outstanding + figures.collected)
            db.session.rollback()
        return seen

    def payers():
        try:
            return at_once(app, [pay(number) for number in range(4)])
        finally:
            done.set()

    paid, *seen = at_once(app, [payers, fold, fold])
    assert paid == ["paid"] * 4
    assert seen == [{24_00}, {24_00}]
    assert shown(amal)[1].home.collected == 24_00 and broken() == [{}, {}]


def test_totals_are_counted_anew():
    amal = everything()["amal"]
    plan_id = people.a_plan(amal, total=9_00, count=3, first=-40)
    people.pay(people.installments_of(plan_id)[0].id, people.plan_of(plan_id).customer_id)
    refunds.refund(plan_id, actor=people.owner(amal), amount=1_00, reason="Scratched")
    write_offs.write_off(plan_id, actor=people.owner(amal), reason="Moved away")
    before = shown(amal)[1]
    db.session.rollback()
    with db.engine.begin() as connection:
        connection.execute(text("DELETE FROM due_totals"))
        connection.execute(
            text("UPDATE collected_totals SET amount = amount + 1 WHERE merchant_id = :id"), {"id": amal}
        )
    whole, recent = broken()
    assert set(whole) == set(recent) == {"due_totals", "collected_totals"}
    totals.rebuild()
    assert shown(amal)[1] == before and broken() == [{}, {}]


def test_a_rolled_back_change_leaves_no_sum():
    plan_id = people.a_plan(people.amal(), count=2)
    before = rows()
    with db.engine.connect() as connection:
        connection.execute(text("UPDATE installments SET credited = 1 WHERE plan_id = :plan"), {"plan": plan_id})
        connection.rollback()
    assert rows() == before


MANY = """
    INSERT INTO plans (merchant_id, customer_id, description, total, currency, num_installments, interval, start_date,
                       time_zone, grace_days, state, next_due_on, next_late_at, created_at, updated_at)
    SELECT :amal, :omar, '', 4, 'SAR', 4, 'monthly', current_date - n % 300, 'Asia/Riyadh', 0, 'active',
           current_date, now(), now(), now() FROM generate_series(1, :plans) AS n;
    INSERT INTO installments (plan_id, merchant_id, customer_id, currency, number, due_date, late_on, late_at, amount,
                              paid, credited, written_off)
    SELECT id, merchant_id, customer_id, 'SAR', n, start_date + 30 * (n - 1), start_date + 30 * n,
           start_date + 30 * n, 1, 0, 0, 0 FROM plans, generate_series(1, 4) AS n
    WHERE NOT EXISTS (SELECT FROM installments WHERE plan_id = plans.id)
"""


@pytest.mark.long
def test_reading_the_figures_of_a_hundred_thousand_installments_reads_no_more_rows():
    amal, omar = people.amal(), people.omar()
    db.session.rollback()

    def cost(plans):
        """The rows and pages that the figures read of `plans` more plans of four installments."""
        with db.engine.begin() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            for statement in MANY.split(";"):
                connection.execute(text(statement), {"amal": amal, "omar": omar, "plans": plans})
        totals.rebuild()
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
        merchant = db.session.get_one(Merchant, amal)
        read: list[tuple[int, int]] = []

        def explain(connection, cursor, statement, parameters, context, executemany):
            plan = cursor.connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters)
            answer = plan.fetchone()[0]
            plan = (json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]
            read.append((_scanned(plan), plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]))

        event.listen(db.engine, "before_cursor_execute", explain)
        try:
            overview.overview(merchant)
            figures = dashboard.figures(merchant).home
        finally:
            event.remove(db.engine, "before_cursor_execute", explain)
        db.session.rollback()
        return figures.counted_installments, sum(rows for rows, _ in read), sum(pages for _, pages in read)

    few, many = cost(1_000), cost(24_000)
    assert (few[0], many[0]) == (4_000, 100_000)
    assert many[1] <= few[1] <= 2 * 400 and many[2] <= 2 * few[2]


def _scanned(plan):
    """The rows that the scans of a query plan returned or dropped."""
    own = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return (own if "Relation Name" in plan else 0) + sum(_scanned(part) for part in plan.get("Plans", []))
