"""Lists lead both ways, and say how many rows and how much they have."""

import pytest

from portal.domain.permissions import Actor
from portal.extensions import db
from portal.reports import tallies
from portal.reports.payments import payments
from portal.reports.payments.filters import PaymentFilters
from portal.reports.plans import plans
from portal.reports.plans.filters import InstallmentFilters, PlanFilters
from portal.reports.tallies import Tally
from tests.fixtures import people


@pytest.fixture
def amal(context: object) -> Actor:
    """Amal's business with seven plans of SAR 90.00 in three installments; the first installment of one is paid."""
    merchant_id, omar = people.amal(), people.omar()
    ids = [people.a_plan(merchant_id, total=90_00, count=3, first=-40) for _ in range(7)]
    people.pay(people.installments_of(ids[0])[0].id, omar)
    db.session.rollback()
    return people.owner(merchant_id)


@pytest.mark.parametrize("newest_first", [True, False])
def test_a_list_leads_forwards_and_back_over_the_same_pages(amal: Actor, newest_first: bool) -> None:
    pages, cursor = [], None
    for _ in range(3):
        pages.append(plans.list_plans(amal, newest_first=newest_first, limit=3, cursor=cursor))
        cursor = pages[-1].next_cursor
    ids = [[plan.id for plan in page.items] for page in pages]
    assert [len(page) for page in ids] == [3, 3, 1] and cursor is None and pages[0].prev_cursor is None
    second = plans.list_plans(amal, newest_first=newest_first, limit=3, cursor=pages[2].prev_cursor)
    first = plans.list_plans(amal, newest_first=newest_first, limit=3, cursor=second.prev_cursor)
    assert [[plan.id for plan in page.items] for page in (first, second)] == ids[:2]
    assert first.prev_cursor is None and first.next_cursor == pages[0].next_cursor


def test_lists_ordered_by_two_columns_lead_back(amal: Actor) -> None:
    first = plans.list_installments(amal, limit=5)
    second = plans.list_installments(amal, limit=5, cursor=first.next_cursor)
    back = plans.list_installments(amal, limit=5, cursor=second.prev_cursor)
    assert [row.id for row in back.items] == [row.id for row in first.items]


def test_tallies_agree_with_their_lists(amal: Actor) -> None:
    assert plans.tally_plans(amal, PlanFilters()).run() == Tally(7, False, {"SAR": 630_00})
    assert plans.tally_installments(amal, InstallmentFilters(status="paid")).run() == Tally(1, False, {"SAR": 30_00})
    middle = plans.list_installments(amal, InstallmentFilters(status="late"), limit=100).items[1].due_date
    for filters in (
        InstallmentFilters(status="late"),
        InstallmentFilters(status="late", currency="SAR", due_before=middle),
        InstallmentFilters(status="late", due_after=middle),
        InstallmentFilters(status="late", customer_email="omar@example.com"),
        InstallmentFilters(status="open"),
        InstallmentFilters(status="open", currency="SAR", due_before=middle),
        InstallmentFilters(status="open", due_after=middle),
    ):
        rows = plans.list_installments(amal, filters, limit=100).items
        sums = {"SAR": sum(row.remaining for row in rows)} if rows else {}
        assert plans.tally_installments(amal, filters).run() == Tally(len(rows), False, sums)
    assert plans.tally_installments(amal, InstallmentFilters(status="late", currency="KWD")).run() == Tally(
        0, False, {}
    )
    assert payments.tally_payments(amal, PaymentFilters()) == Tally(1, False, {"SAR": 30_00})
    assert payments.tally_payments(amal, PaymentFilters(state="declined")) == Tally(0, False, {})


def test_a_long_list_is_counted_up_to_a_bound(amal: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "LIMIT", 6)
    assert plans.tally_plans(amal, PlanFilters()).run() == Tally(6, True, {})
    monkeypatch.setattr(tallies, "LIMIT", 7)
    assert plans.tally_plans(amal, PlanFilters()).run() == Tally(7, False, {"SAR": 630_00})
