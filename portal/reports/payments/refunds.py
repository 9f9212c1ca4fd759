"""Lists of refunds of a merchant or a customer, and the refunded totals of plans."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, select

from portal.domain.permissions import Actor
from portal.extensions import db
from portal.models import Payment, Refund
from portal.reports import paging
from portal.reports.paging import Page
from portal.reports.parties import of_actor


class RefundTotals(NamedTuple):
    """The refunded amount of a plan, and the amount of its refunds in flight, in minor units of the plan's currency."""

    refunded: int = 0
    refunding: int = 0


def list_refunds(
    actor: Actor,
    *,
    plan_id: int | None = None,
    state: str | None = None,
    newest_first: bool = True,
    limit: int = paging.DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[Refund]:
    """The refunds by this merchant or to this customer.

    `plan_id` selects those of one plan. `state` is one of REFUND_STATES. Refuses: bad_cursor (Invalid).
    """
    query = select(Refund).where(of_actor(actor, Refund, plan_id=plan_id))
    if plan_id is not None:
        query = query.where(Refund.plan_id == plan_id)
    if state:
        query = query.where(Refund.state == state)
    return paging.fetch(query, Refund.id, descending=newest_first, limit=limit, cursor=cursor)


def refund_totals(plan_ids: Sequence[int]) -> defaultdict[int, RefundTotals]:
    """The totals by plan id, in one query. Plans without refunds have zeros."""
    sums = func.sum(Payment.refunded), func.sum(Payment.refunding)
    query = select(Payment.plan_id, *sums).where(Payment.plan_id.in_(plan_ids)).group_by(Payment.plan_id)
    rows = db.session.execute(query) if plan_ids else ()
    totals = {plan_id: RefundTotals(int(refunded), int(refunding)) for plan_id, refunded, refunding in rows}
    return defaultdict(RefundTotals, totals)


def of_ids(refund_ids: Sequence[int]) -> list[Refund]:
    """These refunds, re-read from the database, oldest first."""
    query = select(Refund).where(Refund.id.in_(refund_ids)).order_by(Refund.id)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))
