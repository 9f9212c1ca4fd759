"""Lists of refunds, as their merchant or their customer sees them, and what went back in all."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, select

from portal.extensions import db
from portal.models import Payment, Refund, User
from portal.reports import paging
from portal.reports.paging import Page


class GivenBack(NamedTuple):
    """What went back of a plan's payments, and what is on its way back, in minor units of the plan's currency."""

    refunded: int = 0
    refunding: int = 0


def list_refunds(
    user: User,
    *,
    plan_id: int | None = None,
    state: str | None = None,
    newest_first: bool = True,
    limit: int = paging.DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[Refund]:
    """The refunds by this merchant or to this customer, whatever became of them.

    `plan_id` narrows them to one plan; `state` is one of REFUND_STATES.
    """
    mine = Refund.merchant_id if user.role == "merchant" else Refund.customer_id
    found = select(Refund).where(mine == user.id)
    if plan_id is not None:
        found = found.where(Refund.plan_id == plan_id)
    if state:
        found = found.where(Refund.state == state)
    return paging.fetch(found, Refund.id, descending=newest_first, limit=limit, cursor=cursor)


def given_back(plan_ids: Sequence[int]) -> defaultdict[int, GivenBack]:
    """By plan, in one query; nothing for a plan that nothing was refunded of."""
    sums = func.sum(Payment.refunded), func.sum(Payment.refunding)
    found = select(Payment.plan_id, *sums).where(Payment.plan_id.in_(plan_ids)).group_by(Payment.plan_id)
    rows = db.session.execute(found) if plan_ids else ()
    return defaultdict(GivenBack, {plan_id: GivenBack(int(back), int(coming)) for plan_id, back, coming in rows})


def of_ids(refund_ids: Sequence[int]) -> list[Refund]:
    """These refunds as they are now, oldest first."""
    found = select(Refund).where(Refund.id.in_(refund_ids)).order_by(Refund.id)
    return list(db.session.scalars(found.execution_options(populate_existing=True)))
