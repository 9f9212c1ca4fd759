"""Lists of plans and installments of a merchant or a customer, and the payments and timeline of a plan."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache, lru_cache
from typing import Any, Final

from sqlalchemy import BindParameter, ColumnElement, Select, and_, exists, false, func, literal, or_, select
from sqlalchemy.orm import joinedload, with_expression
from sqlalchemy.sql.base import ExecutableOption

from portal.domain import clock, typed_text
from portal.domain.events import KINDS, CustomerUpdated, DisputeAnswered, DisputeEnded, DisputeUpheld, PlanDisputed
from portal.domain.permissions import Actor
from portal.extensions import db
from portal.models import Allocation, Customer, DueTotal, Event, Installment, Invitation, Payment, Plan, Refund, User
from portal.models.payments.payments import RECEIVED
from portal.reports import paging, search, tallies
from portal.reports.paging import Order, Page
from portal.reports.parameters import LIMIT, PLAN, PRESENT
from portal.reports.parties import of_actor, parties, stand_in, values_of
from portal.reports.payments import receipts
from portal.reports.plans.filters import ALL_INSTALLMENTS, ALL_PLANS, InstallmentFilters, PlanFilters
from portal.reports.ranges import ANY_TIME
from portal.reports.tallies import PageTally, Tally

TIMELINE_LENGTH = 100
NEWEST_PAYMENTS: Final = 50
"""How many payments a plan's page shows."""
UNOPENED_AFTER: Final = timedelta(days=2)
"""The age from which a customer's link that nobody opened counts as unopened."""
OF_DISPUTES: Final = (PlanDisputed.kind, DisputeAnswered.kind, DisputeUpheld.kind, DisputeEnded.kind)
_NEWEST: Final = Order((Plan.id,), descending=True)
_OLDEST: Final = Order((Plan.id,))


def list_plans(
    actor: Actor,
    filters: PlanFilters = ALL_PLANS,
    *,
    newest_first: bool = True,
    order: Order | None = None,
    limit: int = paging.DEFAULT_LIMIT,
    cursor: str | None = None,
    tally: PageTally | None = None,
) -> Page[Plan]:
    """The plans of this merchant or this customer that pass the filters, with parties, `statuses` and `remaining`.

    They are sorted by id, or in one of the orders of PLANS (reports/orders.py).
    """
    order = order or (_NEWEST if newest_first else _OLDEST)
    column = tally.column if tally is not None else None
    if cursor is None and order.is_plain and is_common(filters):
        has_tally = column is not None
        statement = _first_plans(stand_in(actor), filters, order, limit, has_tally=has_tally)
        return paging.read_first_page(statement, values_of(actor), order, limit, has_beside=has_tally)
    shown = (*parties(actor), joinedload(Plan.open_proposal), _progress())
    query = find_sorted(actor, filters, order)
    if not order.lead:
        beside = column() if column is not None else None
        return paging.fetch_in(query.options(*shown), order, limit=limit, cursor=cursor, beside=beside)
    columns: Select[Any] = query.with_only_columns(*order.keys, maintain_column_froms=True)
    page = paging.fetch_rows(columns, order, limit=limit, cursor=cursor)
    found = select(Plan).where(Plan.id.in_([row.id for row in page.items])).options(*shown)
    rows = {plan.id: plan for plan in db.session.scalars(found)}
    return Page([rows[row.id] for row in page.items], page.next_cursor, page.prev_cursor)


def is_common(filters: PlanFilters) -> bool:
    """Few values that a page offers, and nothing typed: the statement may be kept."""
    offered = {name: getattr(filters, name) for name in ("status", "disputed", "closed_by", "currency")}
    return filters == replace(ALL_PLANS, **offered)


@lru_cache(maxsize=32)
def _first_plans(actor: Actor, filters: PlanFilters, order: Order, limit: int, *, has_tally: bool) -> Select[Plan]:
    """The statement of a first page, made once: to make it and its key takes a quarter of the page."""
    column = tally_plans(actor, filters).column if has_tally else None
    query = find_plans(actor, filters).options(*parties(actor), joinedload(Plan.open_proposal), _progress())
    return paging.first_page(query, order, limit, column() if column is not None else None)


