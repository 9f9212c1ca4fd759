"""Lists of refunds of a merchant or a customer, and the refunded totals of plans."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import joinedload

from portal.domain.permissions import Actor
from portal.extensions import db
from portal.models import Payment, Plan, Refund
from portal.reports import orders, paging, search
from portal.reports.paging import Order, Page
from portal.reports.parties import of_actor
from portal.reports.payments.filters import ALL_REFUNDS, RefundFilters
from portal.reports.tallies import Tally, tally


class RefundTotals(NamedTuple):
    """The refunded amount of a plan, and the amount of its refunds in flight, in minor units of the plan's currency."""

    refunded: int = 0
    refunding: int = 0


def list_refunds(
    actor: Actor,
    filters: RefundFilters = ALL_REFUNDS,
    *,
    newest_first: bool = True,
    limit: int = paging.DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[Refund]:
    """The refunds by this merchant or to this customer that pass the filters. Refuses: bad_cursor (Invalid)."""
    return paging.fetch(find(actor, filters), Refund.id, descending=newest_first, limit=limit, cursor=cursor)


def list_with_payments(
    actor: Actor,
    filters: RefundFilters = ALL_REFUNDS,
    *,
    order: Order = orders.REFUNDS["-date"],
    limit: int = paging.DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[Refund]:
    """The refunds by this merchant or to this customer that pass the filters, with payments, plans and parties.

    `order` is one of REFUNDS (reports/orders.py). Refuses: bad_cursor (Invalid).
    """
    parties = joinedload(Refund.plan).options(joinedload(Plan.merchant), joinedload(Plan.customer))
    query = find(actor, filters).options(parties, joinedload(Refund.payment))
    return paging.fetch_in(query, order, limit=limit, cursor=cursor)


def tally_refunds(actor: Actor, filters: RefundFilters) -> Tally | None:
    """The refunds that pass the filters, and the amounts of those that succeeded. None if a search finds very many."""
    if search.finds_many(actor.merchant_id, filters.search):
        return None
    return tally(find(actor, filters), Refund.currency, case((Refund.state == "succeeded", Refund.amount), else_=0))


def find(actor: Actor, filters: RefundFilters) -> Select[Refund]:
    """The refunds by this merchant or to this customer that pass the filters, in no order."""
    query = select(Refund).where(of_actor(actor, Refund, plan_id=filters.plan_id))
    if filters.plan_id is not None:
        query = query.where(Refund.plan_id == filters.plan_id)
    if filters.payment_id is not None:
        query = query.where(Refund.payment_id == filters.payment_id)
    if filters.customer_id is not None:
        query = query.where(Refund.customer_id == filters.customer_id)
    if filters.state:
        query = query.where(Refund.state == filters.state)
    if filters.currency:
        query = query.where(Refund.currency == filters.currency)
    if filters.external_id is not None:
        query = query.where(Refund.external_id == filters.external_id)
    if filters.metadata:
        query = query.where(Refund.notes != {}, Refund.notes.contains(dict(filters.metadata)))
    if filters.search and filters.search.strip() and actor.merchant_id is not None:
        query = query.where(search.refunds(actor.merchant_id, filters.search))
    if filters.way:
        ways = select(Payment.id).where(Payment.id == Refund.payment_id, Payment.by_way(filters.way))
        query = query.where(ways.exists())
    query = filters.updated.narrow(query, Refund.updated_at)
    return filters.created.narrow(query, Refund.created_at)


def refund_totals(plan_ids: Sequence[int]) -> defaultdict[int, RefundTotals]:
    """The totals by plan id, in one query. Plans without refunds have zeros."""
    sums = func.sum(Payment.refunded), func.sum(Payment.refunding)
    query = select(Payment.plan_id, *sums).where(Payment.plan_id.in_(plan_ids)).group_by(Payment.plan_id)
    rows = db.session.execute(query) if plan_ids else ()
    totals = {plan_id: RefundTotals(int(refunded), int(refunding)) for plan_id, refunded, refunding in rows}
    return defaultdict(RefundTotals, totals)
