"""Lists of payments of a merchant or a customer."""

from datetime import datetime

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import joinedload, selectinload

from portal.models import Allocation, Payment, Plan, User
from portal.models.payments.payments import RECEIVED as RECEIVED
from portal.reports import paging
from portal.reports.paging import Page


def list_payments(
    user: User,
    *,
    plan_id: int | None = None,
    customer_id: int | None = None,
    state: str | None = None,
    currency: str | None = None,
    newest_first: bool = True,
    limit: int = paging.DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[Payment]:
    """The payments to this merchant or by this customer, with their allocations.

    `plan_id` and `customer_id` select those of one plan or one customer. `state` is one of PAYMENT_STATES, "received"
    (the money came in) or "refunded" (a part was refunded or is being refunded). Refuses: bad_cursor (Invalid).
    """
    query = find(user, plan_id=plan_id, customer_id=customer_id, state=state, currency=currency)
    query = query.options(selectinload(Payment.allocations))
    return paging.fetch(query, Payment.id, descending=newest_first, limit=limit, cursor=cursor)


def list_with_plans(
    user: User,
    *,
    customer_id: int | None = None,
    state: str | None = None,
    currency: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = paging.DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[Payment]:
    """Like `list_payments`, newest first, with plans, parties and the installments of the allocations.

    `since` (inclusive) and `until` (exclusive) are aware. With either, only received payments that were settled between
    them are listed, in the order of settlement. Refuses: bad_cursor (Invalid).
    """
    query = find(user, customer_id=customer_id, state=state, currency=currency, since=since, until=until)
    parties = joinedload(Payment.plan).options(joinedload(Plan.merchant), joinedload(Plan.customer))
    query = query.options(parties, selectinload(Payment.allocations).joinedload(Allocation.installment))
    keys = (Payment.settled_at, Payment.id) if since or until else (Payment.id,)
    return paging.fetch(query, *keys, descending=True, limit=limit, cursor=cursor)


def find(
    user: User,
    *,
    plan_id: int | None = None,
    customer_id: int | None = None,
    state: str | None = None,
    currency: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Select[Payment]:
    """The query for these payments, without an order. The parameters are those of `list_with_plans`."""
    mine = Payment.merchant_id if user.role == "merchant" else Payment.customer_id
    query = select(Payment).where(mine == user.id)
    if plan_id is not None:
        query = query.where(Payment.plan_id == plan_id)
    if customer_id is not None:
        query = query.where(Payment.customer_id == customer_id)
    if currency:
        query = query.where(Payment.currency == currency)
    if since or until:
        query = query.where(Payment.state.in_(RECEIVED))
    if since:
        query = query.where(Payment.settled_at >= since)
    if until:
        query = query.where(Payment.settled_at < until)
    if state == "received":
        query = query.where(Payment.state.in_(RECEIVED))
    elif state == "refunded":
        query = query.where(or_(Payment.refunded > 0, Payment.refunding > 0))
    elif state:
        query = query.where(Payment.state == state)
    return query
