"""The registry of events: every kind with its typed payload.

A payload holds ids, codes and figures only: amounts are minor units of the plan's currency. A text that a person typed
stays in the table `texts`, and the payload has its id (`reason_id`). A subclass of `Payload` with a `kind` registers
itself in KINDS. A field with a default that is added later reads rows written before.
"""

from dataclasses import dataclass
from typing import Literal

from portal.domain.allocation import How
from portal.domain.payloads import DISPUTE_OUTCOMES as DISPUTE_OUTCOMES
from portal.domain.payloads import KINDS as KINDS
from portal.domain.payloads import CancelCause as CancelCause
from portal.domain.payloads import Cause as Cause
from portal.domain.payloads import DisputeOutcome as DisputeOutcome
from portal.domain.payloads import Link as Link
from portal.domain.payloads import Payload as Payload
from portal.domain.payloads import ProposalEnd as ProposalEnd
from portal.domain.payloads import UnknownKind as UnknownKind
from portal.domain.payloads import facts as facts
from portal.domain.payloads import read as read
from portal.domain.rescheduling import Change

# Plans


@dataclass(frozen=True, kw_only=True)
class PlanOpened(Payload):
    """A plan of `amount` in a number of installments."""

    kind = "plan.opened"
    amount: int
    installments: int


@dataclass(frozen=True, kw_only=True)
class PlanCompleted(Payload):
    """Nothing remains, and the plan kept money."""

    kind = "plan.completed"


@dataclass(frozen=True, kw_only=True)
class PlanClosed(Payload):
    """Nothing remains, and the plan kept no money."""

    kind = "plan.closed"


@dataclass(frozen=True, kw_only=True)
class PlanReopened(Payload):
    """An amount remains again. `disputed`: the dispute that the payment had ended goes on."""

    kind = "plan.reopened"
    disputed: bool = False


@dataclass(frozen=True, kw_only=True)
class PlanCancelled(Payload):
    """`amount` is the remaining amount that became void."""

    kind = "plan.cancelled"
    amount: int
    reason_id: int | None = None
    cause: CancelCause | None = None


@dataclass(frozen=True, kw_only=True)
class PlanAccepted(Payload):
    """The customer accepted the plan, by the button or by paying."""

    kind = "plan.accepted"
    by_paying: bool = False


@dataclass(frozen=True, kw_only=True)
class PlanDisputed(Payload):
    """The customer says that the plan is not theirs."""

    kind = "plan.disputed"


@dataclass(frozen=True, kw_only=True)
class DisputeAnswered(Payload):
    """The merchant answered the dispute."""

    kind = "plan.dispute_answered"
    reason_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class DisputeUpheld(Payload):
    """The customer disputes the plan still, after the answer."""

    kind = "plan.dispute_upheld"


@dataclass(frozen=True, kw_only=True)
class DisputeEnded(Payload):
    """The dispute ended."""

    kind = "plan.dispute_ended"
    outcome: DisputeOutcome


@dataclass(frozen=True, kw_only=True)
class PlanDelivered(Payload):
    """The merchant marked the purchase as delivered, which ends the right to withdraw."""

    kind = "plan.delivered"


@dataclass(frozen=True, kw_only=True)
class PlanWrittenOff(Payload):
    """`amount` is the remaining amount that was written off."""

    kind = "plan.written_off"
    amount: int
    reason_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class CreditGiven(Payload):
    """A credit of `amount`, spread or from the last installment backwards."""

    kind = "credit.given"
    amount: int
    how: How
    reason_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class PlanRescheduled(Payload):
    """`amount` of the plan got new dates in `installments` new rows: one moved, all shifted, or a split."""

    kind = "plan.rescheduled"
    amount: int
    how: Change
    installments: int
    reason_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class RescheduleProposed(Payload):
    """The merchant asked the customer for other days of `amount` in `installments` rows."""

    kind = "plan.reschedule_proposed"
    proposal_id: int
    amount: int
    installments: int
    reason_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class RescheduleAnswered(Payload):
    """The proposal of other days ended. After "accepted" follows plan.rescheduled."""

    kind = "plan.reschedule_answered"
    proposal_id: int
    outcome: ProposalEnd


@dataclass(frozen=True, kw_only=True)
class InstallmentLate(Payload):
    """An installment became late with `amount` remaining."""

    kind = "installment.late"
    installment_id: int
    amount: int


# Payments and refunds


@dataclass(frozen=True, kw_only=True)
class OfPayment(Payload):
    """A payment of `amount`. `installment_id` is set for a payment of a single one."""

    payment_id: int
    installment_id: int | None = None
    amount: int


@dataclass(frozen=True, kw_only=True)
class PaymentSucceeded(OfPayment):
    """`recovered` is the part that had been written off."""

    kind = "payment.succeeded"
    recovered: int = 0
    automatic: bool = False


