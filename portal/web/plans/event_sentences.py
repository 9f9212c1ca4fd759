"""A plan's timeline in sentences: actor, action and moment, in the plan's time zone.

Each payload of portal/domain/events.py has one function here, which `sentence` registers with its icon.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from portal.domain import events, money
from portal.domain.events import Cause, Payload
from portal.domain.permissions import Actor
from portal.domain.wording import CARD_DECLINED, DECLINE_REASONS
from portal.models import Event, Installment, Payment, Plan
from portal.web import filters
from portal.web.labels import numbers_words, plural, refund_refusal
from portal.wording.reasons import causes, typed_words

P = TypeVar("P", bound=Payload)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the timeline. `when` is a local moment in words, `note` the reason of the actor or of the system."""

    when_iso: str
    when: str
    text: str
    who: str
    icon: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """The plan of the events, the number of each installment by id, and the numbers that each payment is for."""

    plan: Plan
    numbers: Mapping[int, int]
    paid: Mapping[int, list[int]]

    def amount(self, minor: int) -> str:
        """An amount of the plan in words."""
        return money.show(minor, self.plan.currency)

    def purpose(self, payment_id: int, installment_id: int | None = None) -> str:
        """ " for installment 2", " for installments 1 to 3"; "" for a payment that is not among those shown."""
        number = self.numbers.get(installment_id or 0)
        several = [number] if number else sorted(self.paid.get(payment_id, []))
        return f" for {numbers_words(several)}" if several else ""

    def recovered(self, minor: int) -> str:
        """The part of a payment that had been written off, in words."""
        return f", {self.amount(minor)} of it had been written off" if minor else ""


SENTENCES: Final[dict[type[Payload], Callable[[Any, Scene], str]]] = {}
ICONS: Final[dict[type[Payload], str]] = {}


def sentence(payload: type[P], icon: str) -> Callable[[Callable[[P, Scene], str]], Callable[[P, Scene], str]]:
    """Register a function as the sentence of the events with this payload."""

    def register(function: Callable[[P, Scene], str]) -> Callable[[P, Scene], str]:
        SENTENCES[payload], ICONS[payload] = function, icon
        return function

    return register


def entries(
    rows: Iterable[Event],
    plan: Plan,
    installments: Iterable[Installment],
    viewer: Actor,
    payments: Iterable[Payment] = (),
) -> list[Entry]:
    """The events as entries, in the same order. A settled refund is one entry, without its RefundStarted."""
    numbers = {row.id: row.number for row in installments}
    paid = {payment.id: [numbers[part.installment_id] for part in payment.allocations] for payment in payments}
    scene = Scene(plan, numbers, paid)
    pairs = [(row, row.payload) for row in rows]
    settled = {
        payload.refund_id for _, payload in pairs if isinstance(payload, events.RefundSucceeded | events.RefundDeclined)
    }
    return [
        Entry(
            when_iso=row.created_at.isoformat(),
            when=filters.moment(row.created_at, plan.time_zone),
            text=SENTENCES[type(payload)](payload, scene),
            who=_who(row, plan, viewer),
            icon=ICONS[type(payload)],
            note=_note(row, payload),
        )
        for row, payload in pairs
        if not (isinstance(payload, events.RefundStarted) and payload.refund_id in settled)
    ]


def _note(row: Event, payload: Payload) -> str:
    cause: Cause | None = getattr(payload, "cause", None)
    return causes()[cause] if cause is not None else typed_words(row.reason)


def _who(event: Event, plan: Plan, viewer: Actor) -> str:
    if event.actor_id is None:
        return "Qist"
    if event.actor_id == viewer.user_id:
        return "You"
    if viewer.owes(plan.customer_id):
        return plan.merchant.business_name
    return event.actor.display_name if event.actor is not None else "Qist"


# Plans


@sentence(events.PlanOpened, icon="receipt-text")
def _plan_opened(payload: events.PlanOpened, scene: Scene) -> str:
    return f"Plan made: {scene.amount(payload.amount)} in {plural(payload.installments, 'installment')}"


@sentence(events.PlanCompleted, icon="circle-check")
def _plan_completed(payload: events.PlanCompleted, scene: Scene) -> str:
    return "Nothing remains. Plan completed"


@sentence(events.PlanClosed, icon="circle-check")
def _plan_closed(payload: events.PlanClosed, scene: Scene) -> str:
    return "Nothing remains. Plan closed"


@sentence(events.PlanReopened, icon="receipt-text")
def _plan_reopened(payload: events.PlanReopened, scene: Scene) -> str:
    return "Plan open again"


@sentence(events.PlanCancelled, icon="ban")
def _plan_cancelled(payload: events.PlanCancelled, scene: Scene) -> str:
    return f"Plan cancelled, {scene.amount(payload.amount)} void"


@sentence(events.PlanWrittenOff, icon="circle-slash")
def _plan_written_off(payload: events.PlanWrittenOff, scene: Scene) -> str:
    return f"{scene.amount(payload.amount)} written off"


