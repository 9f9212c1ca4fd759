"""Events for outsiders: the public type of each kind of portal/domain/events.py, and the object that it is about.

GET /api/events/ and webhooks use these types. Each kind of the registry is in PUBLIC or in INTERNAL.
"""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from portal.domain.events import Payload

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

ObjectType = Literal["plan", "installment", "payment", "refund", "customer"]
OBJECT_TYPES: Final[tuple[ObjectType, ...]] = get_args(ObjectType)


@dataclass(frozen=True, slots=True)
class Public:
    """The public type of a kind, and the type of the object whose present state the event carries."""

    type: EventType
    about: ObjectType = "plan"


PUBLIC: Final[dict[str, Public]] = {
    "plan.opened": Public("plan.created"),
    "plan.accepted": Public("plan.accepted"),
    "plan.disputed": Public("plan.disputed"),
    "plan.dispute_ended": Public("plan.dispute_ended"),
    "plan.rescheduled": Public("plan.rescheduled"),
    "plan.completed": Public("plan.completed"),
    "plan.closed": Public("plan.cancelled"),  # nothing remains, and no money was kept
    "plan.cancelled": Public("plan.cancelled"),
    "plan.written_off": Public("plan.written_off"),
    "installment.late": Public("installment.late", "installment"),
    "payment.succeeded": Public("payment.succeeded", "payment"),
    "payment.recorded": Public("payment.succeeded", "payment"),
    "payment.won": Public("payment.succeeded", "payment"),
    "payment.declined": Public("payment.declined", "payment"),
    "payment.reversed": Public("payment.reversed", "payment"),
    "payment.voided": Public("payment.voided", "payment"),
    "refund.succeeded": Public("refund.succeeded", "refund"),
    "refund.declined": Public("refund.declined", "refund"),
    "credit.given": Public("credit.created"),
    "automatic_payment.on": Public("automatic_payment.changed"),
    "automatic_payment.off": Public("automatic_payment.changed"),
    "automatic_payment.stopped": Public("automatic_payment.changed"),
    "invitation.opened": Public("invitation.opened"),
    "customer.updated": Public("customer.updated", "customer"),
    "customer.claimed": Public("customer.updated", "customer"),
}
"""By kind."""

INTERNAL: Final[dict[str, str]] = {
    "plan.reopened": "the reversal or the void that reopens a plan has an event of its own",
    "plan.dispute_answered": "the merchant's own step in a dispute",
    "plan.dispute_upheld": "an intermediate step of a dispute, which plan.dispute_ended ends",
    "plan.delivered": "the merchant's own mark",
    "plan.reschedule_proposed": "nothing changes before the customer agrees, which is plan.rescheduled",
    "plan.reschedule_answered": "an agreement is plan.rescheduled; otherwise nothing changed",
    "payment.loss_returned": "only the books of the business change",
    "refund.started": "the outcome has an event of its own",
    "invitation.created": "the merchant's own link",
    "invitation.revoked": "the merchant's own link",
    "shop.reported": "between the customer and the operator",
    "shop.cleared": "between the customer and the operator",
    "reminder.sent": "the timeline has it",
    "reminders.muted": "the merchant's own setting",
    "reminders.unmuted": "the merchant's own setting",
    "customer.muted": "the merchant's own setting",
    "customer.unmuted": "the merchant's own setting",
}
"""The kinds that are not for outsiders, with the reason."""


def type_of(kind: str) -> EventType | None:
    """The public type of a kind; None if it is not for outsiders."""
    public = PUBLIC.get(kind)
    return public.type if public is not None else None


def object_of(payload: Payload, *, plan_id: int, customer_id: int) -> tuple[ObjectType, int]:
    """The type and the id of the object of a public event. `customer_id` is the plan's customer."""
    about = PUBLIC[payload.kind].about
    ids = {"plan": plan_id, "customer": customer_id}
    return about, ids[about] if about in ids else getattr(payload, f"{about}_id")
