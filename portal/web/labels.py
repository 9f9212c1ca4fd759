"""Texts about rows: installments, payments, refunds, reminders. Labels by code are in portal/wording/labels.py."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from flask import Flask
from flask_babel import gettext as _
from flask_babel import ngettext, pgettext

from portal.domain import clock, money
from portal.models import Installment, Merchant, OperatorAct, Payment, Refund, SecurityEvent
from portal.reports.payments.offered_methods import OfferedMethod
from portal.reports.plans.figures import SHOWN
from portal.services.mail.content import kind_label
from portal.services.row_facts import PaymentFacts, RefundFacts
from portal.web import filters
from portal.wording import dates, decline_reasons, labels, simulated_cards
from portal.wording.causes import reason_words, typed_words
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.lists import listed
from portal.wording.mail_problems import mail_problem
from portal.wording.security_events import security_event

NOTHING_CHARGED: Final = _l("Nothing was charged.")
KEY: Final = r"[A-Za-z0-9_-]{16,64}"
"""The pattern of a one-use key."""
FIRST_PARTS: Final = {
    "paid": _l("%(amount)s of %(whole)s paid"),
    "credited": _l("%(amount)s of %(whole)s credited"),
    "void": _l("%(amount)s of %(whole)s void"),
    "written_off": _l("%(amount)s of %(whole)s written off"),
}
"""The first part of an installment's amount. `whole` has no currency code."""
PARTS: Final = {
    "credited": _l("%(amount)s credited"),
    "void": _l("%(amount)s void"),
    "written_off": _l("%(amount)s written off"),
    "moved": _l("%(amount)s moved to other days"),
    "left": _l("%(amount)s left"),
}
"""The other parts."""


def init_app(app: Flask) -> None:
    for function in (
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
        numbers_label,
        card_words,
        one_use_key,
        reminder_words,
        reason_words,
        typed_words,
        mail_problem,
        operator_act_words,
        security_event_words,
    ):
        app.add_template_global(function)
    app.jinja_env.globals.update(
        standing_label=labels.standing,
        state_label=labels.state,
        figure_label=labels.figure,
        mail_kind=kind_label,
        shown_figures=SHOWN,
        interval_words=labels.interval,
    )


def operator_act_words(act: OperatorAct) -> str:
    """An act of an operator in a sentence."""
    by = act.actor.display_name if act.actor is not None else None
    subject = act.merchant.business_name if act.merchant is not None else act.user.display_name if act.user else ""
    return labels.operator_act(act.kind, by, subject, act.detail)


def security_event_words(event: SecurityEvent) -> str:
    """A security event in a sentence."""
    name = filters.name_of(event.user) if event.user is not None else None
    by = filters.name_of(event.by) if event.by is not None else name
    return security_event(event.kind, event.facts, name=name, by=by)


def state_of(installment: Installment) -> str:
    """The installment's status, or "checking" while the outcome of its payment is unknown."""
    return "checking" if installment.is_open and installment.held else installment.status


def state_words(installment: Installment, state: str) -> str | None:
    """The text of an installment's badge, or None for the label of the state."""
    past = installment.days_past_due(installment.plan.today) if installment.is_open else 0
    if state == "late":
        late = filters.days_late(installment)
        return str(ngettext("%(days)s day late", "%(days)s days late", late, days=f"{late:,}"))
    if state == "pending" and installment.due_date == installment.plan.today:
        return str(_("Due today"))
    if state == "pending" and past:
        return str(ngettext("Due %(days)s day ago", "Due %(days)s days ago", past, days=f"{past:,}"))
    return None


def amount_parts(installment: Installment) -> list[str]:
    """ "SAR 10.00 of 33.34 paid" and "SAR 23.34 left". Empty for an installment that is all of one kind."""
    credited = "void" if installment.cancelled_at is not None else "credited"
    parts = [
        (minor, kind)
        for minor, kind in (
            (installment.paid, "paid"),
            (installment.credited, credited),
            (installment.written_off, "written_off"),
            (installment.moved, "moved"),
            (installment.remaining, "left"),
        )
        if minor
    ]
    if len(parts) < 2:
        return []
    (minor, kind), *others = parts
    whole = money.show(installment.amount, installment.currency).split("\u00a0", 1)[1]
    first = FIRST_PARTS[kind] % {"amount": money.show(minor, installment.currency), "whole": whole}
    return [first, *(PARTS[kind] % {"amount": money.show(minor, installment.currency)} for minor, kind in others)]


