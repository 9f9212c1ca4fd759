"""Mails about a business's acts on a plan: a credit, a write-off, a cancellation, a void, new dates. What changed.

`data` of the mail: `amount` and `before` (what remained), minor units, and `reason_id`; of a void also `payment_id`; or
`proposal_id`.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import func, select

from portal.domain import clock, money
from portal.extensions import db
from portal.models import Email, Installment, Plan, RescheduleProposal
from portal.models.texts import TypedText
from portal.reports.plans import proposals
from portal.reports.plans.figures import plan_figures
from portal.reports.plans.proposals import DueAmount
from portal.services.mail.facts import PLAN_NOTICE, Facts, NoLongerTrue, link_for, mail_kind, notice, plan_of, purchase
from portal.services.mail.payments import paid_on, payment_of
from portal.wording import dates
from portal.wording.causes import typed_words
from portal.wording.lazy import lazy_pgettext
from portal.wording.lists import listed


@mail_kind("plan_credited", lazy_pgettext("kind of mail", "Plan credited"), template=PLAN_NOTICE)
def plan_credited(row: Email) -> Facts:
    """A credit, and what is to pay after it."""
    plan, rows = plan_of(row.plan_id)
    if plan.cancelled_at is not None:
        raise NoLongerTrue("plan_closed")
    who = _who(plan, row)
    title = _("%(merchant)s lowered what you owe by %(amount)s", **who)
    first = _("%(merchant)s gave you a credit of %(amount)s on this plan: %(purchase)s.", **who)
    paragraphs = [first, _before_and_after(plan, row), *_now(plan, rows, row.data["before"] - row.data["amount"])]
    return _change(row, plan, title, paragraphs, amount=row.data["amount"])


@mail_kind("plan_written_off", lazy_pgettext("kind of mail", "Plan written off"), template=PLAN_NOTICE)
def plan_written_off(row: Email) -> Facts:
    """A write-off. Nothing is expected any more, and the customer can still pay."""
    plan, rows = plan_of(row.plan_id)
    if plan.cancelled_at is not None or not any(part.written_off for part in rows):
        raise NoLongerTrue("plan_closed")
    who = _who(plan, row)
    title = _("%(merchant)s wrote off what you still owed", **who)
    first = _("%(merchant)s wrote off %(amount)s of this plan: %(purchase)s.", **who)
    can_pay = _("Nothing more is expected, and you get no more reminders of it. You can still pay it.")
    return _change(row, plan, title, [first, _before_and_after(plan, row), can_pay], amount=row.data["amount"])


@mail_kind("plan_cancelled", lazy_pgettext("kind of mail", "Plan cancelled"), template=PLAN_NOTICE)
def plan_cancelled(row: Email) -> Facts:
    """A cancellation: nothing is owed any more, and what happens to the money that was paid."""
    plan, _rows = plan_of(row.plan_id)
    figures, who = plan_figures(plan.id), _who(plan, row)
    title = _("%(merchant)s cancelled a plan of yours", **who)
    paragraphs = [
        _("%(merchant)s cancelled this plan: %(purchase)s. You owe nothing of it any more.", **who),
        _before_and_after(plan, row),
    ]
    if figures.refunding:
        paragraphs.append(_("%(amount)s is on its way back to you.", amount=_show(plan, figures.refunding)))
    if figures.refunded:
        paragraphs.append(_("%(amount)s was refunded to you.", amount=_show(plan, figures.refunded)))
    if kept := figures.kept - figures.refunding:
        paragraphs.append(
            _("%(merchant)s keeps %(kept)s that you paid.", merchant=who["merchant"], kept=_show(plan, kept))
        )
    return _change(row, plan, title, paragraphs)


@mail_kind("payment_voided", lazy_pgettext("kind of mail", "Payment voided"), template=PLAN_NOTICE)
def payment_voided(row: Email) -> Facts:
    """A payment that the business had recorded by mistake. Nothing is told of one whose receipt was not sent."""
    plan, rows = plan_of(row.plan_id)
    payment, who = payment_of(row), _who(plan, row)
    receipt = db.session.scalar(select(Email.state).where(Email.dedupe_key == f"receipt:{payment.id}"))
    if plan.cancelled_at is not None:
        raise NoLongerTrue("plan_closed")
    if receipt not in (None, "claimed", "sent", "kept"):
        raise NoLongerTrue("nothing_to_tell")
    title = _("%(merchant)s took a payment of %(amount)s out of its records", **who)
    first = _("%(merchant)s had recorded a payment of yours for %(purchase)s: %(amount)s on %(day)s. That was a "
              "mistake, they say, so it counts no more.", **who, day=paid_on(payment, plan))  # fmt: skip
    before = row.data["before"]
    change = _("Left to pay before: %(before)s. After: %(after)s.", before=_show(plan, before),
               after=_show(plan, before + row.data["owed"]))  # fmt: skip
    told = [first, change, *_now(plan, rows, before + row.data["owed"])] if row.data["owed"] else [first]
    told.append(_("If you did pay it, show %(merchant)s your receipt.", **who))
    return _change(row, plan, title, told, amount=row.data["amount"])


@mail_kind("plan_rescheduled", lazy_pgettext("kind of mail", "Plan rescheduled"), template=PLAN_NOTICE)
def plan_rescheduled(row: Email) -> Facts:
    """New dates of what is to pay, with those before."""
    plan, _rows = plan_of(row.plan_id)
    live = select(func.count()).where(Installment.id.in_(row.data["added"]), Installment.is_live())
    if plan.state != "active":
        raise NoLongerTrue("plan_closed")
    if not db.session.scalar(live):
        raise NoLongerTrue("rescheduled_again")
    who = {"merchant": plan.merchant.business_name, "purchase": purchase(plan)}
    title = _("%(merchant)s changed when you pay", **who)
    paragraphs = [
        _("%(merchant)s changed the days on which you pay this plan: %(purchase)s.", **who),
        _("Before: %(schedule)s.", schedule=_schedule(plan, row.data["before"])),
        _("Now: %(schedule)s.", schedule=_schedule(plan, row.data["after"])),
    ]
    return _change(row, plan, title, paragraphs)


@mail_kind("reschedule_proposed", lazy_pgettext("kind of mail", "Other days proposed"), template=PLAN_NOTICE)
def reschedule_proposed(row: Email) -> Facts:
    """The proposal, with what is to pay before and after it, while the customer may answer it."""
    plan, rows = plan_of(row.plan_id)
    proposal = _proposal(row)
    if proposals.state_of(proposal, plan, rows) != "open":
        raise NoLongerTrue("proposal_over")
    who = _names(plan)
    last_day = clock.local_date(proposal.expires_at - timedelta(seconds=1), plan.time_zone)
    paragraphs = [
        _("%(merchant)s asks whether you pay this plan on other days: %(purchase)s.", **who),
        *_proposed(plan, proposal, _("You would pay: %(schedule)s.")),
        _("Nothing changes unless you agree. You can answer until %(day)s.", day=dates.long_day(last_day)),
    ]
    quote = typed_words(proposal.reason) if plan.customer.is_claimed else None
    told = notice(
        title=_("%(merchant)s asks you for other days", **who),
        preview=_("Nothing changes unless you agree."),
        paragraphs=paragraphs,
        plan=plan,
        quote=quote,
        button=_("Look at the days"),
    )
    return told | link_for(row, "url", f"/plans/{plan.id}/proposal", below="/proposal")


@mail_kind("reschedule_accepted", lazy_pgettext("kind of mail", "Other days agreed on"), template=PLAN_NOTICE)
def reschedule_accepted(row: Email) -> Facts:
    """The confirmation of the customer's agreement, with the text that was accepted."""
    plan, _rows = plan_of(row.plan_id)
    proposal, who = _proposal(row), _names(plan)
    told = notice(
        title=_("You agreed to other days of %(merchant)s", **who),
        preview=purchase(plan),
        paragraphs=[_("You agreed to this:"), *(proposal.terms or "").splitlines()],
        plan=plan,
    )
    return told | link_for(row, "url", f"/plans/{plan.id}")


