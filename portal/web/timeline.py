"""A plan's timeline in sentences: who did what when, in the plan's own time zone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from portal import money
from portal.models import Event, Installment, Plan, User
from portal.web import filters
from portal.web.words import DECLINED, plural

ICONS: Final = {
    "plan": "receipt-text",
    "payment": "banknote",
    "invitation": "link",
    "customer": "user",
    "refund": "undo-2",
    "credit": "minus",
    "reminder": "bell",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline, ready to be shown."""

    when_iso: str
    when: str
    text: str
    who: str
    icon: str


def entries(events: Iterable[Event], plan: Plan, installments: Iterable[Installment], viewer: User) -> list[Entry]:
    """The events in words, in the order they come."""
    numbers = {row.id: row.number for row in installments}
    return [
        Entry(
            when_iso=event.created_at.isoformat(),
            when=filters.moment(event.created_at, plan.time_zone),
            text=_sentence(event, plan, numbers),
            who=_who(event, plan, viewer),
            icon=_icon(event.kind),
        )
        for event in events
    ]


def _sentence(event: Event, plan: Plan, numbers: Mapping[int, int]) -> str:
    data: Mapping[str, Any] = event.data or {}
    amount = money.show(int(data["amount"]), plan.currency) if "amount" in data else ""
    number = numbers.get(event.installment_id or 0)
    where = f" for installment {number}" if number else ""
    match event.kind:
        case "plan.opened":
            count = plural(int(data.get("installments", plan.num_installments)), "installment")
            return f"Plan made: {amount} in {count}"
        case "payment.succeeded":
            return f"{amount} paid{where}"
        case "payment.declined":
            reason = DECLINED.get(str(data.get("code", "")), "The card was declined.")
            return f"Payment of {amount}{where} did not go through. {reason}"
        case "plan.completed":
            return "Everything is paid. Plan completed"
        case "invitation.created":
            return "Link for the customer made"
        case "invitation.revoked":
            return "Link for the customer revoked"
        case "customer.claimed":
            return "Customer set a password and can sign in"
    words = event.kind.replace(".", " ").replace("_", " ").capitalize()
    return f"{words}{f': {amount}' if amount else ''}{where}"


def _who(event: Event, plan: Plan, viewer: User) -> str:
    if event.actor_id is None:
        return "Qist"
    if event.actor_id == viewer.id:
        return "You"
    if event.actor_id == plan.merchant_id:
        return plan.merchant.business_name
    return event.actor.display_name if event.actor is not None else "Qist"


def _icon(kind: str) -> str:
    if kind == "payment.declined":
        return "circle-x"
    if kind == "plan.completed":
        return "circle-check"
    return ICONS.get(kind.split(".", 1)[0], "circle-dot")
