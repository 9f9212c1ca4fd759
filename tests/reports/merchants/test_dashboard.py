"""The merchant's figures, compared with sums calculated by hand."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from sqlalchemy import text

from portal.extensions import db
from portal.models import Merchant
from portal.reports.merchants import dashboard
from portal.reports.merchants.dashboard import Figures
from tests.fixtures import people
from tests.fixtures.query_log import queries

pytestmark = pytest.mark.usefixtures("context")


def figures(merchant_id):
    db.session.rollback()
    return dashboard.figures(db.session.get_one(Merchant, merchant_id))


def sell(merchant_id, total, count, first, paid=0, card=None, email="omar@example.com"):
    """A weekly plan with its first `paid` installments paid. With `card`, the next one is attempted."""
    plan_id = people.a_plan(merchant_id, email, total=total, count=count, first=first, interval="weekly")
    rows = people.installments_of(plan_id)
    for row in rows[:paid]:
        people.pay(row.id, row.customer_id)
    if card:
        people.pay(rows[paid].id, rows[paid].customer_id, card)
    return plan_id


def test_figures_of_a_week_of_business():
    amal, _ = people.amal(), people.omar()
    sell(amal, 100_00, 4, first=-14, paid=1)  # 25.00 in, 75.00 owed; due 7 days ago is late, due today is not
    sell(amal, 30_00, 3, first=1, paid=2)  # 20.00 in, 10.00 owed
    sell(amal, 10_00, 1, first=0, paid=1)  # 10.00 in, completed
    sell(amal, 40_00, 2, first=-1, card="card_lost_charged")  # in flight counts as owed, and is not late
    sell(amal, 5_00, 1, first=3, card="card_declined")  # a declined payment does not count
    badr = people.badr()
    sell(badr, 7_777, 7, first=-30, paid=3)

    assert figures(amal).home == Figures(
        currency="SAR",
        collected=25_00 + 20_00 + 10_00,
        outstanding=75_00 + 10_00 + 40_00 + 5_00,
        overdue=25_00,
        overdue_installments=1,
        paid_installments=1 + 2 + 1,
        counted_installments=4 + 3 + 1 + 2 + 1,
    )
    assert figures(amal).home.success_rate == Decimal("36.36")
    assert figures(amal).others == []
    assert figures(badr).home == Figures("KWD", 3 * 1111, 4 * 1111, 2 * 1111, 2, 3, 7)


def test_before_the_first_plan_all_figures_are_zero():
    amal = people.amal()
    assert figures(amal).home == Figures("SAR")
    assert figures(amal).home.success_rate == Decimal("0.00")
    assert not dashboard.has_plans(amal)
    assert dashboard.latest_payments(amal) == dashboard.plans_needing_attention(amal) == []
    people.a_plan(amal)
    assert dashboard.has_plans(amal)


@pytest.mark.parametrize(
    ("paid", "of", "rate"),
    [(0, 3, "0.00"), (1, 3, "33.33"), (2, 3, "66.67"), (1, 8, "12.50"), (1, 7, "14.29"), (3, 3, "100.00")],
)
def test_the_success_rate_has_two_digits(paid, of, rate):
    assert str(Figures("SAR", paid_installments=paid, counted_installments=of).success_rate) == rate


def test_waived_cancelled_and_written_off_count_neither_as_late_nor_in_the_rate():
    amal, _ = people.amal(), people.omar()
    sell(amal, 30_00, 3, first=-30, paid=1)
    whole = sell(amal, 30_00, 3, first=-30)
    _write("UPDATE installments SET credited = remaining WHERE plan_id = :plan AND number = 1", plan=whole)
    _write("UPDATE installments SET written_off = remaining WHERE plan_id = :plan AND number = 2", plan=whole)
    _write(
        "UPDATE installments SET credited = remaining, cancelled_at = now() WHERE plan_id = :plan AND number = 3",
        "UPDATE plans SET state = 'cancelled', closed_at = now(), closed_by = 'cancel' WHERE id = :plan",
        plan=whole,
    )
    assert [row.status for row in people.installments_of(whole)] == ["waived", "written_off", "cancelled"]
    home = figures(amal).home
    assert (home.paid_installments, home.counted_installments, home.overdue_installments) == (1, 3, 2)
    assert home.outstanding == 20_00


def test_totals_are_never_added_across_currencies():
    amal, omar = people.amal(), people.omar()
    sell(amal, 30_00, 3, first=0, paid=1)
    _write(
        "INSERT INTO plans (merchant_id, customer_id, description, total, currency, num_installments, interval, "
        "start_date, time_zone, grace_days, state, created_at, updated_at) "
        "VALUES (:amal, :omar, '', 500, 'USD', 1, 'weekly', '2020-01-01', 'UTC', 0, 'active', now(), now())",
        "INSERT INTO installments (plan_id, merchant_id, customer_id, currency, number, due_date, late_on, late_at, "
        "amount, paid, credited, written_off) SELECT max(id), :amal, :omar, 'USD', 1, '2020-01-01', '2020-01-02', "
        "'2020-01-02', 500, 0, 0, 0 FROM plans",
        amal=amal,
        omar=omar,
    )
    totals = figures(amal)
    assert (totals.home.currency, totals.home.outstanding, totals.home.overdue) == ("SAR", 20_00, 0)
    (usd,) = totals.others
    assert (usd.currency, usd.outstanding, usd.overdue, usd.overdue_installments) == ("USD", 500, 500, 1)


def test_late_begins_at_the_merchants_midnight_after_the_due_day_and_grace():
    with time_machine.travel(datetime(2026, 3, 1, 9, tzinfo=UTC), tick=False) as now:
        amal, _ = people.amal(), people.omar()
        plan_id = people.a_plan(amal, total=10_00, count=1, first=date(2026, 3, 3))
        for instant, status, late in (
            (datetime(2026, 3, 2, 21, tzinfo=UTC), "pending", 0),  # the due day begins in Riyadh
            (datetime(2026, 3, 3, 20, 59, 59, 999_999, tzinfo=UTC), "pending", 0),
            (datetime(2026, 3, 3, 21, tzinfo=UTC), "late", 10_00),
        ):
            now.move_to(instant)
            assert people.installments_of(plan_id)[0].status == status
            assert figures(amal).home.overdue == late
            assert len(dashboard.plans_needing_attention(amal)) == (1 if late else 0)
            assert people.plan_of(plan_id).status == ("overdue" if late else "active")


def test_the_longest_overdue_plan_needs_attention_first():
    amal, _ = people.amal(), people.omar()
    recent, oldest = sell(amal, 20_00, 2, first=-3), sell(amal, 20_00, 2, first=-30)
    sell(amal, 20_00, 2, first=0)
    sell(amal, 10_00, 1, first=-90, paid=1)
    sell(people.badr(), 20_00, 2, first=-60)
    db.session.rollback()
    assert [plan.id for plan in dashboard.plans_needing_attention(amal)] == [oldest, recent]
    assert [plan.id for plan in dashboard.plans_needing_attention(amal, limit=1)] == [oldest]


def test_the_latest_payments_are_the_merchants_own_in_every_state_newest_first():
    amal, _ = people.amal(), people.omar()
    sell(amal, 20_00, 2, first=0, paid=1, card="card_declined")
    sell(amal, 20_00, 2, first=0, card="card_lost_charged")
    sell(people.badr(), 20_00, 2, first=0, paid=1)
    db.session.rollback()
    assert [payment.state for payment in dashboard.latest_payments(amal)] == ["in_flight", "declined", "succeeded"]
    assert len(dashboard.latest_payments(amal, limit=2)) == 2


def test_more_plans_cost_no_more_queries(app):
    amal, _ = people.amal(), people.omar()

    def cost():
        db.session.rollback()
        with queries(app) as sent:
            dashboard.figures(db.session.get_one(Merchant, amal))
            for payment in dashboard.latest_payments(amal):
                assert payment.customer.username and payment.plan.description
            for plan in dashboard.plans_needing_attention(amal):
                assert plan.customer.username and plan.installments
        return len(sent)

    sell(amal, 20_00, 2, first=-10, paid=1)
    few = cost()
    for _ in range(6):
        sell(amal, 20_00, 2, first=-10, paid=1)
    assert cost() == few == 5


def _write(*statements, **values):
    db.session.rollback()
    with db.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement), values)


def test_yesterday_is_counted_from_the_merchants_own_today():
    """At 23:30 UTC the next day has begun in Riyadh, so an installment due on the UTC date is late there."""
    with time_machine.travel(datetime(2026, 3, 1, 23, 30, tzinfo=UTC), tick=False):
        amal, _ = people.amal(), people.omar()
        assert people.today_of(amal) == date(2026, 3, 2)
        people.a_plan(amal, first=people.today_of(amal) - timedelta(days=1))
        assert figures(amal).home.overdue_installments == 1
