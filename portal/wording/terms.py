"""The terms of a plan in words, and the acceptance of a request."""

from datetime import date

from flask import request
from flask_babel import gettext as _
from flask_babel import ngettext

from portal.domain import money
from portal.domain.money import Money
from portal.domain.terms import Accepting, Consenting, NewDaysFacts, TermsFacts
from portal.wording import dates
from portal.wording.language import language

ADDRESS_MAX = 45


def terms(facts: TermsFacts) -> str:
    """The terms in the reader's language, as lines. The acceptance keeps this text."""
    return "\n".join(terms_lines(facts))


def new_days(facts: NewDaysFacts) -> str:
    """The change in the reader's language, as lines. The acceptance keeps this text."""
    return "\n".join(new_days_lines(facts))


def new_days_lines(facts: NewDaysFacts) -> list[str]:
    """The sentences and the days of a change to which the customer agrees."""
    who = {"number": facts.plan_id, "business": facts.business, "email": facts.customer_email}
    lines = [str(_("Plan %(number)s between %(business)s and %(email)s.", **who))]
    if facts.description:
        lines.append(str(_("The purchase: %(purchase)s.", purchase=facts.description)))
    lines += [str(_("Until now you pay:")), *_rows(facts.before)]
    lines += [str(_("Once you agree you pay instead:")), *_rows(facts.after)]
    lines.append(_late_from(facts.grace_days))
    lines.append(str(_("By agreeing you say that you pay these amounts on these days. The total stays.")))
    return lines


def _rows(rows: tuple[tuple[date, Money], ...]) -> list[str]:
    return [
        str(_("%(amount)s on %(day)s", amount=money.show(part.minor, part.currency), day=dates.long_day(due)))
        for due, part in rows
    ]


def _late_from(grace_days: int) -> str:
    return str(
        ngettext(
            "A payment is late when it is not made on the day after it was due.",
            "A payment is late from %(num)s days after it was due.",
            grace_days + 1,
        )
    )


def terms_lines(facts: TermsFacts) -> list[str]:
    """The sentences and the schedule of the terms."""
    business = facts.business
    who = {"number": facts.plan_id, "business": business, "email": facts.customer_email}
    total = money.show(facts.total.minor, facts.total.currency)
    lines = [str(_("Plan %(number)s between %(business)s and %(email)s.", **who))]
    if facts.description:
        lines.append(str(_("The purchase: %(purchase)s.", purchase=facts.description)))
    lines.append(str(_("You pay %(business)s %(total)s in all:", business=business, total=total)))
    for place, (due, part) in enumerate(facts.schedule):
        line = {"amount": money.show(part.minor, part.currency), "day": dates.long_day(due)}
        if facts.deposit and place == 0:
            lines.append(str(_("%(amount)s on %(day)s, as a deposit", **line)))
        else:
            lines.append(str(_("%(amount)s on %(day)s", **line)))
    lines.append(_late_from(facts.grace_days))
    if facts.withdrawal_days:
        lines.append(
            str(
                ngettext(
                    "You may withdraw for %(num)s day after the plan was made, while nothing is delivered.",
                    "You may withdraw for %(num)s days after the plan was made, while nothing is delivered.",
                    facts.withdrawal_days,
                )
            )
        )
    else:
        lines.append(str(_("%(business)s gives no days to withdraw beyond those of the law.", business=business)))
    lines.append(str(_("By accepting you say that this purchase is yours, and that you pay these amounts.")))
    return lines


def accepting() -> Accepting:
    """The acceptance that this request makes, if the customer accepts a plan by it."""
    return Accepting(address=(request.remote_addr or "")[:ADDRESS_MAX], language=language(), word=terms)


def consenting() -> Consenting:
    """The agreement to other days that this request makes."""
    return Consenting(address=(request.remote_addr or "")[:ADDRESS_MAX], language=language(), word=new_days)
