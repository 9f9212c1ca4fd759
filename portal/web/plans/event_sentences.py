"""A plan's timeline in sentences: actor, action and moment, in the plan's time zone.

Each payload of portal/domain/events.py has one function here, which `sentence` registers with its icon.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from flask_babel import gettext as _
from flask_babel import ngettext, pgettext

from portal.domain import events
from portal.domain.events import CancelCause, Cause, Payload
from portal.domain.permissions import Actor
from portal.models import Event, Installment, Payment, Plan
from portal.web import filters
from portal.web.labels import numbers_words
from portal.web.plans.scenes import Scene, Variants
from portal.wording import decline_reasons, labels
from portal.wording.causes import causes, typed_words
from portal.wording.lazy import lazy_gettext as _l

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
    cause: Cause | CancelCause | None = getattr(payload, "cause", None)
    return causes()[cause] if cause is not None else typed_words(row.reason)


def _who(event: Event, plan: Plan, viewer: Actor) -> str:
    if event.actor_id is None:
        return "Qist"
    if event.actor_id == viewer.user_id:
        return str(pgettext("actor", "You"))
    if event.actor is not None and event.actor.is_operator:
        return str(pgettext("actor", "The operator"))
    if viewer.owes(plan.customer_id):
        if type(event.payload) in events.OF_CUSTOMERS:
            return str(pgettext("actor", "The former customer"))
        return plan.merchant.business_name
    return filters.name_of(event.actor) if event.actor is not None else "Qist"


# Plans


@sentence(events.PlanOpened, icon="receipt-text")
def _plan_opened(payload: events.PlanOpened, scene: Scene) -> str:
    return str(
        ngettext(
            "Plan made: %(amount)s in %(num)s installment",
            "Plan made: %(amount)s in %(num)s installments",
            payload.installments,
            amount=scene.amount(payload.amount),
        )
    )


@sentence(events.PlanCompleted, icon="circle-check")
def _plan_completed(payload: events.PlanCompleted, scene: Scene) -> str:
    return str(_("Nothing remains. Plan completed"))


@sentence(events.PlanClosed, icon="circle-check")
def _plan_closed(payload: events.PlanClosed, scene: Scene) -> str:
    return str(_("Nothing remains. Plan closed"))


@sentence(events.PlanReopened, icon="receipt-text")
def _plan_reopened(payload: events.PlanReopened, scene: Scene) -> str:
    return str(_("Plan open again, and disputed as before")) if payload.disputed else str(_("Plan open again"))


@sentence(events.PlanCancelled, icon="ban")
def _plan_cancelled(payload: events.PlanCancelled, scene: Scene) -> str:
    return str(_("Plan cancelled, %(amount)s void", amount=scene.amount(payload.amount)))


@sentence(events.PlanAccepted, icon="circle-check")
def _plan_accepted(payload: events.PlanAccepted, scene: Scene) -> str:
    return str(_("Plan accepted by paying")) if payload.by_paying else str(_("Plan accepted"))


@sentence(events.PlanDisputed, icon="circle-x")
def _plan_disputed(payload: events.PlanDisputed, scene: Scene) -> str:
    return str(_("Disputed: “This is not mine”"))


@sentence(events.DisputeAnswered, icon="circle-check")
def _dispute_answered(payload: events.DisputeAnswered, scene: Scene) -> str:
    return str(_("Dispute answered"))


@sentence(events.DisputeUpheld, icon="circle-x")
def _dispute_upheld(payload: events.DisputeUpheld, scene: Scene) -> str:
    return str(_("Disputed still, after the answer"))


DISPUTE_ENDS: Final[dict[events.DisputeOutcome, str]] = {
    "accepted": _l("Dispute over: the plan was accepted"),
    "cancelled": _l("Dispute over: the plan was cancelled"),
    "corrected": _l("Dispute over: the email was corrected"),
    "paid": _l("Dispute over: nothing remains"),
    "stands": _l("Dispute decided: the plan stands"),
    "void": _l("Dispute decided: the plan is void"),
}


@sentence(events.DisputeEnded, icon="circle-check")
def _dispute_ended(payload: events.DisputeEnded, scene: Scene) -> str:
    return str(DISPUTE_ENDS[payload.outcome])


@sentence(events.PlanDelivered, icon="circle-check")
def _plan_delivered(payload: events.PlanDelivered, scene: Scene) -> str:
    return str(_("Purchase delivered"))


@sentence(events.PlanWrittenOff, icon="circle-slash")
def _plan_written_off(payload: events.PlanWrittenOff, scene: Scene) -> str:
    return str(_("%(amount)s written off", amount=scene.amount(payload.amount)))


@sentence(events.CreditGiven, icon="minus")
def _credit_given(payload: events.CreditGiven, scene: Scene) -> str:
    amount = scene.amount(payload.amount)
    if payload.how == "spread":
        return str(_("%(amount)s credited, spread over the open installments", amount=amount))
    return str(_("%(amount)s credited, the last installment first", amount=amount))


@sentence(events.PlanRescheduled, icon="calendar-days")
def _plan_rescheduled(payload: events.PlanRescheduled, scene: Scene) -> str:
    return labels.rescheduled(payload.how, scene.amount(payload.amount), payload.installments)


@sentence(events.RescheduleProposed, icon="calendar-days")
def _reschedule_proposed(payload: events.RescheduleProposed, scene: Scene) -> str:
    return str(_("Other days proposed for %(amount)s", amount=scene.amount(payload.amount)))


PROPOSAL_ENDS: Final = {
    "accepted": _l("The customer agreed to the other days"),
    "declined": _l("The customer declined the other days"),
    "withdrawn": _l("The other days were taken back"),
    "lapsed": _l("The other days lapsed without an answer"),
}


@sentence(events.RescheduleAnswered, icon="calendar-days")
def _reschedule_answered(payload: events.RescheduleAnswered, scene: Scene) -> str:
    return str(PROPOSAL_ENDS[payload.outcome])


@sentence(events.InstallmentLate, icon="clock")
def _installment_late(payload: events.InstallmentLate, scene: Scene) -> str:
    number, amount = scene.numbers[payload.installment_id], scene.amount(payload.amount)
    return str(_("Installment %(number)s is late, %(amount)s unpaid", number=number, amount=amount))


# Payments and refunds

PAID: Final = Variants(
    _l("%(amount)s paid"),
    _l("%(amount)s paid for %(installments)s"),
    _l("%(amount)s paid, %(recovered)s of it had been written off"),
    _l("%(amount)s paid for %(installments)s, %(recovered)s of it had been written off"),
)
COLLECTED: Final = Variants(
    _l("%(amount)s collected automatically"),
    _l("%(amount)s collected automatically for %(installments)s"),
    _l("%(amount)s collected automatically, %(recovered)s of it had been written off"),
    _l("%(amount)s collected automatically for %(installments)s, %(recovered)s of it had been written off"),
)
RECORDED: Final = Variants(
    _l("%(amount)s recorded as paid"),
    _l("%(amount)s recorded as paid for %(installments)s"),
    _l("%(amount)s recorded as paid, %(recovered)s of it had been written off"),
    _l("%(amount)s recorded as paid for %(installments)s, %(recovered)s of it had been written off"),
)
FAILED: Final = Variants(
    _l("Payment of %(amount)s did not go through."),
    _l("Payment of %(amount)s for %(installments)s did not go through."),
)
COLLECTION_FAILED: Final = Variants(
    _l("Automatic payment of %(amount)s did not go through."),
    _l("Automatic payment of %(amount)s for %(installments)s did not go through."),
)
REVERSED: Final = Variants(
    _l("%(amount)s paid was taken back by the bank"),
    _l("%(amount)s paid for %(installments)s was taken back by the bank"),
)
WON: Final = Variants(
    _l("The bank gave %(amount)s to the business again"),
    _l("The bank gave %(amount)s for %(installments)s to the business again"),
    _l("The bank gave %(amount)s to the business again, %(recovered)s of it had been written off"),
    _l("The bank gave %(amount)s for %(installments)s to the business again, %(recovered)s of it had been written off"),
)
VOIDED: Final = Variants(_l("%(amount)s paid was voided"), _l("%(amount)s paid for %(installments)s was voided"))


@sentence(events.PaymentSucceeded, icon="banknote")
def _payment_succeeded(payload: events.PaymentSucceeded, scene: Scene) -> str:
    return scene.payment(COLLECTED if payload.automatic else PAID, payload, payload.recovered)


@sentence(events.PaymentRecorded, icon="banknote")
def _payment_recorded(payload: events.PaymentRecorded, scene: Scene) -> str:
    return scene.payment(RECORDED, payload, payload.recovered)


@sentence(events.PaymentDeclined, icon="circle-x")
def _payment_declined(payload: events.PaymentDeclined, scene: Scene) -> str:
    failed = scene.payment(COLLECTION_FAILED if payload.automatic else FAILED, payload)
    return f"{failed} {decline_reasons.of_payment(payload.code)}"


@sentence(events.PaymentReversed, icon="undo-2")
def _payment_reversed(payload: events.PaymentReversed, scene: Scene) -> str:
    if payload.lost and not payload.amount:
        return str(
            _("%(amount)s refunded before was taken back by the bank: a loss", amount=scene.amount(payload.lost))
        )
    return scene.payment(REVERSED, payload)


@sentence(events.PaymentWon, icon="banknote")
def _payment_won(payload: events.PaymentWon, scene: Scene) -> str:
    return scene.payment(WON, payload, payload.recovered)


@sentence(events.LossReturned, icon="banknote")
def _loss_returned(payload: events.LossReturned, scene: Scene) -> str:
    return str(_("The bank gave %(amount)s of its loss to the business again", amount=scene.amount(payload.amount)))


@sentence(events.PaymentVoided, icon="undo-2")
def _payment_voided(payload: events.PaymentVoided, scene: Scene) -> str:
    return scene.payment(VOIDED, payload)


@sentence(events.RefundStarted, icon="undo-2")
def _refund_started(payload: events.RefundStarted, scene: Scene) -> str:
    return str(_("Refund of %(amount)s started", amount=scene.amount(payload.amount)))


@sentence(events.RefundSucceeded, icon="undo-2")
def _refund_succeeded(payload: events.RefundSucceeded, scene: Scene) -> str:
    return str(_("%(amount)s refunded", amount=scene.amount(payload.amount)))


@sentence(events.RefundDeclined, icon="circle-x")
def _refund_declined(payload: events.RefundDeclined, scene: Scene) -> str:
    declined = _("Refund of %(amount)s was declined.", amount=scene.amount(payload.amount))
    return f"{declined} {decline_reasons.of_refund(payload.code)}"


# Customers, links and reminders


@sentence(events.InvitationCreated, icon="link")
def _invitation_created(payload: events.InvitationCreated, scene: Scene) -> str:
    return str(_("Pay link made") if payload.link == "pay" else _("Link mailed to the customer"))


@sentence(events.InvitationRevoked, icon="link")
def _invitation_revoked(payload: events.InvitationRevoked, scene: Scene) -> str:
    return str(_("Pay link revoked") if payload.link == "pay" else _("Customer’s link revoked"))


@sentence(events.InvitationOpened, icon="eye")
def _invitation_opened(payload: events.InvitationOpened, scene: Scene) -> str:
    return str(_("Link in the mail opened"))


@sentence(events.ShopReported, icon="triangle-alert")
def _shop_reported(payload: events.ShopReported, scene: Scene) -> str:
    return str(_("The mailbox answered that it does not know the shop"))


@sentence(events.ShopCleared, icon="check")
def _shop_cleared(payload: events.ShopCleared, scene: Scene) -> str:
    return str(_("Reminders go on after an operator looked at the report"))


@sentence(events.CustomerUpdated, icon="pencil")
def _customer_updated(payload: events.CustomerUpdated, scene: Scene) -> str:
    return str(_("Customer’s email corrected") if payload.before_id else _("Customer’s details changed"))


@sentence(events.CustomerClaimed, icon="user")
def _customer_claimed(payload: events.CustomerClaimed, scene: Scene) -> str:
    return str(_("Customer set a password and can sign in"))


@sentence(events.ReminderSent, icon="bell")
def _reminder_sent(payload: events.ReminderSent, scene: Scene) -> str:
    if not payload.numbers:
        return str(_("Reminder sent"))
    return str(_("Reminder sent for %(installments)s", installments=numbers_words(payload.numbers)))


@sentence(events.RemindersMuted, icon="bell")
def _reminders_muted(payload: events.RemindersMuted, scene: Scene) -> str:
    return str(_("Reminders of this plan muted"))


@sentence(events.RemindersUnmuted, icon="bell")
def _reminders_unmuted(payload: events.RemindersUnmuted, scene: Scene) -> str:
    return str(_("Reminders of this plan turned on again"))


@sentence(events.CustomerMuted, icon="user")
def _customer_muted(payload: events.CustomerMuted, scene: Scene) -> str:
    return str(_("Reminders to the customer muted"))


@sentence(events.CustomerUnmuted, icon="user")
def _customer_unmuted(payload: events.CustomerUnmuted, scene: Scene) -> str:
    return str(_("Reminders to the customer turned on again"))


@sentence(events.AutomaticPaymentOn, icon="refresh-cw")
def _automatic_payment_on(payload: events.AutomaticPaymentOn, scene: Scene) -> str:
    return str(_("Automatic payment turned on, with the card ending in %(last4)s", last4=payload.last4))


@sentence(events.AutomaticPaymentOff, icon="refresh-cw")
def _automatic_payment_off(payload: events.AutomaticPaymentOff, scene: Scene) -> str:
    return str(_("Automatic payment turned off"))


@sentence(events.AutomaticPaymentStopped, icon="refresh-cw")
def _automatic_payment_stopped(payload: events.AutomaticPaymentStopped, scene: Scene) -> str:
    if payload.cause == "taken_back":
        return str(_("Automatic payment ended: the bank took a payment back"))
    return str(_("Automatic payment ended: the card ending in %(last4)s was removed", last4=payload.last4))