@mail_kind("reschedule_withdrawn", lazy_pgettext("kind of mail", "Other days taken back"), template=PLAN_NOTICE)
def reschedule_withdrawn(row: Email) -> Facts:
    """The business took its proposal back."""
    plan, _rows = plan_of(row.plan_id)
    if plan.state != "active":
        raise NoLongerTrue("plan_closed")
    who = _names(plan)
    told = notice(
        title=_("%(merchant)s asks for other days no more", **who),
        preview=_("Your days stay as they are."),
        paragraphs=[
            _("%(merchant)s took back the other days for this plan: %(purchase)s.", **who),
            _("Your days stay as they are."),
        ],
        plan=plan,
    )
    return told | link_for(row, "url", f"/plans/{plan.id}")


def _proposal(row: Email) -> RescheduleProposal:
    return db.session.get_one(RescheduleProposal, row.data["proposal_id"], populate_existing=True)


def _proposed(plan: Plan, proposal: RescheduleProposal, after_words: str) -> list[str]:
    before, after = proposals.before_and_after(proposal)
    return [
        str(_("Now you pay: %(schedule)s.", schedule=_days(plan, before))),
        str(after_words) % {"schedule": _days(plan, after)},
    ]


def _days(plan: Plan, rows: tuple[DueAmount, ...]) -> str:
    return _schedule(plan, [(row.due_date.isoformat(), row.amount) for row in rows])


