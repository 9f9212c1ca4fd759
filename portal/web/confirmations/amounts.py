"""The usual amounts of a form: links that fill the field in, which a script does without a new page."""

from dataclasses import dataclass

from flask import request
from flask_babel import gettext as _
from wtforms import Field

from portal.domain import money
from portal.web.confirmations.snapshot import PlanSnapshot


@dataclass(frozen=True, slots=True)
class UsualAmount:
    """Words with the amount, and the amount as the field takes it."""

    words: str
    value: str


def fill_amount(field: Field, snapshot: PlanSnapshot) -> None:
    """Take the amount of the address, `?amount=`, if it is one."""
    currency = snapshot.plan.currency
    try:
        minor = money.parse_typed(request.args.get("amount", ""), currency)
    except money.BadAmount:
        return
    field.data = money.plain(minor, currency)


def owed_amounts(snapshot: PlanSnapshot) -> list[UsualAmount]:
    """The next installment, everything due, and all that is owed; each amount once."""
    open_rows = [row for row in snapshot.installments if row.is_open]
    due = sum(row.remaining for row in open_rows if row.due_date <= snapshot.plan.today)
    amounts = {snapshot.figures.owed: _("All, %(amount)s", amount=snapshot.amount(snapshot.figures.owed))}
    if due:
        amounts[due] = _("Everything due, %(amount)s", amount=snapshot.amount(due))
    if open_rows:
        first = open_rows[0].remaining
        amounts[first] = _("Next installment, %(amount)s", amount=snapshot.amount(first))
    return [_usual(minor, words, snapshot) for minor, words in sorted(amounts.items()) if minor]


def refundable_amounts(snapshot: PlanSnapshot, chosen: str | None) -> list[UsualAmount]:
    """All of the chosen payment, or all that can go back. `chosen` is an id as text, or another value for every one."""
    payment = next((row for row in snapshot.payments if str(row.id) == chosen), None)
    minor = payment.refundable if payment is not None else snapshot.figures.refundable
    return [_usual(minor, _("All, %(amount)s", amount=snapshot.amount(minor)), snapshot)] if minor else []


def _usual(minor: int, words: str, snapshot: PlanSnapshot) -> UsualAmount:
    return UsualAmount(str(words), money.plain(minor, snapshot.plan.currency))
