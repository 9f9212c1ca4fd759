"""What Omar owes, to whom and when, across merchants."""

from datetime import UTC, date, datetime

import pytest
import time_machine

from portal.extensions import db
from portal.reports.plans import home
from tests.fixtures import people
from tests.fixtures.query_log import queries

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def merchants(context):
    return people.amal(), people.badr()


def look(customer_id):
    db.session.rollback()
    return home.home(customer_id)


def test_nothing_at_all(omar):
    assert look(omar) == home.Home([], [], {}, [], 0, True)
    assert home.latest_payments(omar) == []


def test_due_is_until_today_and_coming_is_what_follows_across_merchants(merchants, omar):
    amal, badr = merchants
    late = people.a_plan(amal, total=30_00, count=3, first=-8, interval="weekly")
    today = people.a_plan(badr, total=9_000, count=2, first=0, interval="weekly")
    later = people.a_plan(amal, total=10_00, count=1, first=3)
    people.sara()
    people.a_plan(amal, "sara@example.com", first=-5)
    found = look(omar)
    assert [(row.plan_id, row.number) for row in found.due] == [(late, 1), (late, 2), (today, 1)]
    assert [(row.plan_id, row.number) for row in found.coming] == [(later, 1), (late, 3), (today, 2)]
    assert found.owed == {"KWD": 9_000, "SAR": 40_00}
    assert [plan.id for plan in found.plans] == [late, today, later]
    assert found.closed_plans == 0


def test_what_is_paid_is_neither_due_nor_owed(merchants, omar):
    amal, _ = merchants
    plan_id = people.a_plan(amal, total=20_00, count=2, first=-8, interval="weekly")
    first, second = people.installments_of(plan_id)
    people.pay(first.id, omar)
    assert [row.id for row in look(omar).due] == [second.id]
    assert look(omar).owed == {"SAR": 10_00}
    people.pay(second.id, omar)
    assert look(omar) == home.Home([], [], {}, [], 1, True)
    assert [payment.amount for payment in home.latest_payments(omar)] == [10_00, 10_00]


def test_a_payment_in_flight_is_still_owed_and_shows_what_holds_it(merchants, omar):
    plan_id = people.a_plan(merchants[0], count=1)
    payment = people.pay(people.installments_of(plan_id)[0].id, omar, "card_lost_charged")
    (row,) = look(omar).due
    assert [part.payment_id for part in row.held_allocations] == [payment.id]
    assert home.latest_payments(omar) == []


def test_who_is_far_behind_still_sees_what_comes_next(merchants, omar):
    """Thirty due installments hide nothing: what is due and what is coming are asked for apart."""
    behind = people.a_plan(merchants[0], total=30_00, count=30, first=-29 * 7, interval="weekly")
    ahead = people.a_plan(merchants[1], total=9_000, count=2, first=5, interval="weekly")
    found = look(omar)
    assert [(row.plan_id, row.number) for row in found.due] == [(behind, number) for number in range(1, 13)]
    assert [(row.plan_id, row.number) for row in found.coming] == [(ahead, 1), (ahead, 2)]


def test_each_installment_is_due_by_its_own_merchants_calendar(omar):
    """21:30 UTC: tomorrow has begun in Riyadh, not in New York."""
    with time_machine.travel(datetime(2026, 3, 1, 21, 30, tzinfo=UTC), tick=False):
        york = people.a_merchant("york", time_zone="America/New_York")
        amal = people.amal()
        there = people.a_plan(york, count=1, first=date(2026, 3, 2))
        here = people.a_plan(amal, count=1, first=date(2026, 3, 2))
        found = look(omar)
        assert [row.plan_id for row in found.due] == [here]
        assert [row.plan_id for row in found.coming] == [there]


def test_more_plans_cost_no_more_queries(app, merchants, omar):
    def cost():
        db.session.rollback()
        with queries(app) as sent:
            found = home.home(omar)
            for row in (*found.due, *found.coming):
                assert row.plan.merchant.business_name and row.held_allocations == []
            for plan in found.plans:
                assert plan.merchant.business_name and plan.installments
            for payment in home.latest_payments(omar):
                assert payment.plan.merchant.business_name
        return len(sent)

    def buy():
        for merchant in merchants:
            plan_id = people.a_plan(merchant, count=2, first=-8)
            people.pay(people.installments_of(plan_id)[0].id, omar)

    buy()
    few = cost()
    for _ in range(3):
        buy()
    assert cost() == few <= 11
