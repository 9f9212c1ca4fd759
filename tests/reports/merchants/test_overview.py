"""The dashboard's months and comparisons, compared with sums calculated by hand."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import time_machine

from portal.extensions import db
from portal.models import Merchant
from portal.reports.merchants import dashboard, overview, totals
from portal.services.adjustments import reschedules
from portal.services.adjustments.reschedules import NewTerms
from portal.services.payments import manual_payments, refunds
from tests.fixtures import people
from tests.fixtures.business import everything
from tests.fixtures.query_log import queries

pytestmark = pytest.mark.usefixtures("context")


def look(merchant_id):
    db.session.rollback()
    return overview.overview(db.session.get_one(Merchant, merchant_id))


def pay(plan_id, *numbers):
    return [people.pay(row.id, row.customer_id).id for row in people.installments_of(plan_id) if row.number in numbers]


def reschedule(plan_id, how, **terms):
    actor = people.owner(people.plan_of(plan_id).merchant_id)
    return reschedules.reschedule(plan_id, actor=actor, terms=NewTerms(how, **terms), reason="Salary comes later")


def at(*when):
    return datetime(*when, tzinfo=UTC)


def test_a_merchant_without_plans():
    page = look(people.amal())
    assert page.others == [] and page.home.on_time_rate is None and page.home.due_rate is None
    assert len(page.home.months) == totals.MONTHS


def test_three_months_of_business():
    with time_machine.travel(at(2026, 3, 10, 9), tick=False) as now:
        amal, _ = people.amal(), people.omar()
        first = people.a_plan(amal, total=400_00, count=4, first=date(2026, 3, 10))
        pay(first, 1)
        now.move_to(at(2026, 4, 5, 9))
        second = people.a_plan(amal, total=30_00, count=3, first=date(2026, 4, 5), interval="weekly")
        (early,) = pay(second, 1)
        now.move_to(at(2026, 4, 25, 9))
        (late,) = pay(first, 2)  # due on 10 Apr: fifteen days late
        now.move_to(at(2026, 5, 20, 9))
        third = people.a_plan(amal, total=12_00, count=2, first=date(2026, 5, 20))
        pay(third, 1)
        pay(second, 2)
        refunds.refund(first, actor=people.owner(amal), amount=40_00, reason="Scratched", payment_id=late)

        page = look(amal)
        home = page.home
        assert page.month == date(2026, 5, 1)
        assert (home.collected, home.collected_before) == (
            6_00 + 10_00 - 40_00,
            10_00,
        )  # by 20 Apr only the first 10.00
        april, may = home.months[-2], home.months[-1]
        assert (april.first, april.expected, april.collected) == (date(2026, 4, 1), 130_00, 10_00 + 100_00)
        assert (may.expected, may.collected) == (106_00, 16_00 - 40_00)  # the refund of May is not April's
        assert [month.first.month for month in home.months] == [12, 1, 2, 3, 4, 5]
        assert home.months[0].collected == home.months[0].expected == 0

        assert (home.outstanding, home.outstanding_before) == (216_00, 220_00)
        assert (home.overdue, home.overdue_installments, home.overdue_before) == (110_00, 2, 2)
        assert (home.paid, home.counted) == (5, 9)
        assert (home.paid_of_due, home.due, home.due_rate) == (226_00, 336_00, Decimal("67.26"))
        assert (home.due_in_7, home.due_in_30, home.due_in_30_count) == (0, 100_00, 1)
        # passed by now: three of the first plan, three of the second; on time: the first of each
        assert (home.on_time, home.past, home.on_time_rate) == (2, 6, Decimal("33.33"))
        assert home.ages.outstanding == home.outstanding

        people.bounce(early)
        home = look(amal).home
        assert (home.months[-2].collected, home.outstanding, home.outstanding_before) == (110_00, 226_00, 220_00)
        assert (home.collected, home.months[-1].collected) == (-34_00, -34_00)  # the bounce is May's, too
        assert (home.collected_before, home.on_time, home.overdue_installments) == (10_00, 1, 3)
        assert home.overdue_before == 2  # as the page showed on 1 May, before the bounce


def test_new_dates_do_not_change_what_was_late_at_the_beginning_of_the_month():
    with time_machine.travel(at(2026, 9, 1, 9), tick=False) as now:
        amal, omar = people.amal(), people.omar()
        split = people.a_plan(amal, total=50_00, count=5, first=date(2026, 9, 1), interval="weekly")
        late = people.a_plan(amal, total=20_00, count=1, first=date(2026, 9, 1))
        now.move_to(at(2026, 11, 1, 9))
        assert look(amal).home.overdue_installments == 6
        now.move_to(at(2026, 11, 10, 9))
        people.pay(people.installments_of(split)[0].id, omar)
        manual_payments.record(
            split, actor=people.owner(amal), amount=1_00, method="cash", received_on=date(2026, 11, 10)
        )
        assert people.installments_of(split)[1].paid == 1_00
        reschedule(split, "split", count=5, due_date=date(2026, 12, 1))
        reschedule(late, "shift", days=14)
        home = look(amal).home
        assert (home.overdue_installments, home.overdue_before) == (1, 6)  # the shifted one is due on 15 September
        (shifted,) = [row for row in people.installments_of(late) if row.remaining]
        people.pay(shifted.id, omar)
        assert look(amal).home.overdue_before == 6
        now.move_to(at(2026, 12, 20, 9))
        assert look(amal).home.overdue_before == 0


def test_months_begin_at_the_merchants_midnight():
    """21:30 UTC on 31 March is in April in Riyadh."""
    with time_machine.travel(at(2026, 3, 31, 20, 30), tick=False) as now:
        amal, _ = people.amal(), people.omar()
        plan_id = people.a_plan(amal, total=20_00, count=2)
        pay(plan_id, 1)
        now.move_to(at(2026, 3, 31, 21, 30))
        pay(plan_id, 2)
        page = look(amal)
        assert page.month == date(2026, 4, 1)
        assert [month.collected for month in page.home.months[-2:]] == [10_00, 10_00]


@pytest.mark.parametrize(
    ("now", "point"),
    [
        (at(2026, 3, 15, 9), at(2026, 2, 15, 9)),
        (at(2026, 3, 15, 9, 59), at(2026, 2, 15, 9)),
        (at(2026, 3, 31, 9), at(2026, 2, 28, 21)),  # February has no 31st: all of it counts
        (at(2026, 1, 1, 0), at(2025, 12, 1, 0)),
    ],
)
def test_the_month_before_is_compared_up_to_the_same_day_and_hour(now, point):
    with time_machine.travel(now, tick=False):
        firsts = totals.month_starts(now.date(), 6)
        assert totals.a_month_ago(firsts, "Asia/Riyadh") == point


def test_the_overview_agrees_with_the_api_figures_and_the_ledger():
    amal = everything()["amal"]
    home = look(amal).home
    figures = dashboard.figures(db.session.get_one(Merchant, amal)).home
    assert figures.collected == sum(month.collected for month in home.months)
    assert (figures.outstanding, figures.overdue, figures.overdue_installments) == (
        home.outstanding,
        home.overdue,
        home.overdue_installments,
    )
    assert (figures.paid_installments, figures.counted_installments) == (home.paid, home.counted)
    books = "SELECT account, sum(amount) FROM ledger_lines WHERE account = 'receivable' GROUP BY account"
    booked = dict(db.session.execute(db.text(books)).all())
    assert booked == {"receivable": figures.outstanding}


def test_more_plans_cost_no_more_queries(app):
    amal, _ = people.amal(), people.omar()

    def cost():
        db.session.rollback()
        shop = db.session.get_one(Merchant, amal)
        with queries(app) as sent:
            overview.overview(shop)
        return len(sent)

    pay(people.a_plan(amal, first=-9), 1)
    few = cost()
    for _ in range(4):
        pay(people.a_plan(amal, first=-9), 1)
    assert cost() == few == 1
