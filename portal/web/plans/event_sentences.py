"""A plan's timeline in sentences: actor, action and moment, in the plan's time zone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from portal.domain import money
from portal.models import Event, Installment, Payment, Plan, User
from portal.web import filters
from portal.web.labels import numbers_words
from portal.wording import labels

ICONS_BY_SUBJECT: Final = {
    "plan": "receipt-text",
    "payment": "banknote",
    "invitation": "link",
    "customer": "user",
    "refund": "undo-2",
    "credit": "minus",
    "reminder": "bell",
    "reminders": "bell",
    "installment": "clock",
    "automatic_payment": "refresh-cw",
}
ICONS_BY_KIND: Final = {
    "payment.declined": "circle-x",
    "payment.reversed": "undo-2",
    "refund.declined": "circle-x",
    "plan.completed": "circle-check",
    "plan.closed": "circle-check",
    "plan.cancelled": "ban",
    "plan.written_off": "circle-slash",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the timeline. `when` is a local moment in words, `note` the reason that the merchant typed."""

    when_iso: str
    when: str
    text: str
    who: str
    icon: str
    note: str = ""


def entries(
    events: Iterable[Event],
    plan: Plan,
    installments: Iterable[Installment],
    viewer: User,
    payments: Iterable[Payment] = (),
) -> list[Entry]:
    """The events as entries, in the same order."""
    numbers = {row.id: row.number for row in installments}
    paid = {payment.id: [numbers[part.installment_id] for part in payment.allocations] for payment in payments}
    return [
        Entry(
            when_iso=event.created_at.isoformat(),
            when=filters.moment(event.created_at, plan.time_zone),
            text=_sentence(event, plan, _where(event, numbers, paid)),
            who=_who(event, plan, viewer),
            icon=_icon(event.kind),
            note=str((event.data or {}).get("reason", "")),
        )
        for event in _without_started_refunds(list(events))
    ]


def _without_started_refunds(events: list[Event]) -> list[Event]:
    """A settled refund is one entry: leave out its refund.started."""
    ended = {event.data.get("refund_id") for event in events if event.kind in ("refund.succeeded", "refund.declined")}
    return [event for event in events if event.kind != "refund.started" or event.data.get("refund_id") not in ended]


def _where(event: Event, numbers: Mapping[int, int], paid: Mapping[int, list[int]]) -> str:
    """ " for installment 2", " for installments 1 to 3" """
    number = numbers.get(event.installment_id or 0)
    several = [number] if number else sorted(paid.get(event.payment_id or 0, []))
    if not several or not (number or event.kind.startswith("payment.")):
        return ""
    return f" for {numbers_words(several)}"


def _sentence(event: Event, plan: Plan, where: str) -> str:
    data: Mapping[str, Any] = event.data or {}
    amount = money.show(int(data["amount"]), plan.currency) if "amount" in data else ""
    match event.kind:
        case "plan.opened":
            count = int(data.get("installments", plan.num_installments))
            return f"Plan made: {amount} in {count} installment{'' if count == 1 else 's'}"
        case "payment.succeeded":
            how = "collected automatically" if data.get("automatic") else "paid"
            return f"{amount} {how}{where}{_recovered(data, plan)}"
        case "payment.recorded":
            return f"{amount} recorded as paid{where}{_recovered(data, plan)}"
        case "payment.reversed":
            return f"{amount} paid{where} was reversed"
        case "refund.started":
            return f"Refund of {amount} started"
        case "refund.succeeded":
            return f"{amount} refunded"
        case "refund.declined":
            return f"Refund of {amount} was declined. {labels.refund_decline_reason(data.get('code'))}"
        case "credit.given":
            how = "spread over the open installments" if data.get("how") == "spread" else "the last installment first"
            return f"{amount} credited, {how}"
        case "plan.written_off":
            return f"{amount} written off"
        case "plan.cancelled":
            return f"Plan cancelled, {amount} void"
        case "plan.closed":
            return "Nothing remains. Plan closed"
        case "plan.reopened":
            return "Plan open again"
        case "payment.declined":
            reason = labels.decline_reason(data.get("code"))
            what = "Automatic payment" if data.get("automatic") else "Payment"
            return f"{what} of {amount}{where} did not go through. {reason}"
        case "plan.completed":
            return "Nothing remains. Plan completed"
        case "invitation.created":
            return "Link for the customer made"
        case "invitation.revoked":
            return "Link for the customer revoked"
        case "customer.claimed":
            return "Customer set a password and can sign in"
        case "installment.late":
            return f"{where.removeprefix(' for ').capitalize() or 'Something'} is late, {amount} unpaid"
        case "reminder.sent":
            reminded = [int(number) for number in data.get("numbers", [])]
            return f"Reminder sent for {numbers_words(reminded)}" if reminded else "Reminder sent"
        case "reminders.muted":
            return "Reminders of this plan muted"
        case "reminders.unmuted":
            return "Reminders of this plan turned on again"
        case "customer.muted":
            return "Reminders to the customer muted"
        case "customer.unmuted":
            return "Reminders to the customer turned on again"
        case "automatic_payment.on":
            return f"Automatic payment turned on, with the card ending in {data.get('last4', '')}"
        case "automatic_payment.off":
            return "Automatic payment turned off"
        case "automatic_payment.stopped":
            return f"Automatic payment ended: the card ending in {data.get('last4', '')} was removed"
    words = event.kind.replace(".", " ").replace("_", " ").capitalize()
    return f"{words}{f': {amount}' if amount else ''}{where}"


def _recovered(data: Mapping[str, Any], plan: Plan) -> str:
    if not data.get("recovered"):
        return ""
    return f", {money.show(int(data['recovered']), plan.currency)} of it had been written off"


def _who(event: Event, plan: Plan, viewer: User) -> str:
    if event.actor_id is None:
        return "Qist"
    if event.actor_id == viewer.id:
        return "You"
    if event.actor_id == plan.merchant_id:
        return plan.merchant.business_name
    return event.actor.display_name if event.actor is not None else "Qist"


def _icon(kind: str) -> str:
    if kind in ICONS_BY_KIND:
        return ICONS_BY_KIND[kind]
    return ICONS_BY_SUBJECT.get(kind.split(".", 1)[0], "circle-dot")
