"""Lists of plans and installments of a merchant or a customer, and the payments and timeline of a plan."""

from datetime import date

from sqlalchemy import ColumnElement, Select, false, or_, select
from sqlalchemy.orm import joinedload, selectinload

from portal.domain import clock
from portal.extensions import db
from portal.models import Allocation, Event, Installment, Payment, Plan, User
from portal.reports import paging
from portal.reports.paging import Page

TIMELINE_LENGTH = 100


def list_plans(
    user: User,
    *,
    status: str | None = None,
    customer_email: str | None = None,
    customer_id: int | None = None,
    search: str | None = None,
    currency: str | None = None,
    due_before: date | None = None,
    due_after: date | None = None,
    newest_first: bool = True,
    next_due_first: bool = False,
    limit: int = paging.DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[Plan]:
    """The plans of this merchant or this customer, newest first, with parties and installments.

    The filters are those of `find_plans`. With `next_due_first` only open plans are listed, by next due date.
    Refuses: bad_cursor (Invalid).
    """
    query = find_plans(
        user,
        status=status,
        customer_email=customer_email,
        customer_id=customer_id,
        search=search,
        currency=currency,
        due_before=due_before,
        due_after=due_after,
    ).options(joinedload(Plan.merchant), joinedload(Plan.customer), selectinload(Plan.installments))
    if next_due_first:
        open_plans = query.where(Plan.state == "active")
        return paging.fetch(open_plans, Plan.next_due_on, Plan.id, descending=False, limit=limit, cursor=cursor)
    return paging.fetch(query, Plan.id, descending=newest_first, limit=limit, cursor=cursor)


def find_plans(
    user: User,
    *,
    status: str | None = None,
    customer_email: str | None = None,
    customer_id: int | None = None,
    search: str | None = None,
    currency: str | None = None,
    due_before: date | None = None,
    due_after: date | None = None,
) -> Select[Plan]:
    """The query for these plans, without an order.

    `status` is one of PLAN_STATUSES. `customer_email` is a whole address. `due_before` and `due_after` are local dates,
    both exclusive, about the oldest open installment: a plan without one matches neither.

    `search` matches the beginning of the customer's email or username, the beginning of the merchant's `external_id`,
    or any part of the description, whatever the case. A customer's search matches descriptions only. Descriptions are
    matched anywhere, because some languages put an article in front of a word.
    """
    query = Plan.of_merchant(user.id) if user.role == "merchant" else Plan.of_customer(user.id)
    if status:
        query = query.where(Plan.has_status(status, clock.now()))

    if customer_email:
        query = query.where(Plan.customer_id.in_(select(User.id).where(User.has_email(customer_email))))
    if customer_id is not None:
        query = query.where(Plan.customer_id == customer_id)
    if currency:
        query = query.where(Plan.currency == currency)
    if due_before or due_after:
        query = query.where(Plan.state == "active")
    if due_before:
        query = query.where(Plan.next_due_on < due_before)
    if due_after:
        query = query.where(Plan.next_due_on > due_after)
    if search and search.strip():
        query = query.where(_mentions(user, search.strip()))
    return query


def _mentions(user: User, text: str) -> ColumnElement[bool]:
    if not text.isprintable():
        return false()
    described = Plan.description.icontains(text, autoescape=True)
    if user.role != "merchant":
        return described
    return or_(
        Plan.customer_id.in_(select(User.id).where(User.starts_with(text))),
        described,
        Plan.external_id.istartswith(text, autoescape=True),
    )


def list_installments(
    user: User,
    *,
    plan_id: int | None = None,
    status: str | None = None,
    customer_email: str | None = None,
    currency: str | None = None,
    due_before: date | None = None,
    due_after: date | None = None,
    soonest_first: bool = True,
    limit: int = paging.DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[Installment]:
    """The installments of this merchant or this customer, soonest due first; those of one plan by number.

    The filters are those of `find_installments`. Refuses: bad_cursor (Invalid).
    """
    query = find_installments(
        user,
        plan_id=plan_id,
        status=status,
        customer_email=customer_email,
        currency=currency,
        due_before=due_before,
        due_after=due_after,
    )
    parties = joinedload(Installment.plan).options(joinedload(Plan.merchant), joinedload(Plan.customer))
    keys = (Installment.due_date, Installment.id) if plan_id is None else (Installment.number,)
    return paging.fetch(query.options(parties), *keys, descending=not soonest_first, limit=limit, cursor=cursor)


def find_installments(
    user: User,
    *,
    plan_id: int | None = None,
    status: str | None = None,
    customer_email: str | None = None,
    currency: str | None = None,
    due_before: date | None = None,
    due_after: date | None = None,
) -> Select[Installment]:
    """The query for these installments, without an order.

    `status` is one of INSTALLMENT_STATUSES, "open", "counted" (paid or open: the base of the success rate) or "past"
    (counted ones past `late_at`). `due_before` and `due_after` are local dates, both exclusive.
    """
    query = Installment.of_merchant(user.id) if user.role == "merchant" else Installment.of_customer(user.id)
    if plan_id is not None:
        query = query.where(Installment.plan_id == plan_id)
    now = clock.now()
    if status in ("counted", "past"):
        query = query.where(or_(Installment.remaining > 0, Installment.is_paid()))
        if status == "past":
            query = query.where(Installment.late_at <= now)
    elif status:
        query = query.where(Installment.has_status(status, now))
    if customer_email:
        query = query.where(Installment.customer_id.in_(select(User.id).where(User.has_email(customer_email))))
    if currency:
        query = query.where(Installment.currency == currency)
    if due_before:
        query = query.where(Installment.due_date < due_before)
    if due_after:
        query = query.where(Installment.due_date > due_after)
    return query


def payments_of(plan_id: int, limit: int = 50) -> list[Payment]:
    """The newest payments of a plan, with allocations and their installments."""
    query = Payment.of_plan(plan_id).options(selectinload(Payment.allocations).joinedload(Allocation.installment))
    return list(db.session.scalars(query.limit(limit)))


def timeline_of(plan_id: int) -> list[Event]:
    """The newest TIMELINE_LENGTH events of a plan with their actors, newest first."""
    query = select(Event).where(Event.plan_id == plan_id).options(joinedload(Event.actor)).order_by(Event.id.desc())
    return list(db.session.scalars(query.limit(TIMELINE_LENGTH)))
