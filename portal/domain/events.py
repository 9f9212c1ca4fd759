"""The registry of events: every kind with its typed payload.

A payload holds ids, codes and figures only: amounts are minor units of the plan's currency. A text that a person typed
stays in the table `texts`, and the payload has its id (`reason_id`). A subclass of `Payload` with a `kind` registers
itself in KINDS. A field with a default that is added later reads rows written before.

Each kind is for outsiders, under a `public` type and `about` an object, or `internal` for a reason.
"""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from portal.domain.allocation import How
from portal.domain.payloads import DISPUTE_OUTCOMES as DISPUTE_OUTCOMES
from portal.domain.payloads import KINDS as KINDS
from portal.domain.payloads import OBJECT_TYPES as OBJECT_TYPES
from portal.domain.payloads import CancelCause as CancelCause
from portal.domain.payloads import Cause as Cause
from portal.domain.payloads import DisputeOutcome as DisputeOutcome
from portal.domain.payloads import Link as Link
from portal.domain.payloads import ObjectType as ObjectType
from portal.domain.payloads import Payload as Payload
from portal.domain.payloads import ProposalEnd as ProposalEnd
from portal.domain.payloads import UnknownKind as UnknownKind
from portal.domain.payloads import facts as facts
from portal.domain.payloads import object_of as object_of
from portal.domain.payloads import read as read
from portal.domain.rescheduling import Change

EventType = Literal[
    "plan.created",
    "plan.accepted",
    "plan.disputed",
    "plan.dispute_ended",
    "plan.rescheduled",
    "plan.completed",
    "plan.cancelled",
    "plan.written_off",
    "installment.late",
    "payment.succeeded",
    "payment.declined",
    "payment.reversed",
    "payment.voided",
    "refund.succeeded",
    "refund.declined",
    "credit.created",
    "automatic_payment.changed",
    "invitation.opened",
    "customer.updated",
]
EVENT_TYPES: Final[tuple[EventType, ...]] = get_args(EventType)
"""The types for outsiders: of GET /api/events/ and of webhooks."""

# Plans


@dataclass(frozen=True, kw_only=True)
class PlanOpened(Payload, kind="plan.opened", public="plan.created"):
    """A plan of `amount` in a number of installments."""

    amount: int
    installments: int


@dataclass(frozen=True, kw_only=True)
class PlanCompleted(Payload, kind="plan.completed", public="plan.completed"):
    """Nothing remains, and the plan kept money."""


@dataclass(frozen=True, kw_only=True)
class PlanClosed(Payload, kind="plan.closed", public="plan.cancelled"):
    """Nothing remains, and the plan kept no money."""


@dataclass(frozen=True, kw_only=True)
class PlanReopened(
    Payload, kind="plan.reopened", internal="the reversal or the void that reopens a plan has an event of its own"
):
    """An amount remains again. `disputed`: the dispute that the payment had ended goes on."""

    disputed: bool = False


@dataclass(frozen=True, kw_only=True)
class PlanCancelled(Payload, kind="plan.cancelled", public="plan.cancelled"):
    """`amount` is the remaining amount that became void."""

    amount: int
    reason_id: int | None = None
    cause: CancelCause | None = None


@dataclass(frozen=True, kw_only=True)
class PlanAccepted(Payload, kind="plan.accepted", public="plan.accepted"):
    """The customer accepted the plan, by the button or by paying."""

    by_paying: bool = False


@dataclass(frozen=True, kw_only=True)
class PlanDisputed(Payload, kind="plan.disputed", public="plan.disputed"):
    """The customer says that the plan is not theirs."""


@dataclass(frozen=True, kw_only=True)
class DisputeAnswered(Payload, kind="plan.dispute_answered", internal="the merchant's own step in a dispute"):
    """The merchant answered the dispute."""

    reason_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class DisputeUpheld(
    Payload, kind="plan.dispute_upheld", internal="an intermediate step of a dispute, which plan.dispute_ended ends"
):
    """The customer disputes the plan still, after the answer."""


