"""Paying a plan: the form and its page. It offers the next installment, everything due, all that remains, or an amount.

The plan's page and the invitation's page share the form. Each choice shows its amount and sends it along: if the amount
has changed since, nothing is charged and the form shows the current amounts.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import select
from wtforms import HiddenField, RadioField, StringField

from portal import access
from portal.domain import money
from portal.domain.terms import Accepting
from portal.errors import Invalid, StillRunning
from portal.extensions import db
from portal.models import Installment, Plan
from portal.models.plans.invitations import LinkKind
from portal.reports.payments import offered_methods
from portal.reports.plans.figures import PlanFigures, plan_figures
from portal.services.payments import payments
from portal.services.payments.outcomes import PaymentDeclined
from portal.web import rate_limits
from portal.web.authorization import login_needed, my_actor
from portal.web.forms import Form, apply_faults, choices, read_amount
from portal.web.labels import KEY, due_day, one_use_key, why_declined
from portal.web.method_labels import Method, methods_of
from portal.web.one_use_keys import NotDone, carry_out, request_key
from portal.web.plans.payment_notes import CHECKING, INCOMPLETE, USED
from portal.web.respond import go, page
from portal.wording import dates
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.terms import accepting

bp = Blueprint("plan_payments", __name__)

CHANGED: Final = _l("What is owed has changed meanwhile. Nothing was charged. These are the amounts as they are now.")
WORDS: Final = {"idempotency_key_reused": USED, "still_running": CHECKING, "amount_changed": CHANGED}
NOT_CHOSEN: Final = _l("You typed an amount. Choose “Another amount” to pay it, or clear it to pay something else.")
CHOICES: Final = ("next", "due", "all", "amount")


class PaymentForm(Form):
    """Hidden fields hold the displayed amounts in minor units; `shown` is the whole amount owed."""

    key = HiddenField(default=one_use_key)
    shown = HiddenField()
    shown_next = HiddenField()
    shown_due = HiddenField()
    choice = RadioField(_l("What to pay"), choices=choices((name, name) for name in CHOICES), validate_choice=False)
    amount = StringField(_l("Amount"))
    method = StringField()


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice of what to pay. `minor` is its amount in minor units, 0 for an amount that the customer types."""

    value: str
    words: str
    minor: int
    about: str


@dataclass(frozen=True, slots=True)
class PaymentOptions:
    """The form's context. `why_not` is the reason why there are no choices."""

    plan: Plan
    figures: PlanFigures
    choices: Sequence[Choice]
    methods: Sequence[Method]
    why_not: str | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """The outcome: a payment, or the form again with a notice and the HTTP status of its response."""

    payment_id: int | None = None
    status: int = 200
    notice: str = ""


def payment_options(plan: Plan) -> PaymentOptions:
    """The choices of the plan's customer, as of now."""
    now = plan_figures(plan.id)
    why_not = _why_not(plan, now)
    return PaymentOptions(plan, now, [] if why_not else _choices(plan, now), methods_of(plan.customer_id), why_not)


def fill(form: PaymentForm, options: PaymentOptions, chosen: str = "") -> bool:
    """Set a new one-use key and the current amounts. Returns whether the amounts differ from those that were sent."""
    before = _amounts(form)
    offered = [choice.value for choice in options.choices]
    if form.choice.data not in offered:
        form.choice.data = chosen if chosen in offered else next(iter(offered), None)
    form.key.data = one_use_key()
    form.shown.data = str(options.figures.owed)
    for choice in options.choices:
        if choice.value in ("next", "due"):
            form[f"shown_{choice.value}"].data = str(choice.minor)
    return _amounts(form) != before


def _amounts(form: PaymentForm) -> tuple[str, str, str]:
    return form.shown.data or "", form.shown_next.data or "", form.shown_due.data or ""


def submit(
    form: PaymentForm, plan: Plan, scope: str, *, accepting: Accepting | None, link: LinkKind | None = None
) -> Submission:
    """Pay the choice, once for each form. Errors stand at their fields.

    `link` is the kind of the link that pays. `accepting`: None for the pay link.
    """
    plan_id, customer_id, currency = plan.id, plan.customer_id, plan.currency
    if not form.validate() or not _is_whole(form):
        return Submission(status=422, notice=INCOMPLETE)
    choice = form.choice.data
    if choice != "amount" and (form.amount.data or "").strip():
        form.amount.errors = [str(NOT_CHOSEN)]
        return Submission(status=422)
    try:
        amount = _amount(form, currency)
    except Invalid as invalid:
        apply_faults(form, invalid)
        return Submission(status=invalid.status)
    shown = int((form.shown_due.data if choice == "due" else form.shown.data) or 0)
    method = offered_methods.default_token() if form.method.data is None else form.method.data[:64]
    key = request_key(customer_id, scope, form.key.data, choice, amount, shown, method)
    paid = carry_out(
        lambda: payments.pay_plan(
            plan_id,
            customer_id=customer_id,
            choice="due" if choice == "due" else "all" if choice == "all" else "amount",
            amount=amount,
            shown=shown,
            method=method,
            accepting=accepting,
            link=link,
            request_key=key,
        ),
        WORDS,
    )
    if isinstance(paid, NotDone):
        if paid.error.code == "too_much":
            form.amount.errors = [paid.message]
            return Submission(status=paid.status)
        return Submission(status=202 if isinstance(paid.error, StillRunning) else paid.status, notice=paid.message)
    if isinstance(paid, PaymentDeclined):
        return Submission(status=402, notice=why_declined(paid.payment, mine=True))
    return Submission(payment_id=paid.payment_id)


