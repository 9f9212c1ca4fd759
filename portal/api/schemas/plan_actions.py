"""Schemas of a merchant's actions: credit, write-off, cancellation, reversal, void."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta

from portal.api.parsing import Amount, Day, whole
from portal.api.schemas.kinds import AmountField, Id, In, Money, Out, Reason, Text, decimal, up_to
from portal.api.schemas.plans import Plan, fields_of
from portal.domain.identifiers import MAX_ID
from portal.domain.rescheduling import MAX_SHIFT_DAYS, Change
from portal.domain.schedule import MAX_INSTALLMENTS, Interval
from portal.services.row_facts import PlanFacts, RefundFacts

Remaining = Annotated[
    Amount, Meta(description="The remaining amount that you expect. 409 amount_changed if it differs.")
]


class NewCredit(In, kw_only=True):
    """A reduction of the amount owed: from the last installment backwards, or spread over the unpaid ones."""

    amount: AmountField
    how: Literal["last", "spread"] = "last"
    reason: Reason
    expected: Remaining | None = None


class NewWriteOff(In, kw_only=True):
    """A write-off of the remaining amount. A later payment is a recovery."""

    reason: Reason
    expected: Remaining | None = None


class NewCancellation(In, kw_only=True):
    """A cancellation. It voids the unpaid amount for good, and can refund payments."""

    reason: Reason
    refund: Annotated[
        Amount | None, Meta(description="The amount to refund, newest payment first. By default nothing.")
    ] = None
    expected: Remaining | None = None
    expected_refundable: Annotated[
        Amount | None, Meta(description="The refundable amount that you expect. 409 amount_changed if it differs.")
    ] = None


class NewReschedule(In, kw_only=True):
    """New dates of what is open: `move` one installment, `shift` all by days, or `split` the rest."""

    how: Change
    installment: Annotated[Annotated[Any, whole(1, MAX_ID)] | None, Meta(description="The installment to move.")] = None
    due_date: Annotated[Day | None, Meta(description="Its new date; of a split, the first date.")] = None
    days: Annotated[
        Annotated[Any, whole(1, MAX_SHIFT_DAYS)] | None, Meta(description="How many days later all open ones are due.")
    ] = None
    num_installments: Annotated[
        Annotated[Any, whole(1, MAX_INSTALLMENTS)] | None, Meta(description="The number of parts of a split.")
    ] = None
    interval: Interval = "monthly"
    reason: Reason
    expected: Remaining | None = None


class ProposalAnswer(In, kw_only=True):
    """The answer to a proposal of other days."""

    proposal: Annotated[Annotated[Any, whole(1, MAX_ID)], Meta(description="The id of the proposal that you answer.")]


class NewReversal(In, kw_only=True):
    """A question to the gateway."""

    reason: Annotated[
        Text, up_to(200), Meta(description="Why you ask, up to 200 letters. If it bounced, it is on the timeline.")
    ] = ""


class NewVoid(In, kw_only=True):
    """A void of cash or of a transfer that was recorded by mistake. The amount is owed again."""

    reason: Reason
    expected: Annotated[
        Amount | None,
        Meta(description="The payment's amount less its refunds that you expect. 409 amount_changed if it differs."),
    ] = None


class HeldRefund(Out, kw_only=True):
    """A requested refund. Its outcome is at /api/refunds/{id}/."""

    id: Id
    payment: Id
    amount: Money


class CancelledPlan(Plan, kw_only=True):
    """The cancelled plan, and the refunds that the cancellation started."""

    refunds: list[HeldRefund]


def cancelled_plan(facts: PlanFacts, refunds: Sequence[RefundFacts]) -> CancelledPlan:
    held = [
        HeldRefund(id=refund.id, payment=refund.payment_id, amount=decimal(refund.amount, refund.currency))
        for refund in refunds
    ]
    return CancelledPlan(**fields_of(facts), refunds=held)