@dataclass(frozen=True, kw_only=True)
class DisputeEnded(Payload, kind="plan.dispute_ended", public="plan.dispute_ended"):
    """The dispute ended."""

    outcome: DisputeOutcome


@dataclass(frozen=True, kw_only=True)
class PlanDelivered(Payload, kind="plan.delivered", internal="the merchant's own mark"):
    """The merchant marked the purchase as delivered, which ends the right to withdraw."""


@dataclass(frozen=True, kw_only=True)
class PlanWrittenOff(Payload, kind="plan.written_off", public="plan.written_off"):
    """`amount` is the remaining amount that was written off."""

    amount: int
    reason_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class CreditGiven(Payload, kind="credit.given", public="credit.created"):
    """A credit of `amount`, spread or from the last installment backwards."""

    amount: int
    how: How
    reason_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class PlanRescheduled(Payload, kind="plan.rescheduled", public="plan.rescheduled"):
    """`amount` of the plan got new dates in `installments` new rows: one moved, all shifted, or a split."""

    amount: int
    how: Change
    installments: int
    reason_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class RescheduleProposed(
    Payload,
    kind="plan.reschedule_proposed",
    internal="nothing changes before the customer agrees, which is plan.rescheduled",
):
    """The merchant asked the customer for other days of `amount` in `installments` rows."""

    proposal_id: int
    amount: int
    installments: int
    reason_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class RescheduleAnswered(
    Payload, kind="plan.reschedule_answered", internal="an agreement is plan.rescheduled; otherwise nothing changed"
):
    """The proposal of other days ended. After "accepted" follows plan.rescheduled."""

    proposal_id: int
    outcome: ProposalEnd


@dataclass(frozen=True, kw_only=True)
class InstallmentLate(Payload, kind="installment.late", public="installment.late", about="installment"):
    """An installment became late with `amount` remaining."""

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
class PaymentSucceeded(OfPayment, kind="payment.succeeded", public="payment.succeeded", about="payment"):
    """`recovered` is the part that had been written off."""

    recovered: int = 0
    automatic: bool = False


@dataclass(frozen=True, kw_only=True)
class PaymentRecorded(OfPayment, kind="payment.recorded", public="payment.succeeded", about="payment"):
    """A payment without the gateway, recorded by the merchant."""

    recovered: int = 0
    reason_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class PaymentDeclined(OfPayment, kind="payment.declined", public="payment.declined", about="payment"):
    """`code` is the gateway's decline code."""

    code: str
    automatic: bool = False


@dataclass(frozen=True, kw_only=True)
class PaymentReversed(Payload, kind="payment.reversed", public="payment.reversed", about="payment"):
    """The bank took `amount` of a payment back, and `lost` beyond what refunds had left of it."""

    payment_id: int
    amount: int
    lost: int = 0
    cause: Cause | None = None
    reason_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class PaymentWon(OfPayment, kind="payment.won", public="payment.succeeded", about="payment"):
    """The bank gave `amount` of the reversed payment `wins_back` back, as a payment of its own."""

    wins_back: int
    recovered: int = 0


@dataclass(frozen=True, kw_only=True)
class LossReturned(Payload, kind="payment.loss_returned", internal="only the books of the business change"):
    """The bank gave `amount` back of what it had taken of a payment beyond what refunds had left of it."""

    payment_id: int
    amount: int


@dataclass(frozen=True, kw_only=True)
class PaymentVoided(Payload, kind="payment.voided", public="payment.voided", about="payment"):
    """The merchant voided a payment that was recorded by mistake."""

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
class RefundStarted(OfRefund, kind="refund.started", internal="the outcome has an event of its own"):
    """A refund was requested from the gateway."""


@dataclass(frozen=True, kw_only=True)
class RefundSucceeded(OfRefund, kind="refund.succeeded", public="refund.succeeded", about="refund"):
    """The money of a refund went back."""


