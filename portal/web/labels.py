"""Labels of states, amounts, intervals and refusals. All pages and fragments take them from here."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from flask import Flask

from portal.domain import clock, money, wording
from portal.models import Installment, Merchant, Payment, Refund
from portal.reports.payments.offered_methods import OfferedMethod
from portal.web import filters
from portal.wording import simulated_cards
from portal.wording.reasons import reason_words, typed_words

NOTHING_CHARGED: Final = "Nothing was charged."
REFUND_DECLINED: Final = {
    "not_refunded": "The bank did not get it.",
    "charge_reversed": "The bank had taken this payment back already.",
    "over_refunded": "More can't go back than was paid.",
}
"""By the gateway's code. For any other code the card itself refused."""
KEY: Final = r"[A-Za-z0-9_-]{16,64}"
"""The pattern of a one-use key."""
FIGURES: Final = {
    "total": "Total",
    "credited": "Credited",
    "paid": "Paid",
    "refunded": "Refunded",
    "refunding": "On its way back",
    "written_off": "Written off",
    "remaining": "Remaining",
}
"""By the name in PlanFigures, in the order of the plan's page."""


def init_app(app: Flask) -> None:
    for function in (
        figure_label,
        state_of,
        state_words,
        local_day,
        why_declined,
        why_refund_declined,
        payment_state,
        payment_words,
        paid_day,
        amount_parts,
        numbers_words,
        card_words,
        one_use_key,
        interval_words,
        reminder_words,
        reason_words,
        typed_words,
    ):
        app.add_template_global(function)


def figure_label(name: str, void: bool = False) -> str:
    """The label of a plan's amount. `void`: the plan is cancelled, and "credited" includes the void amount."""
    return "Credited or void" if void and name == "credited" else FIGURES[name]


def state_of(installment: Installment) -> str:
    """The installment's status, or "checking" while the outcome of its payment is unknown."""
    return "checking" if installment.is_open and installment.held_allocations else installment.status


def state_words(installment: Installment, state: str) -> str | None:
    """The text of an installment's badge, or None for the label of the state."""
    past = installment.days_past_due(installment.plan.today) if installment.is_open else 0
    if state == "late":
        return f"{plural(filters.days_late(installment), 'day')} late"
    if state == "pending" and installment.due_date == installment.plan.today:
        return "Due today"
    if state == "pending" and past:
        return f"Due {plural(past, 'day')} ago"
    return None


def amount_parts(installment: Installment) -> list[str]:
    """ "SAR 10.00 of 33.34 paid" and "SAR 23.34 left". Empty for an installment that is all of one kind."""
    credited = "void" if installment.cancelled_at is not None else "credited"
    parts = [
        (minor, words)
        for minor, words in (
            (installment.paid, "paid"),
            (installment.credited, credited),
            (installment.written_off, "written off"),
            (installment.remaining, "left"),
        )
        if minor
    ]
    if len(parts) < 2:
        return []
    texts = [f"{money.show(minor, installment.currency)} {words}" for minor, words in parts]
    whole = money.show(installment.amount, installment.currency).split("\u00a0", 1)[1]
    first = money.show(parts[0][0], installment.currency)
    return [f"{first} of {whole} {parts[0][1]}", *texts[1:]]


def payment_state(payment: Payment) -> str:
    """The payment's state for a badge: "refunded" when a part of it or all of it was refunded."""
    return "refunded" if payment.state == "succeeded" and payment.refunded else payment.state


def payment_words(payment: Payment) -> str | None:
    """The text of a payment's badge, or None for the label of the state."""
    if payment.state != "succeeded" or payment.refunded == payment.amount:
        return None
    if payment.refunding:
        return "Refunding"
    return "Partly refunded" if payment.refunded else "Paid"


def paid_day(payment: Payment, zone: str) -> str:
    """The local date on which the money was received: "1 Dec 2026"."""
    if payment.received_on is not None:
        return filters.day(payment.received_on)
    return local_day(payment.settled_at or payment.created_at, zone)


def why_refund_declined(refund: Refund) -> str:
    """The reason why a refund was declined."""
    return f"{refund_refusal(refund.decline_code)} Nothing was given back."


def refund_refusal(code: object) -> str:
    """The text for the gateway's code of a declined refund."""
    return REFUND_DECLINED.get(str(code or ""), "The card takes no refunds.")


def numbers_words(numbers: Sequence[int]) -> str:
    """ "installment 2", "installments 1 to 3", "installments 1 and 3" """
    if len(numbers) == 1:
        return f"installment {numbers[0]}"
    if len(numbers) > 2 and list(numbers) == list(range(numbers[0], numbers[-1] + 1)):
        return f"installments {numbers[0]} to {numbers[-1]}"
    *first, last = numbers
    return f"installments {', '.join(str(number) for number in first)} and {last}"


def due_words(installment: Installment) -> str:
    """ "due on 1 Dec", "was due on 14 Oct", "due today"; with the year unless it is the current one."""
    due, today = installment.due_date, installment.plan.today
    if due == today:
        return "due today"
    written = filters.short_day(due) if due.year == today.year else filters.day(due)
    return f"{'was due' if due < today else 'due'} on {written}"


def why_declined(payment: Payment, *, mine: bool) -> str:
    """Why no money moved, to the customer (`mine`) or to the merchant."""
    otherwise = wording.OWN_CARD_DECLINED if mine else wording.CARD_DECLINED
    reason = wording.DECLINE_REASONS.get(payment.decline_code or "", otherwise)
    return f"{reason} {NOTHING_CHARGED}"


def card_words(option: OfferedMethod) -> str:
    """ "Test card 4242: succeeds", or "Visa ending in 4242" for a card that moves money."""
    if option.effect:
        return simulated_cards.test_card_behaviour(option.effect, option.last4)
    return wording.card_ending(option.brand, option.last4)


def interval_words(interval: str) -> str:
    """ "every two weeks" """
    return wording.INTERVALS[interval]


def reminder_words(merchant: Merchant) -> str:
    """ "Reminded 3 days before, on the due day, and 1, 7 and 14 days after, from 09:00." """
    before = [-day for day in merchant.reminder_days if day < 0]
    after = [day for day in merchant.reminder_days if day > 0]
    parts = [f"{_listed(before)} {'day' if before == [1] else 'days'} before the due date"] if before else []
    parts += ["on the due day"] if 0 in merchant.reminder_days else []
    parts += [f"{_listed(after)} {'day' if after == [1] else 'days'} after it"] if after else []
    if not parts:
        return "Nobody is reminded, because no days are chosen."
    return f"Reminded {_listed(parts)}, from {merchant.sending_hour:02}:00."


def _listed(parts: Sequence[object]) -> str:
    """ "1, 7 and 14" """
    words = [str(part) for part in parts]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def local_day(instant: datetime, zone: str) -> str:
    """The local date of an aware instant in `zone`: "1 Dec 2026"."""
    return filters.day(clock.local_date(instant, zone))


def plural(count: int, noun: str) -> str:
    """ "1 day", "3 days" """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def one_use_key() -> str:
    """A key for one form. A form that is sent repeatedly is carried out once."""
    return secrets.token_urlsafe(18)
