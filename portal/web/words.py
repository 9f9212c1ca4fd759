"""Words for states, as people read them. Pages and fragments take them from here, so they say the same thing."""

import secrets
from datetime import datetime
from typing import Final

from flask import Flask

from portal import clock
from portal.models import Installment, Payment
from portal.services.payments import CARDS, Card
from portal.web import filters

INTERVALS: Final = {"weekly": "every week", "biweekly": "every two weeks", "monthly": "every month"}

DECLINED: Final = {
    "insufficient_funds": "There is not enough money on this card.",
    "not_charged": "The bank did not get this payment.",
}
NOTHING_CHARGED: Final = "Nothing was charged."


def init_app(app: Flask) -> None:
    for written in (
        state_of,
        state_words,
        due_words,
        local_day,
        why_declined,
        card_words,
        plural,
        one_use_key,
        interval_words,
    ):
        app.add_template_global(written)
    app.jinja_env.globals["test_cards"] = CARDS


def state_of(installment: Installment) -> str:
    """The installment's status, or "checking" while the bank's answer about its payment is awaited."""
    return "checking" if installment.is_open and installment.held_allocations else installment.status


def state_words(installment: Installment, state: str) -> str | None:
    """What stands in the badge, where it is more than the name of the state."""
    past = installment.days_past_due(installment.plan.today) if installment.is_open else 0
    if state == "late":
        return f"{plural(filters.days_late(installment), 'day')} late"
    if state == "pending" and installment.due_date == installment.plan.today:
        return "Due today"
    if state == "pending" and past:
        return f"Due {plural(past, 'day')} ago"
    return None


def due_words(installment: Installment) -> str:
    """ "due on 1 Dec", "was due on 14 Oct", "due today"; with the year where it isn't this one."""
    due, today = installment.due_date, installment.plan.today
    if due == today:
        return "due today"
    written = filters.short_day(due) if due.year == today.year else filters.day(due)
    return f"{'was due' if due < today else 'due'} on {written}"


def why_declined(payment: Payment, *, mine: bool) -> str:
    """Why no money moved, to the customer (`mine`) or to the merchant."""
    reason = DECLINED.get(payment.decline_code or "", "Your card was declined." if mine else "The card was declined.")
    return f"{reason} {NOTHING_CHARGED}"


def card_words(card: Card) -> str:
    """ "Card 4242, succeeds" """
    return f"Card {card.last4}, {card.label.removeprefix('Test card ').removeprefix('that ')}"


def interval_words(interval: str) -> str:
    """ "every two weeks" """
    return INTERVALS[interval]


def local_day(instant: datetime, zone: str) -> str:
    """The date of an instant as calendars in `zone` show it: "1 Dec 2026"."""
    return filters.day(clock.local_date(instant, zone))


def plural(count: int, noun: str) -> str:
    """ "1 day", "3 days" """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def one_use_key() -> str:
    """A key for one form: however often that form arrives, it is carried out once."""
    return secrets.token_urlsafe(18)
