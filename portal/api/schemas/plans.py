"""Schemas of plans."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from portal import models
from portal.api.parsing import Amount, Day, Pairs, whole
from portal.api.schemas.installments import Installment, installment
from portal.api.schemas.kinds import (
    AmountField,
    Currency,
    CustomerId,
    EmailText,
    Id,
    In,
    Instant,
    Metadata,
    Money,
    Name,
    Out,
    Text,
    UpdatedQuery,
    decimal,
    up_to,
)
from portal.domain.schedule import MAX_INSTALLMENTS, Interval, PlanInterval, Row
from portal.models.plans.plans import ClosedBy, PlanStatus
from portal.reports.plans import figures, proposals
from portal.reports.plans.proposals import DueAmount, ProposalFacts, State
from portal.reports.plans.rows import PlanRow
from portal.services import row_facts
from portal.services.plans.plans import NewPlan as NewPlanInput
from portal.services.row_facts import InstallmentFacts, PlanFacts


class OwnInstallment(In, kw_only=True):
    """An installment of a schedule of your own."""

    amount: AmountField
    due_date: Day


class PlanTerms(In, kw_only=True):
    """The terms of a new plan, in the merchant's home currency.

    Send `num_installments` and `start_date`, and a `deposit` if one is due at once; or `installments` in their place.
    """

    total_amount: AmountField
    num_installments: Annotated[
        Annotated[Any, whole(1, MAX_INSTALLMENTS)] | None, Meta(description="Without the deposit, which comes on top.")
    ] = None
    start_date: Annotated[Day | None, Meta(description="The first due date; with a deposit, the first after it.")] = (
        None
    )
    interval: Annotated[Interval | None, Meta(description="`monthly`, if it is left out.")] = None
    deposit: Annotated[Amount | None, Meta(description="Due at once. The rest of the total is split.")] = None
    installments: Annotated[
        Annotated[list[OwnInstallment], Meta(min_length=1, max_length=MAX_INSTALLMENTS)] | None,
        Meta(description="Your own amounts and dates: rising dates, the exact sum."),
    ] = None
    customer_email: EmailText | None = None


class NewPlan(PlanTerms, kw_only=True):
    """A new plan. A customer without an account is invited."""

    customer_email: EmailText
    description: Annotated[Text, up_to(200), Meta(description="What was bought; the customer sees it.")] = ""
    external_id: Annotated[
        Annotated[Text, up_to(100)] | None,
        Meta(description="Your own id of the plan, up to 100 letters on one line. Sent again, it is the same plan."),
    ] = None
    metadata: Metadata = field(default_factory=dict)


class ScheduleRow(Out, kw_only=True):
    """One installment of the schedule."""

    number: int
    amount: Money
    due_date: date


class Preview(Out, kw_only=True):
    """The schedule of a plan that is not created yet."""

    total_amount: Money
    currency: Currency
    num_installments: int
    interval: PlanInterval
    start_date: date
    deposit: Money | None
    installments: list[ScheduleRow]


class ProposedAmount(Out, kw_only=True):
    """An amount that is to pay on a day."""

    due_date: date
    amount: Money


class RescheduleProposal(Out, kw_only=True):
    """Other days that the customer is asked for. `before` and `after` are all that is to pay without and with them.

    An open proposal is `lapsed` once its time is over, and `void` once a payment, a credit or another change made it
    stale. Nothing changes before it is `accepted`.
    """

    id: Id
    plan: Id
    state: State
    before: list[ProposedAmount]
    after: list[ProposedAmount]
    reason: Annotated[str | None, Meta(description="Null once it is erased.")]
    created_at: Instant
    expires_at: Annotated[Instant, Meta(description="The end of the time to answer.")]
    ended_at: Annotated[Instant | None, Meta(description="When it was answered, withdrawn, or lapsed.")]


class Plan(Out, kw_only=True):
    """A purchase in installments. `overdue` as soon as an installment is late.

    `total_amount` is the sum of `paid`, `credited` (including amounts voided by a cancellation), `written_off` and
    `remaining`. `refunded` is the sum of refunds, `refunding` of those in flight. A refund never opens an installment.
    """

    id: Id
    merchant: Id
    merchant_name: Name
    customer: Id
    customer_email: EmailText
    total_amount: Money
    currency: Currency
    num_installments: Annotated[int, Meta(description="A deposit counts.")]
    interval: Annotated[PlanInterval, Meta(description="`custom`: the installments were sent one by one.")]
    start_date: date
    deposit: Annotated[Money | None, Meta(description="The deposit, as it was agreed when the plan was made.")]
    status: PlanStatus
    closed_by: Annotated[ClosedBy | None, Meta(description="Why nothing more is owed; null while the plan is active.")]
    paid: Money
    credited: Money
    written_off: Money
    remaining: Money
    refunded: Money
    refunding: Money
    description: Name
    external_id: Annotated[str, Meta(max_length=100)] | None
    metadata: Metadata
    created_at: Instant
    updated_at: Instant
    accepted_at: Annotated[Instant | None, Meta(description="When the customer accepted the plan, or first paid it.")]
    lapses_at: Annotated[
        Instant | None, Meta(description="Set while the plan waits for acceptance: it counts nowhere until then.")
    ]
    disputed_at: Annotated[Instant | None, Meta(description="Set while the customer says that the plan is not theirs.")]
    delivered_at: Annotated[Instant | None, Meta(description="When the merchant marked the purchase as delivered.")]
    withdrawal_ends_at: Annotated[
        Instant | None, Meta(description="The end of the customer's right to withdraw. Null without that right.")
    ]
    reschedule_proposal: Annotated[
        RescheduleProposal | None, Meta(description="The open proposal of other days, which the customer may answer.")
    ]
    installments: list[Installment]


class PlanQuery(UpdatedQuery, kw_only=True):
    """Filters of plans. All bounds are exclusive; the due dates are about the oldest open installment."""

    status: PlanStatus | None = None
    disputed: Annotated[
        Literal["true", "false"] | None, Meta(description="Whether the customer says that the plan is not theirs.")
    ] = None
    closed_by: Annotated[ClosedBy | None, Meta(description="Why the plan is closed.")] = None
    customer_email: Annotated[Text | None, Meta(description="The whole address, in any case.")] = None
    customer: CustomerId | None = None
    external_id: Annotated[Text | None, Meta(description="The merchant's own id of the plan, whole.")] = None
    currency: Currency | None = None
    due_before: Annotated[Day | None, Meta(description="Never matches a plan without an open installment.")] = None
    due_after: Day | None = None
    metadata: Pairs | None = None
    sort: Annotated[Literal["-id", "id"], Meta(description="Newest first, or oldest first.")] = "-id"


def plan(facts: PlanFacts) -> Plan:
    return Plan(**fields_of(facts))


def plan_row(
    row: models.Plan | PlanRow, installments: Sequence[models.Installment | InstallmentFacts], totals: tuple[int, int]
) -> Plan:
    """`totals`: the amounts refunded and in refunds in flight, in minor units."""
    asked = proposals.open_of(row, installments)
    return plan(row_facts.of_plan(row, row.parties, installments, totals, asked))


def fields_of(facts: PlanFacts) -> dict[str, Any]:
    """The fields of a plan, for Plan and its subclasses."""
    amounts = {
        "total_amount": facts.total,
        **figures.sums(facts.installments),
        "refunded": facts.refunded,
        "refunding": facts.refunding,
    }
    return {
        "id": facts.id,
        "merchant": facts.merchant_id,
        "merchant_name": facts.merchant_name,
        "customer": facts.customer_id,
        "customer_email": facts.customer_email,
        "currency": facts.currency,
        "num_installments": facts.num_installments,
        "interval": facts.interval,
        "start_date": facts.start_date,
        "deposit": None if facts.deposit is None else decimal(facts.deposit, facts.currency),
        "status": facts.status,
        "closed_by": facts.closed_by,
        "description": facts.description,
        "external_id": facts.external_id,
        "metadata": facts.notes,
        "created_at": facts.created_at,
        "updated_at": facts.updated_at,
        "accepted_at": facts.accepted_at,
        "lapses_at": facts.lapses_at,
        "disputed_at": facts.disputed_at,
        "delivered_at": facts.delivered_at,
        "withdrawal_ends_at": facts.withdrawal_ends_at,
        "reschedule_proposal": None if facts.proposal is None else proposal(facts.proposal),
        "installments": [installment(part) for part in facts.installments],
        **{name: decimal(amount, facts.currency) for name, amount in amounts.items()},
    }


def proposal(facts: ProposalFacts) -> RescheduleProposal:
    """The schema of a proposal of other days."""

    def amounts(rows: Sequence[DueAmount]) -> list[ProposedAmount]:
        return [ProposedAmount(due_date=row.due_date, amount=decimal(row.amount, facts.currency)) for row in rows]

    return RescheduleProposal(
        id=facts.id,
        plan=facts.plan_id,
        state=facts.state,
        before=amounts(facts.before),
        after=amounts(facts.after),
        reason=facts.reason,
        created_at=facts.proposed_at,
        expires_at=facts.expires_at,
        ended_at=facts.ended_at,
    )


def preview(currency: str, new: NewPlanInput, rows: list[Row]) -> Preview:
    return Preview(
        total_amount=decimal(new.total, currency),
        currency=currency,
        num_installments=len(rows),
        interval=new.interval if new.rows is None else "custom",
        start_date=new.start_date if new.rows is None else rows[0].due_date,
        deposit=None if new.deposit is None else decimal(new.deposit, currency),
        installments=[
            ScheduleRow(number=row.number, amount=decimal(row.amount, currency), due_date=row.due_date) for row in rows
        ],
    )
