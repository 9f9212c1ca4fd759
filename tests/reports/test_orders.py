"""Orders of lists: pages lead through them forwards and back, over ties and rows without a value."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from portal.domain.permissions import Actor
from portal.errors import Invalid
from portal.extensions import db
from portal.models import Installment, LedgerEntry, Payment, Plan, Refund
from portal.reports import orders
from portal.reports.books import movements
from portal.reports.books.movements import MovementFilters
from portal.reports.exports.plans import export_plans
from portal.reports.paging import Order, Page
from portal.reports.payments import payments, refunds
from portal.reports.payments.filters import PaymentFilters, RefundFilters
from portal.reports.plans import plans
from portal.reports.plans.filters import PlanFilters
from portal.reports.ranges import Between
from portal.reports.tallies import Tally
from portal.services.payments import refunds as refund_service
from tests.fixtures import people, servers

List = Callable[..., Page[Any]]


def list_entries(actor: Actor, **page: Any) -> Page[Any]:
    """The ledger entries of money in and out."""
    listed = movements.list_movements(actor, MovementFilters(), **page)
    return Page([movement.entry for movement in listed.items], listed.next_cursor, listed.prev_cursor)


LISTS: dict[str, tuple[List, orders.Orders, type[Any]]] = {
    "plans": (plans.list_plans, orders.PLANS, Plan),
    "installments": (plans.list_installments, orders.INSTALLMENTS, Installment),
    "payments": (payments.list_with_plans, orders.PAYMENTS, Payment),
    "refunds": (refunds.list_with_payments, orders.REFUNDS, Refund),
    "movements": (list_entries, orders.MOVEMENTS, LedgerEntry),
}


OF_CUSTOMER = {"sort_name": "customer_id", "user_id": "customer_id"}
"""The keys of the customer's row, with what stands for them on a plan: all plans here have one customer."""


@pytest.fixture
def amal(context: object) -> Actor:
    return a_business()


@servers.made_once
def a_business() -> Actor:
    """Amal's business with plans of equal and different totals and due dates, two of them paid, and refunds."""
    merchant_id, omar = people.amal(), people.omar()
    actor = people.owner(merchant_id)
    for total, first in ((90_00, -40), (30_00, 5), (90_00, 5), (60_00, 5), (90_00, -40), (10_00, 9)):
        people.a_plan(merchant_id, total=total, count=1, first=first)
    for total in (10_00, 40_00, 10_00):
        plan_id = people.a_plan(merchant_id, total=total, count=1, first=1)
        people.pay(people.installments_of(plan_id)[0].id, omar)
        refund_service.refund(plan_id, actor=actor, amount=1_00 if total == 10_00 else 2_00, reason="It came late")
    db.session.rollback()
    return actor


def walk(listed: List, actor: Actor, order: Order) -> tuple[list[int], list[int]]:
    """The ids of all pages of two rows, forwards, and back again from the last page."""
    page = listed(actor, order=order, limit=2)
    there = [row.id for row in page.items]
    while page.next_cursor is not None:
        page = listed(actor, order=order, limit=2, cursor=page.next_cursor)
        there += [row.id for row in page.items]
    back = [row.id for row in page.items]
    while page.prev_cursor is not None:
        page = listed(actor, order=order, limit=2, cursor=page.prev_cursor)
        back = [*(row.id for row in page.items), *back]
        assert page.next_cursor is not None
    return there, back


@pytest.mark.parametrize(
    ("noun", "name"),
    [
        pytest.param(noun, name, marks=[] if number == 0 or noun == "plans" else pytest.mark.long)
        for noun in LISTS
        for number, name in enumerate(LISTS[noun][1])
    ],
)
def test_every_order_leads_over_all_rows_forwards_and_back(amal: Actor, noun: str, name: str) -> None:
    listed, offered, table = LISTS[noun]
    order = offered[name]
    rows = db.session.scalars(db.select(table)).all()
    if table is LedgerEntry:
        rows = [row for row in rows if row.kind in ("payment", "refund")]

    def key(row: Any) -> list[Any]:
        return [getattr(row, OF_CUSTOMER.get(column.key, column.key)) for column in order.keys]

    known = sorted((row for row in rows if key(row)[0] is not None), key=key, reverse=order.descending)
    unknown = sorted((row for row in rows if key(row)[0] is None), key=lambda row: row.id, reverse=order.descending)
    expected = [row.id for row in [*known, *unknown]]
    assert (len(unknown) == 3) is (noun == "plans" and name.endswith("due"))
    assert walk(listed, amal, order) == (expected, expected)