def _names(plan: Plan) -> dict[str, str]:
    return {"merchant": plan.merchant.business_name, "purchase": purchase(plan)}


def _schedule(plan: Plan, rows: Sequence[Sequence[Any]]) -> str:
    """ "SAR 10.00 on 1 March 2026 and SAR 10.00 on 1 April 2026"."""
    parts = [
        str(_("%(amount)s on %(day)s", amount=_show(plan, amount), day=dates.long_day(date.fromisoformat(due))))
        for due, amount in rows
    ]
    return listed(parts)


def _change(row: Email, plan: Plan, title: str, paragraphs: list[str], amount: int | None = None) -> Facts:
    reason = db.session.get(TypedText, row.data.get("reason_id") or 0) if plan.customer.is_claimed else None
    quote = typed_words(reason.text) if reason is not None else None
    facts = notice(title=title, preview=purchase(plan), paragraphs=paragraphs, plan=plan, amount=amount, quote=quote)
    return facts | link_for(row, "url", f"/plans/{plan.id}")


def _who(plan: Plan, row: Email) -> dict[str, str]:
    return {
        "merchant": plan.merchant.business_name,
        "purchase": purchase(plan),
        "amount": _show(plan, row.data["amount"]),
    }


def _before_and_after(plan: Plan, row: Email) -> str:
    before = row.data["before"]
    after = _show(plan, before - row.data["amount"])
    return str(_("Left to pay before: %(before)s. After: %(after)s.", before=_show(plan, before), after=after))


def _now(plan: Plan, rows: list[Installment], after: int) -> list[str]:
    """The amount that is left when the mail is sent, if it is not that `after` the change, and the next installment."""
    remaining = sum(part.remaining for part in rows)
    coming = next((part for part in rows if part.is_open), None)
    if coming is None:
        return [str(_("Nothing is left to pay."))] if not any(part.written_off for part in rows) else []
    words = []
    if remaining != after:
        words.append(str(_("By now %(amount)s is left to pay.", amount=_show(plan, remaining))))
    amount, day = _show(plan, coming.remaining), dates.long_day(coming.due_date)
    if coming.due_date < plan.today:
        return [*words, str(_("%(amount)s was due on %(day)s.", amount=amount, day=day))]
    return [*words, str(_("Next is %(amount)s on %(day)s.", amount=amount, day=day))]


def _show(plan: Plan, minor: int) -> str:
    return money.show(minor, plan.currency)