@dataclass(frozen=True, kw_only=True)
class RefundDeclined(OfRefund, kind="refund.declined", public="refund.declined", about="refund"):
    """The gateway declined a refund with `code`."""

    code: str


# Customers, links and reminders


@dataclass(frozen=True, kw_only=True)
class InvitationCreated(Payload, kind="invitation.created", internal="the merchant's own link"):
    """A link of the plan was created. `link` "customer": it is mailed to the customer; "pay": the business sees it."""

    link: Link = "customer"


@dataclass(frozen=True, kw_only=True)
class InvitationRevoked(Payload, kind="invitation.revoked", internal="the merchant's own link"):
    """The business revoked a link of the plan."""

    link: Link = "customer"


@dataclass(frozen=True, kw_only=True)
class InvitationOpened(Payload, kind="invitation.opened", public="invitation.opened"):
    """A browser opened the customer's link for the first time."""


@dataclass(frozen=True, kw_only=True)
class ShopReported(Payload, kind="shop.reported", internal="between the customer and the operator"):
    """The holder of the customer's link does not know the business. No reminders follow until an operator looked."""


@dataclass(frozen=True, kw_only=True)
class ShopCleared(Payload, kind="shop.cleared", internal="between the customer and the operator"):
    """An operator looked at the business and found nothing wrong. Reminders go on."""


@dataclass(frozen=True, kw_only=True)
class CustomerUpdated(Payload, kind="customer.updated", public="customer.updated", about="customer"):
    """The plan belongs to another person, no longer to `before_id`; without one: words about the customer changed."""

    customer_id: int
    before_id: int | None = None
    fields: tuple[Literal["name", "phone", "note"], ...] = ()


@dataclass(frozen=True, kw_only=True)
class CustomerClaimed(Payload, kind="customer.claimed", public="customer.updated", about="customer"):
    """The invited customer set a username and a password."""


@dataclass(frozen=True, kw_only=True)
class ReminderSent(Payload, kind="reminder.sent", internal="the timeline has it"):
    """A reminder of the installments with these numbers was sent."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class RemindersMuted(Payload, kind="reminders.muted", internal="the merchant's own setting"):
    """The merchant muted the reminders of the plan."""


@dataclass(frozen=True, kw_only=True)
class RemindersUnmuted(Payload, kind="reminders.unmuted", internal="the merchant's own setting"):
    """The merchant turned the reminders of the plan on again."""


@dataclass(frozen=True, kw_only=True)
class CustomerMuted(Payload, kind="customer.muted", internal="the merchant's own setting"):
    """The merchant muted the reminders to the customer."""


@dataclass(frozen=True, kw_only=True)
class CustomerUnmuted(Payload, kind="customer.unmuted", internal="the merchant's own setting"):
    """The merchant turned the reminders to the customer on again."""


@dataclass(frozen=True, kw_only=True)
class AutomaticPaymentOn(Payload, kind="automatic_payment.on", public="automatic_payment.changed"):
    """The customer turned automatic payment on, with the card ending in `last4`."""

    last4: str


@dataclass(frozen=True, kw_only=True)
class AutomaticPaymentOff(Payload, kind="automatic_payment.off", public="automatic_payment.changed"):
    """The customer turned automatic payment off."""


@dataclass(frozen=True, kw_only=True)
class AutomaticPaymentStopped(Payload, kind="automatic_payment.stopped", public="automatic_payment.changed"):
    """Automatic payment ended: the card ending in `last4` was removed, or the bank took a payment back."""

    last4: str
    cause: Cause | None = None


OF_CUSTOMERS: Final[frozenset[type[Payload]]] = frozenset(
    {PaymentSucceeded, PaymentDeclined, PlanDisputed, DisputeUpheld, CustomerClaimed}
)
"""Acts of the customer alone. They stay those of a customer when the plan goes to another email."""
