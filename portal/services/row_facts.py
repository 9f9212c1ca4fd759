"""Snapshots of rows for results: plain values, frozen at the commit of a change.

Amounts are minor units of the plan's currency, instants are aware. A snapshot holds no card's token and no link.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, ClassVar, Final

from sqlalchemy import BigInteger, and_, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from portal.domain import clock
from portal.domain.events import Cause
from portal.domain.schedule import PlanInterval
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import Installment, Merchant, Payment, Plan, Refund, RescheduleProposal, User
from portal.models.payments.payments import PaymentState
from portal.models.payments.refunds import RefundState
from portal.models.plans.installments import InstallmentStatus, settled_status
from portal.models.plans.plans import ClosedBy, PlanStatus
from portal.reports.plans import proposals
from portal.reports.plans.proposals import ProposalFacts
from portal.reports.plans.rows import PlanRow

SAVED_CARD: Final = "saved_card"
"""Stands for the token of a saved method, which is private to its customer."""


@dataclass(frozen=True, slots=True)
class InstallmentFacts:
    """An installment, with its status at that instant."""

    id: int
    plan_id: int
    number: int
    amount: int
    currency: str
    due_date: date
    status: InstallmentStatus
    paid_at: datetime | None
    paid: int
    credited: int
    written_off: int
    remaining: int
    moved: int = 0

    @property
    def left(self) -> int:
        """`remaining`, under the name that a row has for it."""
        return self.remaining


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a payment that goes to one installment."""

    installment_id: int
    amount: int


@dataclass(frozen=True, slots=True)
class PaymentFacts:
    """A payment. `method` is a token that anybody may use, cash, transfer or SAVED_CARD."""

    version: ClassVar[int] = 3

    id: int
    plan_id: int
    amount: int
    currency: str
    state: PaymentState
    method: str
    is_recorded: bool
    reference: str | None
    received_on: date | None
    refunded: int
    refunding: int
    reversed: int
    decline_code: str | None
    created_at: datetime
    settled_at: datetime | None
    value_at: datetime | None
    gateway_reference: str | None
    reversed_at: datetime | None
    updated_at: datetime
    parts: tuple[Part, ...]
    lost: int = 0
    regained: int = 0
    wins_back: int | None = None
    external_id: str | None = None
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RefundFacts:
    """A refund of one payment."""

    id: int
    plan_id: int
    payment_id: int
    amount: int
    currency: str
    state: RefundState
    reason: str | None
    cause: Cause | None
    decline_code: str | None
    created_at: datetime
    settled_at: datetime | None
    updated_at: datetime
    external_id: str | None = None
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """A plan with its installments and the sums of its refunds, with its status and names at that instant.

    `lapses_at` is set while the plan waits for acceptance, and `disputed_at` while its customer disputes it. `proposal`
    are the other days that the customer may answer. `withdrawal_ends_at` is the end of the customer's right to
    withdraw; None without that right.
    """

    id: int
    merchant_id: int
    customer_id: int
    customer_email: str
    total: int
    currency: str
    num_installments: int
    interval: PlanInterval
    start_date: date
    status: PlanStatus
    refunded: int
    refunding: int
    description: str
    external_id: str | None
    notes: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    accepted_at: datetime | None
    lapses_at: datetime | None
    disputed_at: datetime | None
    installments: tuple[InstallmentFacts, ...]
    merchant_name: str = ""
    deposit: int | None = None
    closed_by: ClosedBy | None = None
    delivered_at: datetime | None = None
    withdrawal_ends_at: datetime | None = None
    proposal: ProposalFacts | None = None


def of_installment(row: Installment) -> InstallmentFacts:
    """The snapshot of an installment's row, in minor units."""
    return InstallmentFacts(
        id=row.id,
        plan_id=row.plan_id,
        number=row.number,
        amount=row.amount,
        currency=row.currency,
        due_date=row.due_date,
        status=row.status,
        paid_at=row.paid_at,
        paid=row.paid,
        credited=row.credited,
        written_off=row.written_off,
        remaining=row.left,
        moved=row.moved,
    )


def of_payment(row: Payment) -> PaymentFacts:
    """The snapshot of a payment's row, in minor units, without a saved method's token."""
    return new_payment(row, [(part.installment_id, part.amount) for part in row.allocations])