@sentence(events.CreditGiven, icon="minus")
def _credit_given(payload: events.CreditGiven, scene: Scene) -> str:
    how = "spread over the open installments" if payload.how == "spread" else "the last installment first"
    return f"{scene.amount(payload.amount)} credited, {how}"


@sentence(events.InstallmentLate, icon="clock")
def _installment_late(payload: events.InstallmentLate, scene: Scene) -> str:
    words = numbers_words([scene.numbers[payload.installment_id]]).capitalize()
    return f"{words} is late, {scene.amount(payload.amount)} unpaid"


# Payments and refunds


@sentence(events.PaymentSucceeded, icon="banknote")
def _payment_succeeded(payload: events.PaymentSucceeded, scene: Scene) -> str:
    how = "collected automatically" if payload.automatic else "paid"
    purpose = scene.purpose(payload.payment_id, payload.installment_id)
    return f"{scene.amount(payload.amount)} {how}{purpose}{scene.recovered(payload.recovered)}"


@sentence(events.PaymentRecorded, icon="banknote")
def _payment_recorded(payload: events.PaymentRecorded, scene: Scene) -> str:
    purpose = scene.purpose(payload.payment_id, payload.installment_id)
    return f"{scene.amount(payload.amount)} recorded as paid{purpose}{scene.recovered(payload.recovered)}"


@sentence(events.PaymentDeclined, icon="circle-x")
def _payment_declined(payload: events.PaymentDeclined, scene: Scene) -> str:
    reason = DECLINE_REASONS.get(payload.code, CARD_DECLINED)
    what = "Automatic payment" if payload.automatic else "Payment"
    purpose = scene.purpose(payload.payment_id, payload.installment_id)
    return f"{what} of {scene.amount(payload.amount)}{purpose} did not go through. {reason}"


@sentence(events.PaymentReversed, icon="undo-2")
def _payment_reversed(payload: events.PaymentReversed, scene: Scene) -> str:
    return f"{scene.amount(payload.amount)} paid{scene.purpose(payload.payment_id)} was reversed"


@sentence(events.RefundStarted, icon="undo-2")
def _refund_started(payload: events.RefundStarted, scene: Scene) -> str:
    return f"Refund of {scene.amount(payload.amount)} started"


@sentence(events.RefundSucceeded, icon="undo-2")
def _refund_succeeded(payload: events.RefundSucceeded, scene: Scene) -> str:
    return f"{scene.amount(payload.amount)} refunded"


@sentence(events.RefundDeclined, icon="circle-x")
def _refund_declined(payload: events.RefundDeclined, scene: Scene) -> str:
    return f"Refund of {scene.amount(payload.amount)} was declined. {refund_refusal(payload.code)}"


# Customers, links and reminders


@sentence(events.InvitationCreated, icon="link")
def _invitation_created(payload: events.InvitationCreated, scene: Scene) -> str:
    return "Link for the customer made"


@sentence(events.InvitationRevoked, icon="link")
def _invitation_revoked(payload: events.InvitationRevoked, scene: Scene) -> str:
    return "Link for the customer revoked"


@sentence(events.CustomerClaimed, icon="user")
def _customer_claimed(payload: events.CustomerClaimed, scene: Scene) -> str:
    return "Customer set a password and can sign in"


@sentence(events.ReminderSent, icon="bell")
def _reminder_sent(payload: events.ReminderSent, scene: Scene) -> str:
    return f"Reminder sent for {numbers_words(payload.numbers)}" if payload.numbers else "Reminder sent"


@sentence(events.RemindersMuted, icon="bell")
def _reminders_muted(payload: events.RemindersMuted, scene: Scene) -> str:
    return "Reminders of this plan muted"


@sentence(events.RemindersUnmuted, icon="bell")
def _reminders_unmuted(payload: events.RemindersUnmuted, scene: Scene) -> str:
    return "Reminders of this plan turned on again"


@sentence(events.CustomerMuted, icon="user")
def _customer_muted(payload: events.CustomerMuted, scene: Scene) -> str:
    return "Reminders to the customer muted"


@sentence(events.CustomerUnmuted, icon="user")
def _customer_unmuted(payload: events.CustomerUnmuted, scene: Scene) -> str:
    return "Reminders to the customer turned on again"


@sentence(events.AutomaticPaymentOn, icon="refresh-cw")
def _automatic_payment_on(payload: events.AutomaticPaymentOn, scene: Scene) -> str:
    return f"Automatic payment turned on, with the card ending in {payload.last4}"


@sentence(events.AutomaticPaymentOff, icon="refresh-cw")
def _automatic_payment_off(payload: events.AutomaticPaymentOff, scene: Scene) -> str:
    return "Automatic payment turned off"


@sentence(events.AutomaticPaymentStopped, icon="refresh-cw")
def _automatic_payment_stopped(payload: events.AutomaticPaymentStopped, scene: Scene) -> str:
    return f"Automatic payment ended: the card ending in {payload.last4} was removed"