@cache
def _progress() -> ExecutableOption:
    """Reads of each plan what a list shows of its installments, and not their rows."""
    shown = Installment.due_date, Installment.number, Installment.status_at(PRESENT), Installment.remaining
    parts = select(func.jsonb_agg(func.jsonb_build_array(*shown)))
    parts = parts.where(Installment.plan_id == Plan.id, Installment.is_live()).correlate(Plan)
    return with_expression(Plan.listed_installments, parts.scalar_subquery())


def find_sorted(actor: Actor, filters: PlanFilters, order: Order) -> Select[Plan]:
    """The plans of `find_plans` with the table of the leading keys of this order, in no order."""
    query = find_plans(actor, filters)
    theirs = and_(Customer.merchant_id == Plan.merchant_id, Customer.user_id == Plan.customer_id)
    return query.join(Customer, theirs) if order.lead else query


def tally_plans(actor: Actor, filters: PlanFilters) -> PageTally:
    """The plans that pass the filters, and their totals. Very many that a search finds are not counted by a filter."""
    if search.finds_many(actor.merchant_id, filters.search):
        return _tally_of_many(filters == replace(ALL_PLANS, search=filters.search))
    return tallies.with_rows(lambda: find_plans(actor, filters), Plan.currency, Plan.total)


def tally_installments(actor: Actor, filters: InstallmentFilters) -> PageTally:
    """The installments that pass the filters: what remains of open ones, what was paid of paid ones, else what is
    expected (the amount without what was credited, written off or moved to other installments).

    All open or late installments of a business are summed from the rows of totals, so their number has no bound. Very
    many that a search finds are not counted by a filter.
    """
    if search.finds_many(actor.merchant_id, filters.search):
        return _tally_of_many(filters == replace(ALL_INSTALLMENTS, search=filters.search))
    days = InstallmentFilters(
        status=filters.status, currency=filters.currency, due_before=filters.due_before, due_after=filters.due_after
    )
    if (merchant_id := actor.merchant_id) is not None and filters == days and filters.status in ("open", "late"):
        return PageTally(lambda: _owed_to_business(merchant_id, filters))
    expected = Installment.amount - Installment.credited - Installment.written_off - Installment.moved
    amounts = {"open": Installment.remaining, "late": Installment.remaining, "paid": Installment.paid}
    amount = amounts.get(filters.status or "", expected)
    return tallies.with_rows(lambda: find_installments(actor, filters), Installment.currency, amount)


def _tally_of_many(all_of_them: bool) -> PageTally:
    return PageTally(lambda: tallies.many() if all_of_them else None)


def _owed_to_business(merchant_id: int, filters: InstallmentFilters) -> Tally:
    """The tally of the open or late installments due on these days, in one of the currencies or in all."""
    sums = select(DueTotal.currency, func.sum(DueTotal.owed), func.sum(DueTotal.owed_amount))
    if filters.status == "late":
        sums = select(DueTotal.currency, func.sum(DueTotal.chased), func.sum(DueTotal.chased_amount))
        sums = sums.where(DueTotal.late_at <= clock.now())
    query = sums.where(DueTotal.merchant_id == merchant_id).group_by(DueTotal.currency)
    if filters.currency:
        query = query.where(DueTotal.currency == filters.currency)
    if filters.due_before is not None:
        query = query.where(DueTotal.due_date < filters.due_before)
    if filters.due_after is not None:
        query = query.where(DueTotal.due_date > filters.due_after)
    rows = db.session.execute(query.order_by(DueTotal.currency)).all()
    return Tally(sum(int(count) for _, count, _ in rows), False, {code: int(total) for code, _, total in rows if total})


