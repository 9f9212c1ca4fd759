"""The feed of a merchant's events for outsiders, and the objects that they are about."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import joinedload, selectinload

from portal.domain.events import EventType, ObjectType, UnknownKind, object_of
from portal.extensions import db
from portal.models import Event, Installment, Payment, Plan, PublicEvent, Refund
from portal.reports import paging
from portal.reports.merchants.customers import Customer
from portal.reports.merchants.customers import describe as describe_customers
from portal.reports.paging import Page
from portal.reports.payments.refunds import RefundTotals, refund_totals
from portal.reports.ranges import ANY_TIME, Between


@dataclass(slots=True)
class Objects:
    """Rows by id: what some events are about, as they are now."""

    plans: dict[int, Plan] = field(default_factory=dict)
    totals: dict[int, RefundTotals] = field(default_factory=dict)
    installments: dict[int, Installment] = field(default_factory=dict)
    payments: dict[int, Payment] = field(default_factory=dict)
    refunds: dict[int, Refund] = field(default_factory=dict)
    customers: dict[int, Customer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Described:
    """An event with the type and the id of its object."""

    event: PublicEvent
    about: ObjectType
    object_id: int


def list_events(
    merchant_id: int,
    *,
    types: Collection[EventType] = (),
    plan_id: int | None = None,
    customer_id: int | None = None,
    created: Between = ANY_TIME,
    limit: int = paging.DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[PublicEvent]:
    """The merchant's numbered events, oldest first, after `cursor`. The page's cursor is never None.

    `types`: only these; `customer_id`: of the plans of this customer. The order is that of the commits, so a later page
    misses no event. After a page that is not full the cursor is behind everything that was read, also behind events
    that a filter left out. Refuses: bad_cursor (Invalid) on `?cursor`.
    """
    after = paging.read(cursor, int)[0] if cursor is not None else 0
    filtered = bool(types) or (plan_id, customer_id, created) != (None, None, ANY_TIME)
    newest = _newest(merchant_id) if filtered else 0
    query = find_events(merchant_id, types=types, plan_id=plan_id, customer_id=customer_id, created=created)
    query = query.where(PublicEvent.number > after).options(joinedload(PublicEvent.event))
    rows = db.session.scalars(query.order_by(PublicEvent.number).limit(limit)).all()
    last = (rows[-1].number or 0) if rows else after
    return Page(rows, paging.write(last if len(rows) == limit else max(last, newest)))


def find_events(
    merchant_id: int,
    *,
    types: Collection[EventType] = (),
    plan_id: int | None = None,
    customer_id: int | None = None,
    created: Between = ANY_TIME,
) -> Select[PublicEvent]:
    """The merchant's numbered events that pass these filters, in no order."""
    query = select(PublicEvent).where(PublicEvent.merchant_id == merchant_id, PublicEvent.number.is_not(None))
    if types:
        query = query.where(PublicEvent.type.in_(types))
    if plan_id is not None:
        query = query.where(PublicEvent.plan_id == plan_id)
    if customer_id is not None:
        plans = select(Plan.id).where(Plan.merchant_id == merchant_id, Plan.customer_id == customer_id)
        query = query.where(PublicEvent.plan_id.in_(plans))
    if created != ANY_TIME:
        query = created.narrow(query.join(Event, Event.id == PublicEvent.event_id), Event.created_at)
    return query


def find(event_ids: Sequence[int]) -> list[PublicEvent]:
    """The events for outsiders with these ids, in no order."""
    query = select(PublicEvent).options(joinedload(PublicEvent.event))
    return list(db.session.scalars(query.where(PublicEvent.event_id.in_(event_ids))))


def describe(events: Sequence[PublicEvent]) -> list[Described]:
    """The events with their objects. Leaves out kinds of a newer version, which writes them during an upgrade."""
    plans = select(Plan.id, Plan.customer_id).where(Plan.id.in_({event.plan_id for event in events}))
    customer_ids = {row.id: row.customer_id for row in db.session.execute(plans)} if events else {}
    described = []
    for event in events:
        try:
            payload = event.event.payload
        except UnknownKind:
            continue
        about = object_of(payload, plan_id=event.plan_id, customer_id=customer_ids[event.plan_id])
        described.append(Described(event, *about))
    return described


def load(merchant_id: int, described: Sequence[Described]) -> Objects:
    """The objects of these events of one merchant, with one query for each table, whatever the number of events."""
    ids: defaultdict[ObjectType, set[int]] = defaultdict(set)
    for one in described:
        ids[one.about].add(one.object_id)
    loaded = Objects()
    if ids["plan"]:
        shown = (
            joinedload(Plan.merchant),
            joinedload(Plan.customer),
            joinedload(Plan.open_proposal),
            selectinload(Plan.installments),
        )
        loaded.plans = _by_id(select(Plan).options(*shown).where(Plan.id.in_(ids["plan"])))
        loaded.totals = refund_totals(list(ids["plan"]))
    if ids["installment"]:
        query = select(Installment).options(joinedload(Installment.plan))
        loaded.installments = _by_id(query.where(Installment.id.in_(ids["installment"])))
    if ids["payment"]:
        query_payments = select(Payment).options(selectinload(Payment.allocations))
        loaded.payments = _by_id(query_payments.where(Payment.id.in_(ids["payment"])))
    if ids["refund"]:
        loaded.refunds = _by_id(select(Refund).where(Refund.id.in_(ids["refund"])))
    if ids["customer"]:
        loaded.customers = {row.user.id: row for row in describe_customers(merchant_id, sorted(ids["customer"]))}
    return loaded


def _newest(merchant_id: int) -> int:
    """The merchant's highest number. Read before a page: a number that is given later may be missing from the page."""
    mine = PublicEvent.merchant_id == merchant_id, PublicEvent.number.is_not(None)
    return db.session.scalar(select(func.max(PublicEvent.number)).where(*mine)) or 0


def _by_id(query: Select[Any]) -> dict[int, Any]:
    return {row.id: row for row in db.session.scalars(query)}
