"""Lists of payments, as their merchant or their customer sees them."""

from datetime import datetime
from typing import Final

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import joinedload, selectinload

from portal.models import Allocation, Payment, Plan, User
from portal.reports import paging
from portal.reports.paging import Page

RECEIVED: Final = ("succeeded", "reversed")
"""States of payments whose money came in, even if some of it went back."""


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
    """The payments to this merchant or by this customer, whatever became of them, with what they were for.

    `plan_id` narrows them to one plan, `customer_id` to one customer; `state` is one of PAYMENT_STATES, "received" (the
    money came in) or "refunded" (some of it went back, or is on its way back).
    """
    found = find(user, plan_id=plan_id, customer_id=customer_id, state=state, currency=currency)
    found = found.options(selectinload(Payment.allocations))
    return paging.fetch(found, Payment.id, descending=newest_first, limit=limit, cursor=cursor)


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
    """For pages: like `list_payments`, newest first, with plans, parties and the numbers of the installments.

    With `since` (inclusive) or `until` (exclusive) only payments whose money came in between these instants, by that.
    """
    found = find(user, customer_id=customer_id, state=state, currency=currency, since=since, until=until)
    parties = joinedload(Payment.plan).options(joinedload(Plan.merchant), joinedload(Plan.customer))
    found = found.options(parties, selectinload(Payment.allocations).joinedload(Allocation.installment))
    keys = (Payment.settled_at, Payment.id) if since or until else (Payment.id,)
    return paging.fetch(found, *keys, descending=True, limit=limit, cursor=cursor)


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
    """The payments that are meant, in no order."""
    mine = Payment.merchant_id if user.role == "merchant" else Payment.customer_id
    found = select(Payment).where(mine == user.id)
    if plan_id is not None:
        found = found.where(Payment.plan_id == plan_id)
    if customer_id is not None:
        found = found.where(Payment.customer_id == customer_id)
    if currency:
        found = found.where(Payment.currency == currency)
    if since or until:
        found = found.where(Payment.state.in_(RECEIVED))
    if since:
        found = found.where(Payment.settled_at >= since)
    if until:
        found = found.where(Payment.settled_at < until)
    if state == "received":
        found = found.where(Payment.state.in_(RECEIVED))
    elif state == "refunded":
        found = found.where(or_(Payment.refunded > 0, Payment.refunding > 0))
    elif state:
        found = found.where(Payment.state == state)
    return found