def payment_state(payment: Payment) -> str:
    """The payment's state for a badge: "refunded" when a part of it or all of it was refunded."""
    return "refunded" if payment.state == "succeeded" and payment.refunded else payment.state


def payment_words(payment: Payment) -> str | None:
    """The text of a payment's badge, or None for the label of the state."""
    if payment.state != "succeeded" or payment.refunded == payment.amount:
        return None
    if payment.refunding:
        return str(_("Refunding"))
    return str(_("Partly refunded") if payment.refunded else pgettext("state of a payment", "Paid"))


def paid_day(payment: Payment, zone: str) -> str:
    """The local date on which the money was received: "1 Dec 2026"."""
    if payment.received_on is not None:
        return dates.day(payment.received_on)
    return local_day(payment.value_at or payment.created_at, zone)


def why_refund_declined(refund: Refund | RefundFacts) -> str:
    """The reason why a refund was declined."""
    return " ".join((decline_reasons.of_refund(refund.decline_code), _("Nothing was given back.")))


def numbers_words(numbers: Sequence[int]) -> str:
    """ "installment 2", "installments 1 to 3", "installments 1 and 3" """
    if _is_range(numbers):
        return str(_("installments %(first)s to %(last)s", first=numbers[0], last=numbers[-1]))
    listing = listed(numbers)
    return str(ngettext("installment %(numbers)s", "installments %(numbers)s", len(numbers), numbers=listing))


def numbers_label(numbers: Sequence[int]) -> str:
    """The same at the beginning of a text: "Installment 2"."""
    if _is_range(numbers):
        return str(_("Installments %(first)s to %(last)s", first=numbers[0], last=numbers[-1]))
    listing = listed(numbers)
    return str(ngettext("Installment %(numbers)s", "Installments %(numbers)s", len(numbers), numbers=listing))


def _is_range(numbers: Sequence[int]) -> bool:
    return len(numbers) > 2 and list(numbers) == list(range(numbers[0], numbers[-1] + 1))


def due_day(installment: Installment) -> str:
    """The due date: "1 Dec", with the year unless it is the current one."""
    due = installment.due_date
    return dates.short_day(due) if due.year == installment.plan.today.year else dates.day(due)


def why_declined(payment: Payment | PaymentFacts, *, mine: bool) -> str:
    """Why no money moved, to the customer (`mine`) or to the merchant."""
    return " ".join((decline_reasons.of_payment(payment.decline_code, mine=mine), str(NOTHING_CHARGED)))


def card_words(option: OfferedMethod) -> str:
    """ "Test card 4242: succeeds", or "Visa ending in 4242" for a card that moves money."""
    if option.effect:
        return simulated_cards.test_card_behaviour(option.effect, option.last4)
    return labels.card_ending(option.brand, option.last4)


def reminder_words(merchant: Merchant) -> str:
    """ "Reminded 3 days before the due date, on the due day and 1, 7 and 14 days after it, from 09:00." """
    before = [-day for day in merchant.reminder_days if day < 0]
    after = [day for day in merchant.reminder_days if day > 0]
    parts = []
    if before:
        parts.append(
            ngettext(
                "%(days)s day before the due date",
                "%(days)s days before the due date",
                max(before),
                days=listed(before),
            )
        )
    if 0 in merchant.reminder_days:
        parts.append(_("on the due day"))
    if after:
        parts.append(ngettext("%(days)s day after it", "%(days)s days after it", max(after), days=listed(after)))
    if not parts:
        return str(_("Nobody is reminded, because no days are chosen."))
    return str(_("Reminded %(days)s, from %(time)s.", days=listed(parts), time=f"{merchant.sending_hour:02}:00"))


def local_day(instant: datetime, zone: str) -> str:
    """The local date of an aware instant in `zone`: "1 Dec 2026"."""
    return dates.day(clock.local_date(instant, zone))


def one_use_key() -> str:
    """A key for one form. A form that is sent repeatedly is carried out once."""
    return secrets.token_urlsafe(18)