def find_plans(actor: Actor, filters: PlanFilters) -> Select[Plan]:
    """The plans of this merchant or this customer that pass the filters, in no order."""
    query = select(Plan).where(of_actor(actor, Plan))
    if filters.status == "unopened":
        links = select(Invitation.plan_id).where(Invitation.unopened(PRESENT - UNOPENED_AFTER))
        paid = select(Payment.id).where(Payment.plan_id == Plan.id, Payment.state.in_(RECEIVED))
        query = query.where(Plan.state == "active", Plan.id.in_(links), ~paid.exists())
    elif filters.status:
        query = query.where(Plan.has_status(filters.status, PRESENT))
    if filters.disputed is not None:
        query = query.where(Plan.disputed.is_(filters.disputed))
    if filters.closed_by:
        is_closed = Plan.state != literal("active", literal_execute=True)  # as in the condition of an index
        query = query.where(Plan.closed_by == filters.closed_by, is_closed)
    if filters.customer_email is not None:
        query = query.where(Plan.customer_id.in_(select(User.id).where(User.has_email(filters.customer_email))))
    if filters.customer_id is not None:
        query = query.where(Plan.customer_id == filters.customer_id)
    if filters.import_id is not None:
        query = query.where(Plan.import_id == filters.import_id)
    if filters.external_id is not None:
        query = query.where(Plan.external_id == filters.external_id)
    if filters.currency:
        query = query.where(Plan.currency == filters.currency)
    if filters.due_before is not None or filters.due_after is not None:
        query = query.where(Plan.state == "active")
    if filters.due_before is not None:
        query = query.where(Plan.next_due_on < filters.due_before)
    if filters.due_after is not None:
        query = query.where(Plan.next_due_on > filters.due_after)
    if filters.search and filters.search.strip():
        query = query.where(_mentions(actor, filters.search.strip()))
    query = filters.created.narrow(query, Plan.created_at)
    query = filters.updated.narrow(query, Plan.updated_at)
    return query.where(*_labelled(actor, filters.metadata))


def _labelled(actor: Actor, metadata: Mapping[str, str]) -> list[ColumnElement[bool]]:
    """The conditions of plans that have all of these texts in their metadata."""
    if not metadata:
        return []
    exact = Plan.notes.contains(dict(metadata))
    return [exact] if actor.merchant_id is None else [exact, search.labelled(actor.merchant_id, metadata)]


def _mentions(actor: Actor, text: str) -> ColumnElement[bool]:
    if actor.merchant_id is not None:
        return search.plans(actor.merchant_id, text)
    try:
        return Plan.description.icontains(typed_text.read(text), autoescape=True)
    except typed_text.BadText:
        return false()


def list_installments(
    actor: Actor,
    filters: InstallmentFilters = ALL_INSTALLMENTS,
    *,
    soonest_first: bool = True,
    order: Order | None = None,
    limit: int = paging.DEFAULT_LIMIT,
    cursor: str | None = None,
    tally: PageTally | None = None,
) -> Page[Installment]:
    """The installments of this merchant or this customer that pass the filters, soonest due first; of a plan by number.

    `order` is one of INSTALLMENTS (reports/orders.py). Each comes with its plan and the plan's parties.
    """
    if order is None:
        first = Installment.due_date if filters.plan_id is None else Installment.number
        order = Order((first, Installment.id), descending=not soonest_first)
    column = tally.column if tally is not None else None
    common = replace(ALL_INSTALLMENTS, status=filters.status, currency=filters.currency)
    if cursor is None and order.is_plain and filters == common:
        has_tally = column is not None
        statement = _first_installments(stand_in(actor), filters, order, limit, has_tally=has_tally)
        return paging.read_first_page(statement, values_of(actor), order, limit, has_beside=has_tally)
    query = find_installments(actor, filters).options(joinedload(Installment.plan).options(*parties(actor)))
    beside = column() if column is not None else None
    return paging.fetch_in(query, order, limit=limit, cursor=cursor, beside=beside)


@lru_cache(maxsize=32)
def _first_installments(
    actor: Actor, filters: InstallmentFilters, order: Order, limit: int, *, has_tally: bool
) -> Select[Installment]:
    """As `_first_plans`."""
    column = tally_installments(actor, filters).column if has_tally else None
    query = find_installments(actor, filters).options(joinedload(Installment.plan).options(*parties(actor)))
    return paging.first_page(query, order, limit, column() if column is not None else None)