def new_payment(row: Payment, parts: Iterable[tuple[int, int]]) -> PaymentFacts:
    """As `of_payment`, with these parts: installment id and minor units. The row need not be loaded."""
    is_public = row.is_recorded or gateway.active().is_known(row.method)
    return PaymentFacts(
        id=row.id,
        plan_id=row.plan_id,
        amount=row.amount,
        currency=row.currency,
        state=row.state,
        method=row.method if is_public else SAVED_CARD,
        is_recorded=row.is_recorded,
        reference=row.reference if row.reference_id is not None else "",
        received_on=row.received_on,
        refunded=row.refunded,
        refunding=row.refunding,
        reversed=row.reversed,
        decline_code=row.decline_code,
        created_at=row.created_at,
        settled_at=row.settled_at,
        value_at=row.value_at,
        gateway_reference=row.gateway_reference,
        reversed_at=row.reversed_at,
        updated_at=row.updated_at,
        parts=tuple(Part(*part) for part in parts),
        lost=row.lost,
        regained=row.regained,
        wins_back=row.wins_back_id,
        external_id=row.external_id,
        notes=row.notes,
    )


def of_refund(row: Refund) -> RefundFacts:
    """The snapshot of a refund's row, in minor units."""
    return RefundFacts(
        id=row.id,
        plan_id=row.plan_id,
        payment_id=row.payment_id,
        amount=row.amount,
        currency=row.currency,
        state=row.state,
        reason=row.reason,
        cause=row.cause,
        decline_code=row.decline_code,
        created_at=row.created_at,
        settled_at=row.settled_at,
        updated_at=row.updated_at,
        external_id=row.external_id,
        notes=row.notes,
    )


def of_refunds(refund_ids: Iterable[int]) -> tuple[RefundFacts, ...]:
    """These refunds, read again, oldest first."""
    query = select(Refund).where(Refund.id.in_(list(refund_ids))).order_by(Refund.id)
    return tuple(of_refund(row) for row in db.session.scalars(query.execution_options(populate_existing=True)))


def of_plan(
    plan: Plan | PlanRow,
    parties: tuple[str, str],
    installments: Iterable[Installment | InstallmentFacts],
    sums: tuple[int, int],
    proposal: ProposalFacts | None = None,
) -> PlanFacts:
    """The snapshot of rows that are loaded.

    `parties`: the customer's email and the merchant's name. `sums`: the amounts refunded and in refunds in flight.
    `proposal`: the other days that wait for the customer's answer.
    """
    return PlanFacts(
        id=plan.id,
        merchant_id=plan.merchant_id,
        customer_id=plan.customer_id,
        customer_email=parties[0],
        total=plan.total,
        currency=plan.currency,
        num_installments=plan.num_installments,
        interval=plan.interval,
        start_date=plan.start_date,
        status=plan.status,
        refunded=sums[0],
        refunding=sums[1],
        description=plan.description,
        external_id=plan.external_id,
        notes=plan.notes,
        created_at=plan.created_at,
        updated_at=plan.updated_at,
        accepted_at=plan.accepted_at,
        lapses_at=plan.lapses_at if plan.is_asked else None,
        disputed_at=plan.disputed_at if plan.disputed else None,
        installments=tuple(row if isinstance(row, InstallmentFacts) else of_installment(row) for row in installments),
        merchant_name=parties[1],
        deposit=plan.deposit,
        closed_by=plan.closed_by,
        delivered_at=plan.delivered_at,
        withdrawal_ends_at=plan.withdrawal_ends_at,
        proposal=proposal,
    )