@dataclass(frozen=True, kw_only=True)
class PaymentRecorded(OfPayment):
    """A payment without the gateway, recorded by the merchant."""

    kind = "payment.recorded"
    recovered: int = 0
    reason_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class PaymentDeclined(OfPayment):
    """`code` is the gateway's decline code."""

    kind = "payment.declined"
    code: str
    automatic: bool = False


@dataclass(frozen=True, kw_only=True)
class PaymentReversed(Payload):
    """The bank took `amount` of a payment back, and `lost` beyond what refunds had left of it."""

    kind = "payment.reversed"
    payment_id: int
    amount: int
    lost: int = 0
    cause: Cause | None = None
    reason_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class PaymentWon(OfPayment):
    """The bank gave `amount` of the reversed payment `wins_back` back, as a payment of its own."""

    kind = "payment.won"
    wins_back: int
    recovered: int = 0


@dataclass(frozen=True, kw_only=True)
class LossReturned(Payload):
    """The bank gave `amount` back of what it had taken of a payment beyond what refunds had left of it."""

    kind = "payment.loss_returned"
    payment_id: int
    amount: int


@dataclass(frozen=True, kw_only=True)
class PaymentVoided(Payload):
    """The merchant voided a payment that was recorded by mistake."""

    kind = "payment.voided"
    payment_id: int
    amount: int
    reason_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class OfRefund(Payload):
    """A refund of `amount`. It has a reason of the merchant, or a cause."""

    refund_id: int
    payment_id: int
    amount: int
    reason_id: int | None = None
    cause: Cause | None = None


@dataclass(frozen=True, kw_only=True)
class RefundStarted(OfRefund):
    """A refund was requested from the gateway."""

    kind = "refund.started"


@dataclass(frozen=True, kw_only=True)
class RefundSucceeded(OfRefund):
    """The money of a refund went back."""

    kind = "refund.succeeded"


@dataclass(frozen=True, kw_only=True)
class RefundDeclined(OfRefund):
    """The gateway declined a refund with `code`."""

    kind = "refund.declined"
    code: str


# Customers, links and reminders


@dataclass(frozen=True, kw_only=True)
class InvitationCreated(Payload):
    """A link of the plan was created. `link` "customer": it is mailed to the customer; "pay": the business sees it."""

    kind = "invitation.created"
    link: Link = "customer"


@dataclass(frozen=True, kw_only=True)
class InvitationRevoked(Payload):
    """The business revoked a link of the plan."""

    kind = "invitation.revoked"
    link: Link = "customer"


@dataclass(frozen=True, kw_only=True)
class InvitationOpened(Payload):
    """A browser opened the customer's link for the first time."""

    kind = "invitation.opened"


@dataclass(frozen=True, kw_only=True)
class ShopReported(Payload):
    """The holder of the customer's link does not know the business. No reminders follow until an operator looked."""

    kind = "shop.reported"


@dataclass(frozen=True, kw_only=True)
class ShopCleared(Payload):
    """An operator looked at the business and found nothing wrong. Reminders go on."""

    kind = "shop.cleared"


@dataclass(frozen=True, kw_only=True)
class CustomerUpdated(Payload):
    """The plan belongs to another person, no longer to `before_id`; without one: words about the customer changed."""

    kind = "customer.updated"
    customer_id: int
    before_id: int | None = None
    fields: tuple[Literal["name", "phone", "note"], ...] = ()


@dataclass(frozen=True, kw_only=True)
class CustomerClaimed(Payload):
    """The invited customer set a username and a password."""

    kind = "customer.claimed"


@dataclass(frozen=True, kw_only=True)
class ReminderSent(Payload):
    """A reminder of the installments with these numbers was sent."""

    kind = "reminder.sent"
    numbers: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class RemindersMuted(Payload):
    """The merchant muted the reminders of the plan."""

    kind = "reminders.muted"


@dataclass(frozen=True, kw_only=True)
class RemindersUnmuted(Payload):
    """The merchant turned the reminders of the plan on again."""

    kind = "reminders.unmuted"


@dataclass(frozen=True, kw_only=True)
class CustomerMuted(Payload):
    """The merchant muted the reminders to the customer."""

    kind = "customer.muted"


@dataclass(frozen=True, kw_only=True)
class CustomerUnmuted(Payload):
    """The merchant turned the reminders to the customer on again."""

    kind = "customer.unmuted"


@dataclass(frozen=True, kw_only=True)
class AutomaticPaymentOn(Payload):
    """The customer turned automatic payment on, with the card ending in `last4`."""

    kind = "automatic_payment.on"
    last4: str


@dataclass(frozen=True, kw_only=True)
class AutomaticPaymentOff(Payload):
    """The customer turned automatic payment off."""

    kind = "automatic_payment.off"


@dataclass(frozen=True, kw_only=True)
class AutomaticPaymentStopped(Payload):
    """Automatic payment ended: the card ending in `last4` was removed, or the bank took a payment back."""

    kind = "automatic_payment.stopped"
    last4: str
    cause: Cause | None = None
