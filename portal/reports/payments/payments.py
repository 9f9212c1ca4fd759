"""Lists of payments of a merchant or a customer."""

from dataclasses import replace
from functools import cache, lru_cache

from sqlalchemy import Executable, Select, case, func, or_, select
from sqlalchemy.orm import joinedload, selectinload, with_expression
from sqlalchemy.sql.base import ExecutableOption

from portal.domain.permissions import Actor
from portal.models import Allocation, Installment, Payment
from portal.models.payments.payments import RECEIVED as RECEIVED
from portal.reports import orders, paging, search, tallies
from portal.reports.paging import Order, Page
from portal.reports.parties import of_actor, parties, stand_in, values_of
from portal.reports.payments.filters import ALL_PAYMENTS, PaymentFilters
from portal.reports.tallies import Tally


def list_payments(
    actor: Actor,
    filters: PaymentFilters = ALL_PAYMENTS,
    *,
    newest_first: bool = True,
    limit: int = paging.DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[Payment]:
    """The payments to this merchant or by this customer that pass the filters, in any state, with their allocations."""
    query = find(actor, filters).options(selectinload(Payment.allocations))
    return paging.fetch(query, Payment.id, descending=newest_first, limit=limit, cursor=cursor)


def list_with_plans(
    actor: Actor,
    filters: PaymentFilters = ALL_PAYMENTS,
    *,
    order: Order = orders.PAYMENTS["-date"],
    limit: int = paging.DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[Payment]:
    """Like `list_payments`, with plans, parties and the numbers of the installments.

    `order` is one of PAYMENTS (reports/orders.py): the payment whose money came in last is the first.
    """
    if cursor is None and order.is_plain and _is_common(filters):
        statement = _first_page(stand_in(actor), filters, order, limit)
        return paging.read_first_page(statement, values_of(actor), order, limit, has_beside=False)
    query = _with_plans(actor, filters)
    return paging.fetch_in(query, order, limit=limit, cursor=cursor)


def _is_common(filters: PaymentFilters) -> bool:
    """Few values that a page offers, and nothing typed: the statement may be kept."""
    offered = {name: getattr(filters, name) for name in ("state", "way", "currency", "declined")}
    return filters == replace(ALL_PAYMENTS, **offered)


@lru_cache(maxsize=32)
def _first_page(actor: Actor, filters: PaymentFilters, order: Order, limit: int) -> Select[Payment]:
    """The statement of a first page, made once: to make it and its key takes a fifth of the page."""
    return paging.first_page(_with_plans(actor, filters), order, limit)


def _with_plans(actor: Actor, filters: PaymentFilters) -> Select[Payment]:
    return find(actor, filters).options(joinedload(Payment.plan).options(*parties(actor)), _numbers())


@cache
def _numbers() -> ExecutableOption:
    """Reads of each payment the numbers of its installments, and not their rows."""
    part = func.jsonb_build_array(Allocation.id, Installment.number)
    numbers = select(func.jsonb_agg(part)).where(Allocation.payment_id == Payment.id)
    numbers = numbers.where(Installment.id == Allocation.installment_id).correlate(Payment)
    return with_expression(Payment.listed_numbers, numbers.scalar_subquery())


def tally_payments(actor: Actor, filters: PaymentFilters) -> Tally | None:
    """The payments that pass the filters, and what was received by them, less refunds and reversals.

    None if a search finds very many plans.
    """
    if search.finds_many(actor.merchant_id, filters.search):
        return None
    kept = _is_common(filters)
    statement = _kept_tally(stand_in(actor), filters) if kept else _tally(actor, filters)
    return tallies.read(statement, ("",), values_of(actor) if kept else None)[""]


def _tally(actor: Actor, filters: PaymentFilters) -> Executable:
    net = Payment.amount - Payment.refunded - Payment.reversed
    received = case((Payment.state.in_(RECEIVED), net), else_=0)
    return tallies.statement({"": (find(actor, filters), Payment.currency, received)})


_kept_tally = lru_cache(maxsize=32)(_tally)


def find(actor: Actor, filters: PaymentFilters) -> Select[Payment]:
    """The payments to this merchant or by this customer that pass the filters, in no order."""
    query = select(Payment).where(of_actor(actor, Payment, plan_id=filters.plan_id))
    if filters.plan_id is not None:
        query = query.where(Payment.plan_id == filters.plan_id)
    if filters.customer_id is not None:
        query = query.where(Payment.customer_id == filters.customer_id)
    if filters.search and filters.search.strip() and actor.merchant_id is not None:
        query = query.where(search.payments(actor.merchant_id, filters.search))
    if not filters.declined:
        query = query.where(Payment.state != "declined")
    if filters.way:
        query = query.where(Payment.by_way(filters.way))
    if filters.currency:
        query = query.where(Payment.currency == filters.currency)
    query = filters.created.narrow(query, Payment.created_at)
    query = filters.updated.narrow(query, Payment.updated_at)
    if filters.external_id is not None:
        query = query.where(Payment.external_id == filters.external_id)
    if filters.metadata:
        query = query.where(Payment.notes != {}, Payment.notes.contains(dict(filters.metadata)))
    if (filters.since is not None or filters.until is not None) and filters.state != "declined":
        query = query.where(Payment.state.in_(RECEIVED))
    if filters.since is not None:
        query = query.where(Payment.dated_at >= filters.since)
    if filters.until is not None:
        query = query.where(Payment.dated_at < filters.until)
    if filters.state == "received":
        query = query.where(Payment.state.in_(RECEIVED))
    elif filters.state == "refunded":
        query = query.where(or_(Payment.refunded > 0, Payment.refunding > 0))
    elif filters.state:
        query = query.where(Payment.state == filters.state)
    return query
