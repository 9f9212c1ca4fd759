"""Lists of plans and installments, as their merchant or their customer sees them."""

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
    customer: str | None = None,
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
    """The plans that this merchant made or this customer owes, newest first, with parties and installments.

    `status` is one of PLAN_STATUSES; `customer` is the beginning of an email or a username, `customer_email` a whole
    address; `search` is found in a customer's email or name, the description or the merchant's own number (find_plans).
    With `next_due_first` only open plans, the one whose next installment is due soonest first.
    """
    found = find_plans(
        user,
        status=status,
        customer=customer,
        customer_email=customer_email,
        customer_id=customer_id,
        search=search,
        currency=currency,
        due_before=due_before,
        due_after=due_after,
    ).options(joinedload(Plan.merchant), joinedload(Plan.customer), selectinload(Plan.installments))
    if next_due_first:
        open_ones = found.where(Plan.state == "active")
        return paging.fetch(open_ones, Plan.next_due_on, Plan.id, descending=False, limit=limit, cursor=cursor)
    return paging.fetch(found, Plan.id, descending=newest_first, limit=limit, cursor=cursor)


def find_plans(
    user: User,
    *,
    status: str | None = None,
    customer: str | None = None,
    customer_email: str | None = None,
    customer_id: int | None = None,
    search: str | None = None,
    currency: str | None = None,
    due_before: date | None = None,
    due_after: date | None = None,
) -> Select[Plan]:
    """The plans that are meant, in no order.

    `due_before` and `due_after` are local dates, both exclusive, about the oldest open installment: a plan of which
    nothing is due any more is neither.

    `search` is the beginning of a customer's email or username or of the merchant's own number for the plan, or stands
    anywhere in its description, whatever the case: words begin with articles in some languages, so "anywhere" it is.
    """
    found = Plan.of_merchant(user.id) if user.role == "merchant" else Plan.of_customer(user.id)
    if status:
        found = found.where(Plan.has_status(status, clock.now()))
    if customer and customer.strip():
        found = found.where(Plan.customer_id.in_(select(User.id).where(User.starts_with(customer.strip()))))
    if customer_email:
        found = found.where(Plan.customer_id.in_(select(User.id).where(User.has_email(customer_email))))
    if customer_id is not None:
        found = found.where(Plan.customer_id == customer_id)
    if currency:
        found = found.where(Plan.currency == currency)
    if due_before or due_after:
        found = found.where(Plan.state == "active")
    if due_before:
        found = found.where(Plan.next_due_on < due_before)
    if due_after:
        found = found.where(Plan.next_due_on > due_after)
    if search and search.strip():
        found = found.where(_mentions(user, search.strip()))
    return found


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
    """The installments that this merchant is owed or this customer owes, soonest due first; of one plan, by number.

    `status` is "open", "counted" (paid or open: what rates are taken of), "past" (of those, the ones whose time has
    passed) or one of INSTALLMENT_STATUSES; `due_before` and `due_after` are local dates, both exclusive.
    """
    found = find_installments(
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
    return paging.fetch(found.options(parties), *keys, descending=not soonest_first, limit=limit, cursor=cursor)


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
    """The installments that are meant, in no order."""
    found = Installment.of_merchant(user.id) if user.role == "merchant" else Installment.of_customer(user.id)
    if plan_id is not None:
        found = found.where(Installment.plan_id == plan_id)
    now = clock.now()
    if status in ("counted", "past"):
        found = found.where(or_(Installment.remaining > 0, Installment.is_paid()))
        if status == "past":
            found = found.where(Installment.late_at <= now)
    elif status:
        found = found.where(Installment.has_status(status, now))
    if customer_email:
        found = found.where(Installment.customer_id.in_(select(User.id).where(User.has_email(customer_email))))
    if currency:
        found = found.where(Installment.currency == currency)
    if due_before:
        found = found.where(Installment.due_date < due_before)
    if due_after:
        found = found.where(Installment.due_date > due_after)
    return found


def payments_of(plan_id: int, limit: int = 50) -> list[Payment]:
    """The newest payments of a plan with what they were for."""
    found = Payment.of_plan(plan_id).options(selectinload(Payment.allocations).joinedload(Allocation.installment))
    return list(db.session.scalars(found.limit(limit)))


def timeline_of(plan_id: int) -> list[Event]:
    """What happened to a plan, newest first, with who did it; the newest TIMELINE_LENGTH events."""
    found = select(Event).where(Event.plan_id == plan_id).options(joinedload(Event.actor)).order_by(Event.id.desc())
    return list(db.session.scalars(found.limit(TIMELINE_LENGTH)))
