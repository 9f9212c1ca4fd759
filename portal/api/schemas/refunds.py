"""Schemas of refunds."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from portal import models
from portal.api.parsing import Amount, Pairs, whole
from portal.api.schemas.kinds import (
    AmountField,
    Currency,
    CustomerId,
    ExternalId,
    Id,
    In,
    Instant,
    Metadata,
    Money,
    Name,
    Out,
    PlanId,
    Reason,
    Text,
    UpdatedQuery,
    decimal,
)
from portal.domain.identifiers import MAX_ID
from portal.models.payments.refunds import REFUND_STATES, RefundState
from portal.services.row_facts import RefundFacts
from portal.wording.causes import causes


class NewRefund(In, kw_only=True):
    """A refund: of one payment, or of the newest payments first."""

    amount: AmountField
    reason: Reason
    payment: Annotated[Any, whole(1, MAX_ID), Meta(description="The id of the only payment to refund.")] | None = None
    external_id: Annotated[
        ExternalId | None,
        Meta(description="Your own id, up to 100 letters on one line. Sent again, it is the same refund."),
    ] = None
    metadata: Metadata = field(default_factory=dict)
    expected: Annotated[
        Amount | None, Meta(description="The refundable amount that you expect. 409 amount_changed if it differs.")
    ] = None


class Refund(Out, kw_only=True):
    """A refund of one payment. `in_flight` until its outcome is known."""

    id: Id
    plan: Id
    payment: Id
    amount: Money
    currency: Currency
    state: RefundState
    reason: Annotated[Name | None, Meta(description="Null once it is erased.")]
    decline_code: Annotated[str, Meta(max_length=40)] | None
    created_at: Instant
    settled_at: Instant | None
    updated_at: Instant
    external_id: Annotated[str, Meta(max_length=100)] | None
    metadata: Metadata


class RefundAnswer(Out, kw_only=True):
    """The outcome of a refund request: one refund for each refunded payment, and their sums.

    `declined` is the amount that was not refunded.
    """

    plan: Id
    currency: Currency
    amount: Money
    refunded: Money
    refunding: Money
    declined: Money
    refunds: list[Refund]


class RefundQuery(UpdatedQuery, kw_only=True):
    """Filters of refunds."""

    status: RefundState | None = None
    sort: Annotated[Literal["-id", "id"], Meta(description="Newest first, or oldest first.")] = "-id"


class RefundsQuery(RefundQuery, kw_only=True):
    """Filters of the refunds of all plans."""

    plan: PlanId | None = None
    payment: Annotated[Any, whole(1, MAX_ID), Meta(description="The id of a payment.")] | None = None
    customer: CustomerId | None = None
    currency: Currency | None = None
    external_id: Annotated[Text | None, Meta(description="The merchant's own id of the refund, whole.")] = None
    metadata: Pairs | None = None


def refund(row: models.Refund | RefundFacts) -> Refund:
    return Refund(
        id=row.id,
        plan=row.plan_id,
        payment=row.payment_id,
        amount=decimal(row.amount, row.currency),
        currency=row.currency,
        state=row.state,
        reason=causes()[row.cause] if row.cause else row.reason,
        decline_code=row.decline_code,
        created_at=row.created_at,
        settled_at=row.settled_at,
        updated_at=row.updated_at,
        external_id=row.external_id,
        metadata=row.notes,
    )


def refund_answer(rows: Sequence[RefundFacts]) -> RefundAnswer:
    currency = rows[0].currency
    sums = dict.fromkeys(REFUND_STATES, 0)
    for row in rows:
        sums[row.state] += row.amount
    return RefundAnswer(
        plan=rows[0].plan_id,
        currency=currency,
        amount=decimal(sum(sums.values()), currency),
        refunded=decimal(sums["succeeded"], currency),
        refunding=decimal(sums["in_flight"], currency),
        declined=decimal(sums["declined"], currency),
        refunds=[refund(row) for row in rows],
    )
