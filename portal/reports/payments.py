"""Lists of payments, as their merchant or their customer sees them."""

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from portal.models import Payment, User
from portal.reports import paging
from portal.reports.paging import Page


def list_payments(
    user: User,
    *,
    plan_id: int | None = None,
    state: str | None = None,
    newest_first: bool = True,
    limit: int = paging.DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[Payment]:
    """The payments to this merchant or by this customer, whatever became of them, with what they were for.

    `plan_id` narrows them to one plan; `state` is one of PAYMENT_STATES.
    """
    mine = Payment.merchant_id if user.role == "merchant" else Payment.customer_id
    found = select(Payment).where(mine == user.id).options(selectinload(Payment.allocations))
    if plan_id is not None:
        found = found.where(Payment.plan_id == plan_id)
    if state:
        found = found.where(Payment.state == state)
    return paging.fetch(found, Payment.id, descending=newest_first, limit=limit, cursor=cursor)