_parts: Final = Installment.__table__.c
_sums: Final = (
    select(
        Payment.__table__.c.plan_id,
        func.sum(Payment.__table__.c.refunded).label("refunded"),
        func.sum(Payment.__table__.c.refunding).label("refunding"),
    )
    .where(Payment.__table__.c.plan_id == any_(bindparam("plan_ids", type_=ARRAY(BigInteger))))
    .group_by(Payment.__table__.c.plan_id)
    .subquery()
)
_DETAILS: Final = (
    select(
        *(Plan.__table__.c.id, _sums.c.refunded, _sums.c.refunding, _parts.id, _parts.number, _parts.amount),
        *(_parts.currency, _parts.due_date, _parts.paid_at, _parts.paid, _parts.credited, _parts.written_off),
        *(_parts.remaining, _parts.moved, _parts.counted, _parts.disputed, _parts.held, _parts.late_at),
        _parts.cancelled_at,
    )
    .select_from(Plan.__table__)
    .outerjoin(_sums, _sums.c.plan_id == Plan.__table__.c.id)
    .outerjoin(_parts.id.table, and_(_parts.plan_id == Plan.__table__.c.id, _parts.moved < _parts.amount))
    .where(Plan.__table__.c.id == any_(bindparam("plan_ids", type_=ARRAY(BigInteger))))
    .order_by(Plan.__table__.c.id, _parts.due_date, _parts.number)
)


def details_of(plan_ids: Sequence[int]) -> dict[int, tuple[list[InstallmentFacts], tuple[int, int]]]:
    """By plan: its live installments by due date, and the amounts refunded and in refunds in flight. One statement."""
    found: dict[int, tuple[list[InstallmentFacts], tuple[int, int]]] = {}
    now = clock.now()
    for row in db.session.execute(_DETAILS, {"plan_ids": list(plan_ids)}).all() if plan_ids else ():
        plan_id, refunded, refunding, part_id, number, amount, currency, due_date, paid_at, paid, credited, *rest = row
        written_off, remaining, moved, counted, disputed, held, late_at, cancelled_at = rest
        if plan_id not in found:
            found[plan_id] = [], (int(refunded or 0), int(refunding or 0))
        if part_id is None:
            continue
        status: InstallmentStatus = "pending"
        if remaining <= 0:
            status = settled_status(cancelled_at, written_off, moved, amount, paid)
        elif counted and not disputed and held < remaining and late_at <= now:
            status = "late"
        facts = InstallmentFacts(
            *(part_id, plan_id, number, amount, currency, due_date, status, paid_at, paid, credited, written_off),
            remaining,
            moved,
        )
        found[plan_id][0].append(facts)
    return found


def changed_plan(plan_id: int) -> PlanFacts:
    """Inside the unit of work that changes the plan, after the change: the plan, read again."""
    db.session.flush()
    plan = db.session.get_one(Plan, plan_id, populate_existing=True)
    rows = select(Installment).where(Installment.plan_id == plan_id, Installment.is_live())
    rows = rows.order_by(Installment.due_date, Installment.number)
    installments = list(db.session.scalars(rows.execution_options(populate_existing=True)))
    asked = and_(RescheduleProposal.plan_id == plan_id, RescheduleProposal.ended_at.is_(None))
    names = select(User.email, Merchant.business_name, RescheduleProposal).select_from(User)
    names = names.join(Merchant, Merchant.id == plan.merchant_id).outerjoin(RescheduleProposal, asked)
    names = names.where(User.id == plan.customer_id)
    email, merchant_name, row = db.session.execute(names.execution_options(populate_existing=True)).one()
    found = proposals.facts(row, plan, installments) if row is not None else None
    proposal = found if found is not None and found.state == "open" else None
    amounts = [func.coalesce(func.sum(column), 0) for column in (Payment.refunded, Payment.refunding)]
    sums = db.session.execute(select(*amounts).where(Payment.plan_id == plan_id)).one()
    return of_plan(plan, (email, merchant_name), installments, (int(sums[0]), int(sums[1])), proposal)


def changed_payment(payment: Payment) -> tuple[PaymentFacts, InstallmentFacts | None]:
    """Inside the unit of work that changes the payment, after the change: the payment, and its only installment."""
    db.session.flush()
    return settled_payment(payment)


def settled_payment(payment: Payment) -> tuple[PaymentFacts, InstallmentFacts | None]:
    """As `changed_payment`, of a loaded payment whose change may still wait in the queue."""
    facts = of_payment(payment)
    if len(facts.parts) != 1:
        return facts, None
    return facts, of_changed_installment(db.session.get_one(Installment, facts.parts[0].installment_id))


def of_changed_installment(row: Installment) -> InstallmentFacts:
    """Inside the unit of work that changes a loaded installment or its plan: the installment."""
    if (row.counted, row.disputed) != (row.plan.counted, row.plan.disputed):  # the plan's change reached the row
        db.session.refresh(row)
    return of_installment(row)
