"""What a merchant changes of a plan or a payment: credit, cancel, write off, reverse."""

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta

from portal import models
from portal.api.parsing import Amount
from portal.api.schemas.kinds import AnAmount, Id, In, Money, Out, Reason, decimal
from portal.api.schemas.plans import Plan, fields_of
from portal.reports.payments.refunds import GivenBack

Remaining = Annotated[Amount, Meta(description="What you take to remain; if it does not, 409 amount_changed.")]


class NewCredit(In, kw_only=True):
    """How much less is owed: from the last installment backwards, or spread over the unpaid ones."""

    amount: AnAmount
    how: Literal["last", "spread"] = "last"
    reason: Reason
    expected: Remaining | None = None


class NewWriteOff(In, kw_only=True):
    """All that remains is expected no more. A later payment is a recovery."""

    reason: Reason
    expected: Remaining | None = None


class NewCancellation(In, kw_only=True):
    """Void what is unpaid, for good; keep what was paid, or give some of it back."""

    reason: Reason
    refund: Annotated[
        Amount | None, Meta(description="How much to give back, newest payment first; nothing when left out.")
    ] = None
    expected: Remaining | None = None
    expected_refundable: Annotated[
        Amount | None, Meta(description="What you take to be refundable; if it is not, 409 amount_changed.")
    ] = None


class NewReversal(In, kw_only=True):
    """The bank took a payment back: what it paid is owed again."""

    reason: Reason
    expected: Annotated[
        Amount | None,
        Meta(description="The payment's amount less what was refunded of it; if it is not that, 409 amount_changed."),
    ] = None


class HeldRefund(Out, kw_only=True):
    """A refund that was asked for. What became of it stands at /api/refunds/{id}/."""

    id: Id
    payment: Id
    amount: Money


class CancelledPlan(Plan, kw_only=True):
    """The plan as it was cancelled, and the refunds that went out with it."""

    refunds: list[HeldRefund]


def cancelled_plan(row: models.Plan, given_back: GivenBack, refunds: Sequence[models.Refund]) -> CancelledPlan:
    held = [HeldRefund(id=one.id, payment=one.payment_id, amount=decimal(one.amount, one.currency)) for one in refunds]
    return CancelledPlan(**fields_of(row, given_back), refunds=held)
