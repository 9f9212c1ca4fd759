"""The customer's home page across merchants."""

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


def test_without_plans_the_home_page_is_empty(omar):
    assert look(omar) == home.Home([], [], {}, [], [], 0, True)
    assert home.latest_payments(omar) == []


def test_due_and_coming_installments_across_merchants(merchants, omar):
    amal, badr = merchants
    late = people.a_plan(amal, total=30_00, count=3, first=-8, interval="weekly")
    today = people.a_plan(badr, total=9_000, count=2, first=0, interval="weekly")
    later = people.a_plan(amal, total=10_00, count=1, first=3)
    people.sara()
    people.a_plan(amal, "sara@example.com", first=-5)
    page = look(omar)
    assert [(row.plan_id, row.number) for row in page.due] == [(late, 1), (late, 2), (today, 1)]
    assert [(row.plan_id, row.number) for row in page.coming] == [(later, 1), (late, 3), (today, 2)]
    assert page.owed == {"KWD": 9_000, "SAR": 40_00}
    assert [plan.id for plan in page.plans] == [late, today, later]
    assert page.closed_plans == 0


def test_paid_installments_are_neither_due_nor_owed(merchants, omar):
    amal, _ = merchants
    plan_id = people.a_plan(amal, total=20_00, count=2, first=-8, interval="weekly")
    first, second = people.installments_of(plan_id)
    people.pay(first.id, omar)
    assert [row.id for row in look(omar).due] == [second.id]
    assert look(omar).owed == {"SAR": 10_00}
    people.pay(second.id, omar)
    assert look(omar) == home.Home([], [], {}, [], [], 1, True)
    assert [payment.amount for payment in home.latest_payments(omar)] == [10_00, 10_00]


def test_an_installment_with_a_payment_in_flight_is_owed_with_what_it_holds(merchants, omar):
    plan_id = people.a_plan(merchants[0], count=1)
    payment = people.pay(people.installments_of(plan_id)[0].id, omar, "card_lost_charged")
    (row,) = look(omar).due
    assert (row.held, row.remaining, payment.state) == (100_00, 100_00, "in_flight")
    assert home.latest_payments(omar) == []


def test_many_due_installments_do_not_displace_the_coming_ones(merchants, omar):
    """Due and coming installments have separate limits, so many due ones do not displace the coming ones."""
    behind = people.a_plan(merchants[0], total=30_00, count=30, first=-29 * 7, interval="weekly")
    ahead = people.a_plan(merchants[1], total=9_000, count=2, first=5, interval="weekly")
    page = look(omar)
    assert [(row.plan_id, row.number) for row in page.due] == [(behind, number) for number in range(1, 13)]
    assert [(row.plan_id, row.number) for row in page.coming] == [(ahead, 1), (ahead, 2)]


def test_each_installment_is_due_by_its_own_merchants_calendar(omar):
    """At 21:30 UTC the next day has begun in Riyadh, and not in New York."""
    with time_machine.travel(datetime(2026, 3, 1, 21, 30, tzinfo=UTC), tick=False):
        york = people.a_merchant("york", time_zone="America/New_York")
        amal = people.amal()
        there = people.a_plan(york, count=1, first=date(2026, 3, 2))
        here = people.a_plan(amal, count=1, first=date(2026, 3, 2))
        page = look(omar)
        assert [row.plan_id for row in page.due] == [here]
        assert [row.plan_id for row in page.coming] == [there]


def test_more_plans_cost_no_more_queries(app, merchants, omar):
    def cost():
        db.session.rollback()
        with queries(app) as sent:
            page = home.home(omar)
            for row in (*page.due, *page.coming):
                assert row.plan.merchant.business_name and row.held == 0
            for plan in page.plans:
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
