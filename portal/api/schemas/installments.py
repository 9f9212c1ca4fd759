"""Schemas of installments."""

from datetime import date
from typing import Annotated, Any, Literal

from msgspec import Meta

from portal import models
from portal.api.parsing import Day, Pairs, whole
from portal.api.schemas.kinds import (
    CreatedQuery,
    Currency,
    CustomerId,
    Id,
    Instant,
    Money,
    Out,
    PageQuery,
    PlanId,
    Text,
    decimal,
)
from portal.domain.schedule import MAX_INSTALLMENTS
from portal.models.payments.payments import PaymentState
from portal.models.plans.installments import InstallmentStatus
from portal.reports.paging import MAX_LIMIT
from portal.services.row_facts import InstallmentFacts, PaymentFacts


class Installment(Out, kw_only=True):
    """One part of a plan. `late` once its due date and the grace days have passed in the merchant's time zone."""

    id: Id
    plan: Id
    number: int
    amount: Money
    currency: Currency
    due_date: date
    status: InstallmentStatus
    paid_at: Instant | None
    amount_paid: Money
    credited: Annotated[Money, Meta(description="Not owed any more: the merchant credited it, or cancelled the plan.")]
    written_off: Annotated[Money, Meta(description="Not expected any more. It may still be paid.")]
    moved: Annotated[Money, Meta(description="Went to other installments, when the plan was rescheduled.")]
    remaining: Money


class PaymentRef(Out, kw_only=True):
    """The payment, and its state."""

    id: Id
    state: PaymentState


class PaidInstallment(Installment, kw_only=True):
    """The installment after the payment."""

    payment: PaymentRef


Include = Annotated[
    Literal["replaced", "total", "replaced,total", "total,replaced"] | None,
    Meta(
        description="`replaced`: also those that a rescheduling replaced. `total`: the number of rows in the header "
        "X-Total-Count, exact up to 10000, else `10000+`."
    ),
]


class InstallmentQuery(CreatedQuery, kw_only=True):
    """Filters of installments. All bounds are exclusive. The creation, `external_id` and `metadata` are the plan's."""

    status: InstallmentStatus | None = None
    include: Include = None  # type: ignore[assignment]
    plan: PlanId | None = None
    customer_email: Annotated[Text | None, Meta(description="The whole address, in any case.")] = None
    customer: CustomerId | None = None
    currency: Currency | None = None
    due_before: Day | None = None
    due_after: Day | None = None
    external_id: Annotated[Text | None, Meta(description="The merchant's own id of the plan, whole.")] = None
    metadata: Pairs | None = None
    sort: Annotated[Literal["due_date", "-due_date"], Meta(description="Soonest due first, or last.")] = "due_date"


class PlanInstallmentQuery(PageQuery, kw_only=True):
    """Filters of a plan's installments. Without any, all are listed. Both dates are exclusive."""

    limit: Annotated[Any, whole(1, MAX_LIMIT), Meta(description="The most rows of a page.")] = MAX_INSTALLMENTS
    status: InstallmentStatus | None = None
    include: Include = None  # type: ignore[assignment]
    due_before: Day | None = None
    due_after: Day | None = None


def installment(row: models.Installment | InstallmentFacts) -> Installment:
    return Installment(**_installment(row))


def paid_installment(row: InstallmentFacts, payment: PaymentFacts) -> PaidInstallment:
    return PaidInstallment(**_installment(row), payment=PaymentRef(id=payment.id, state=payment.state))


def _installment(row: models.Installment | InstallmentFacts) -> dict[str, Any]:
    currency = row.currency
    return {
        "id": row.id,
        "plan": row.plan_id,
        "number": row.number,
        "amount": decimal(row.amount, currency),
        "currency": currency,
        "due_date": row.due_date,
        "status": row.status,
        "paid_at": row.paid_at,
        "amount_paid": decimal(row.paid, currency),
        "credited": decimal(row.credited, currency),
        "written_off": decimal(row.written_off, currency),
        "moved": decimal(row.moved, currency),
        "remaining": decimal(row.remaining, currency),
    }
