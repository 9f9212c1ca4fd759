"""Lists of plans and installments, as their merchant or their customer sees them."""

from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload

from portal import clock
from portal.extensions import db
from portal.models import Allocation, Event, Installment, Payment, Plan, User
from portal.reports import paging
from portal.reports.paging import Page

TIMELINE_LENGTH = 100


def list_plans(
    user: User,
    *,
    status: str | None = None,
    customer: str | None = None,
    customer_email: str | None = None,
    newest_first: bool = True,
    limit: int = paging.DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[Plan]:
    """The plans that this merchant made or this customer owes, newest first, with parties and installments.

    `status` is one of PLAN_STATUSES; `customer` is the beginning of an email or a username, `customer_email` a whole
    address.
    """
    found = Plan.of_merchant(user.id) if user.role == "merchant" else Plan.of_customer(user.id)
    if status:
        found = found.where(Plan.has_status(status, clock.now()))
    if customer and customer.strip():
        found = found.where(Plan.customer_id.in_(select(User.id).where(User.starts_with(customer.strip()))))
    if customer_email:
        found = found.where(Plan.customer_id.in_(select(User.id).where(User.has_email(customer_email))))
    found = found.options(joinedload(Plan.merchant), joinedload(Plan.customer), selectinload(Plan.installments))
    return paging.fetch(found, Plan.id, descending=newest_first, limit=limit, cursor=cursor)


def list_installments(
    user: User,
    *,
    status: str | None = None,
    customer_email: str | None = None,
    due_before: date | None = None,
    due_after: date | None = None,
    soonest_first: bool = True,
    limit: int = paging.DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[Installment]:
    """The installments that this merchant is owed or this customer owes, soonest due first.

    `status` is "open" or one of INSTALLMENT_STATUSES; `due_before` and `due_after` are local dates, both exclusive.
    """
    found = Installment.of_merchant(user.id) if user.role == "merchant" else Installment.of_customer(user.id)
    if status:
        found = found.where(Installment.has_status(status, clock.now()))
    if customer_email:
        found = found.where(Installment.customer_id.in_(select(User.id).where(User.has_email(customer_email))))
    if due_before:
        found = found.where(Installment.due_date < due_before)
    if due_after:
        found = found.where(Installment.due_date > due_after)
    parties = joinedload(Installment.plan).options(joinedload(Plan.merchant), joinedload(Plan.customer))
    found = found.options(parties)
    keys = (Installment.due_date, Installment.id)
    return paging.fetch(found, *keys, descending=not soonest_first, limit=limit, cursor=cursor)


def payments_of(plan_id: int, limit: int = 50) -> list[Payment]:
    """The newest payments of a plan with what they were for."""
    found = Payment.of_plan(plan_id).options(selectinload(Payment.allocations).joinedload(Allocation.installment))
    return list(db.session.scalars(found.limit(limit)))


def timeline_of(plan_id: int) -> list[Event]:
    """What happened to a plan, newest first, with who did it; the newest TIMELINE_LENGTH events."""
    found = select(Event).where(Event.plan_id == plan_id).options(joinedload(Event.actor)).order_by(Event.id.desc())
    return list(db.session.scalars(found.limit(TIMELINE_LENGTH)))