@pytest.mark.parametrize("name", ["customer", "-customer"])
def test_plans_are_sorted_by_the_names_of_their_customers(amal: Actor, name: str) -> None:
    """Names in small letters, each customer's plans by number; a customer without a name comes last both ways."""
    merchant_id = amal.business("view")
    ids = {"omar": [plan.id for plan in plans.list_plans(amal, newest_first=False, limit=50).items]}
    for username in ("Zaid", "aisha", "nameless"):
        people.a_customer(username)
        ids[username] = [people.a_plan(merchant_id, f"{username}@example.com", count=1) for _ in range(3)]
    with db.engine.begin() as connection:
        them = "SELECT id FROM users WHERE username = 'nameless'"
        connection.execute(text(f"UPDATE customers SET sort_name = NULL WHERE user_id = ({them})"))  # noqa: S608
    db.session.rollback()
    falls = name.startswith("-")
    names = ["Zaid", "omar", "aisha"] if falls else ["aisha", "omar", "Zaid"]
    expected = [plan_id for who in [*names, "nameless"] for plan_id in (ids[who][::-1] if falls else ids[who])]
    order = orders.PLANS[name]
    assert walk(plans.list_plans, amal, order) == (expected, expected)
    assert [row[0] for row in export_plans(amal, order=order).rows] == expected
    hers = plans.list_plans(amal, PlanFilters(search="aisha"), order=order).items
    assert [plan.id for plan in hers] == (ids["aisha"][::-1] if falls else ids["aisha"])


def test_a_cursor_of_another_order_is_refused(amal: Actor) -> None:
    cursor = plans.list_plans(amal, order=orders.PLANS["total"], limit=2).next_cursor
    for name in ("made", "due"):
        with pytest.raises(Invalid):
            plans.list_plans(amal, order=orders.PLANS[name], limit=2, cursor=cursor)


@pytest.mark.parametrize("name", orders.PLANS)
def test_a_file_has_the_order_of_its_list(amal: Actor, name: str) -> None:
    order = orders.PLANS[name]
    assert [row[0] for row in export_plans(amal, order=order).rows] == walk(plans.list_plans, amal, order)[0]


def test_plans_are_narrowed_to_the_time_they_were_made(amal: Actor) -> None:
    made = db.session.scalars(db.select(Plan.created_at).order_by(Plan.id)).all()
    assert len(plans.list_plans(amal, PlanFilters(created=Between(made[3]))).items) == 6
    assert len(plans.list_plans(amal, PlanFilters(created=Between(made[3], made[5]))).items) == 2


def test_a_payment_comes_with_the_numbers_of_its_installments(amal: Actor) -> None:
    plan_id = people.a_plan(amal.merchant_id, total=40_00, count=4)
    first, second, *_ = people.installments_of(plan_id)
    for row in (second, first):
        people.pay(row.id, first.customer_id)
    listed = payments.list_with_plans(amal, PaymentFilters(plan_id=plan_id)).items
    assert all(payment.listed_numbers for payment in listed)
    assert [payment.installment_numbers for payment in listed] == [[1], [2]]
    db.session.expunge_all()
    assert [db.session.get_one(Payment, payment.id).installment_numbers for payment in listed] == [[1], [2]]


def test_payments_and_refunds_are_narrowed_by_method_and_counted(amal: Actor) -> None:
    assert refunds.tally_refunds(amal, RefundFilters()) == Tally(3, False, {"SAR": 4_00})
    assert refunds.tally_refunds(amal, RefundFilters(way="card", state="succeeded")).count == 3
    assert refunds.list_with_payments(amal, RefundFilters(way="cash")).items == []
    assert len(refunds.list_with_payments(amal, RefundFilters(search="2.00")).items) == 1
    assert len(refunds.list_with_payments(amal, RefundFilters(search="omar")).items) == 3
    assert payments.tally_payments(amal, PaymentFilters(way="card")).count == 3
    assert payments.tally_payments(amal, PaymentFilters(way="transfer")).count == 0