def _amount(form: PaymentForm, currency: str) -> int | None:
    """The amount to pay in minor units: typed, or displayed on "next". None for the other choices."""
    if form.choice.data == "amount":
        return read_amount(form.amount, currency)
    return int(form.shown_next.data or 0) if form.choice.data == "next" else None


def _why_not(plan: Plan, now: PlanFigures) -> str | None:
    if plan.cancelled_at is not None:
        return str(_("This plan was cancelled. Nothing more is due."))
    if plan.merchant.deactivated_at is not None:
        return str(_("This business can't take payments at present. The plan's page says whom to ask."))
    if now.in_flight:
        return str(_("A payment of this plan is being checked with the bank. You can pay more when that is done."))
    return None if now.owed else str(_("Nothing is left to pay on this plan."))


def _choices(plan: Plan, now: PlanFigures) -> list[Choice]:
    """The choices whose amounts differ from one another."""
    offered: list[Choice] = []
    rows = db.session.scalars(
        select(Installment)
        .where(Installment.plan_id == plan.id, Installment.remaining > 0)
        .order_by(Installment.due_date, Installment.number)
    ).all()
    for row in rows[:1]:
        offered.append(Choice("next", _("The next installment"), row.remaining, _about_next(row, plan)))
    due = [row for row in rows if row.due_date <= plan.today]
    if len(due) > 1:
        about = _("Installments %(first)s to %(last)s", first=due[0].number, last=due[-1].number)
        offered.append(Choice("due", _("Everything due"), now.due_now, about))
    if now.owed not in [choice.minor for choice in offered]:
        about = (
            _("The last one is due on %(date)s", date=dates.day(rows[-1].due_date))
            if rows
            else _("It was written off, and can still be paid")
        )
        offered.append(Choice("all", _("All that remains"), now.owed, about))
    owed = money.show(now.owed, plan.currency)
    about = _("Up to %(amount)s; it goes to the oldest installment first", amount=owed)
    return [*offered, Choice("amount", _("Another amount"), 0, about)]


def _about_next(row: Installment, plan: Plan) -> str:
    """ "2 of 4, due on 1 Dec" """
    due, position = row.due_date, {"number": row.number, "count": plan.num_installments}
    if due == plan.today:
        return str(_("%(number)s of %(count)s, due today", **position))
    if due < plan.today:
        return str(_("%(number)s of %(count)s, was due on %(date)s", **position, date=due_day(row)))
    return str(_("%(number)s of %(count)s, due on %(date)s", **position, date=due_day(row)))


def _is_whole(form: PaymentForm) -> bool:
    """Whether the form holds a key, a choice and the amounts that the choice needs."""
    figures = [form.shown] + [form[f"shown_{name}"] for name in ("next", "due") if form.choice.data == name]
    key = re.fullmatch(KEY, form.key.data or "")
    whole = all(re.fullmatch(r"[0-9]{1,16}", field.data or "") for field in figures)
    return bool(key) and whole and form.choice.data in CHOICES


@bp.get("/plans/<int:plan_id>/pay")
@login_needed
def new(plan_id: int) -> ResponseReturnValue:
    """The form: choices of what to pay, and payment methods."""
    plan = access.owed_plan(my_actor(), plan_id)
    form, options = PaymentForm(), payment_options(plan)
    fill(form, options, request.args.get("choice", ""))
    return page(
        "payments/plan_payments_new.html", form=form, payment_options=options, plan=plan, notice="", changed=False
    )


@bp.post("/plans/<int:plan_id>/pay")
@rate_limits.writing
@login_needed
def create(plan_id: int) -> ResponseReturnValue:
    """Pay once for each form, and go to the receipt."""
    plan = access.owed_plan(my_actor(), plan_id)
    form = PaymentForm()
    submission = submit(form, plan, f"POST /plans/{plan_id}/pay", accepting=accepting())
    if submission.payment_id is not None:
        return go(url_for("payments.show", payment_id=submission.payment_id))
    plan = access.my_plan(my_actor(), plan_id)
    options = payment_options(plan)
    changed = fill(form, options)
    return page(
        "payments/plan_payments_new.html",
        submission.status,
        form=form,
        payment_options=options,
        plan=plan,
        notice=submission.notice,
        changed=changed,
    )