def find_installments(actor: Actor, filters: InstallmentFilters) -> Select[Installment]:
    """The installments of this merchant or this customer that pass the filters, in no order."""
    query = select(Installment).where(of_actor(actor, Installment, plan_id=filters.plan_id))
    if filters.plan_id is not None:
        query = query.where(Installment.plan_id == filters.plan_id)
    if not filters.replaced and filters.status != "replaced":
        query = query.where(Installment.is_live())
    if filters.status in ("counted", "past"):
        counts = or_(Installment.remaining > 0, Installment.is_paid())
        if filters.status == "past":
            given_up_at = func.coalesce(Installment.cancelled_at, Installment.written_off_at)
            gone = and_(
                Installment.remaining == 0, or_(Installment.cancelled_at.is_not(None), Installment.written_off > 0)
            )
            too_late = and_(gone, given_up_at >= Installment.late_at)
            counts = and_(or_(counts, too_late), Installment.late_at <= PRESENT)
        query = query.where(Installment.counted, counts)
    elif filters.status:
        query = query.where(Installment.has_status(filters.status, PRESENT))
    if filters.customer_email is not None:
        customers = select(User.id).where(User.has_email(filters.customer_email))
        query = query.where(Installment.customer_id.in_(customers))
    if filters.customer_id is not None:
        query = query.where(Installment.customer_id == filters.customer_id)
    if filters.currency:
        query = query.where(Installment.currency == filters.currency)
    if filters.due_before is not None:
        query = query.where(Installment.due_date < filters.due_before)
    if filters.due_after is not None:
        query = query.where(Installment.due_date > filters.due_after)
    if filters.search and filters.search.strip() and actor.merchant_id is not None:
        query = query.where(search.installments(actor.merchant_id, filters.search.strip()))
    if filters.external_id is not None or filters.metadata or filters.created != ANY_TIME:
        of_plans = PlanFilters(external_id=filters.external_id, metadata=filters.metadata, created=filters.created)
        query = query.where(Installment.plan_id.in_(find_plans(actor, of_plans).with_only_columns(Plan.id)))
    return query


def payments_of(plan_id: int, limit: int = NEWEST_PAYMENTS) -> tuple[list[Payment], dict[int, list[Refund]]]:
    """The newest payments of a plan with allocations and their installments, and its newest refunds by payment id."""
    rows = db.session.execute(_payments_of(), {"plan_id": plan_id, "limit": limit}).unique().all()
    return [payment for payment, _ in rows], receipts.refunds_of(plan_id) if rows and rows[0][1] else {}


@cache
def _payments_of() -> Select[Payment, bool]:
    """The payments of `payments_of`, each with whether the plan has a refund."""
    parts = joinedload(Payment.allocations).joinedload(Allocation.installment)
    return Payment.of_plan(PLAN).limit(LIMIT).options(parts).add_columns(exists().where(Refund.plan_id == PLAN))


def timeline_of(plan_id: int, *, private: bool) -> list[Event]:
    """The newest TIMELINE_LENGTH events of `find_timeline` with their actors, newest first."""
    return list(db.session.scalars(_timeline(private), {"plan_id": plan_id, "limit": TIMELINE_LENGTH}))


@cache
def _timeline(private: bool) -> Select[Event]:
    query = find_timeline(PLAN, private=private).options(joinedload(Event.actor))
    return query.order_by(Event.id.desc()).limit(LIMIT)


def list_timeline(
    plan_id: int, *, private: bool, limit: int = paging.DEFAULT_LIMIT, cursor: str | None = None
) -> Page[Event]:
    """As `timeline_of`, page by page. Refuses: bad_cursor."""
    query = find_timeline(plan_id, private=private).options(joinedload(Event.actor))
    return paging.fetch(query, Event.id, descending=True, limit=limit, cursor=cursor)


def find_timeline(plan_id: int | BindParameter[int], *, private: bool) -> Select[Event]:
    """The events of a plan, in no order. `private`: also those of the business's own words about its customer, and of
    disputes with a person who had the plan before its email was corrected.

    Leaves out kinds that this version does not know: a newer version writes them while an upgrade is under way.
    """
    query = select(Event).where(Event.plan_id == plan_id, Event.kind.in_(KINDS))
    if not private:
        moved = Event.data.has_key("before_id")
        query = query.where(or_(Event.kind != CustomerUpdated.kind, moved))
        given = select(func.max(Event.id)).where(Event.plan_id == plan_id, Event.kind == CustomerUpdated.kind, moved)
        query = query.where(or_(Event.kind.not_in(OF_DISPUTES), Event.id > func.coalesce(given.scalar_subquery(), 0)))
    return query
