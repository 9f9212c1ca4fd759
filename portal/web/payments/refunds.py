"""Refunds: of one payment, or of the newest payments first."""

from collections.abc import Sequence
from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms import SelectField, StringField

from portal.domain import allocation, money
from portal.errors import Fault, Invalid
from portal.models import Payment
from portal.services.idempotency import RequestKey
from portal.services.payments import refund_limits, refunds
from portal.services.row_facts import RefundFacts
from portal.web import labels, method_labels, rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.confirmations import confirmations
from portal.web.confirmations.actions import Action, Confirmation, Feedback, typed
from portal.web.confirmations.amounts import fill_amount
from portal.web.confirmations.forms import ReasonForm, shown_amount
from portal.web.confirmations.snapshot import Line, PlanSnapshot, snapshot_of
from portal.web.forms import choices, read_amount
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.lazy import lazy_pgettext

bp = Blueprint("refunds", __name__)

NEWEST: Final = "newest"
STILL_OWED: Final = _l("What is left to pay stays as it is: a refund never opens an installment again.")
BY_HAND: Final = _l("What came in cash or by transfer you hand back yourself; here it is only written down.")


class RefundForm(ReasonForm):
    amount = StringField(_l("Amount"))
    payment = SelectField(lazy_pgettext("payment", "From"), default=NEWEST)


@bp.get("/plans/<int:plan_id>/refund")
@needs("refund")
def new(plan_id: int) -> ResponseReturnValue:
    """The form: the amount and the payment. ?payment=<id> preselects one."""
    snapshot = snapshot_of(plan_id)
    form = _form(snapshot)
    payment_id = request.args.get("payment")
    if chosen := next((row for row in snapshot.payments if str(row.id) == payment_id and row.refundable), None):
        form.payment.data, form.amount.data = payment_id, money.plain(chosen.refundable, chosen.currency)
    fill_amount(form.amount, snapshot)
    return confirmations.show_form(ACT, form, snapshot)


@bp.post("/plans/<int:plan_id>/refund")
@rate_limits.writing
@needs("refund")
def create(plan_id: int) -> ResponseReturnValue:
    """Show the changes, then carry them out."""
    snapshot = snapshot_of(plan_id)
    return confirmations.submit(ACT, _form(snapshot), snapshot)


def _form(snapshot: PlanSnapshot) -> RefundForm:
    form = RefundForm()
    chosen = form.payment.data
    form.payment.choices = choices(
        [
            (NEWEST, _("The newest payment first")),
            *(
                (str(row.id), _words(row, snapshot))
                for row in snapshot.payments
                if row.refundable or str(row.id) == chosen
            ),
        ]
    )
    return form


def _words(payment: Payment, snapshot: PlanSnapshot) -> str:
    """ "SAR 33.34 of 1 Dec 2026, card 4242; SAR 20.00 can go back" """
    day = labels.paid_day(payment, snapshot.plan.time_zone)
    amount, method = snapshot.amount(payment.amount), method_labels.method_words(payment)
    if payment.refundable == payment.amount:
        return str(_("%(amount)s of %(date)s, %(method)s", amount=amount, date=day, method=method))
    return str(
        _(
            "%(amount)s of %(date)s, %(method)s; %(refundable)s can go back",
            amount=amount,
            date=day,
            method=method,
            refundable=snapshot.amount(payment.refundable),
        )
    )


def _refundable(form: RefundForm, snapshot: PlanSnapshot) -> list[Payment]:
    """The refundable payments of the choice, newest first."""
    chosen = form.payment.data
    return [row for row in snapshot.payments if row.refundable and chosen in (NEWEST, str(row.id))]


def _why_not(snapshot: PlanSnapshot) -> str | None:
    if snapshot.figures.in_flight:
        return str(confirmations.BUSY)
    if snapshot.refund_allowance == 0:
        return snapshot.may_refund
    return None if snapshot.figures.refundable else str(_("Nothing that was paid on this plan can be given back."))


def _preview(form: RefundForm, snapshot: PlanSnapshot) -> Confirmation:
    amount = read_amount(form.amount, snapshot.plan.currency)
    payments = _refundable(form, snapshot)
    most = sum(row.refundable for row in payments)
    if amount > most:
        raise Invalid(Fault("amount", "too_much", about="refund", limit=snapshot.amount(most)))
    refund_limits.refuse_above(snapshot.refund_allowance, amount, snapshot.plan.currency)
    parts = allocation.oldest_first([(row.id, row.refundable) for row in payments], amount)
    rows = {row.id: row for row in payments}
    shown = snapshot.amount(amount)
    return Confirmation(
        title=_("Refund %(amount)s?", amount=shown),
        button=_("Refund %(amount)s", amount=shown),
        shown={"shown": most},
        figures=snapshot.figure_lines({"refunded": amount}),
        parts=[_line(rows[row_id], part, snapshot) for row_id, part in parts],
        parts_of="payments",
        facts=[(_("Reason"), typed(form.reason.data))],
        notes=[STILL_OWED, *([BY_HAND] if any(rows[row_id].is_recorded for row_id, _ in parts) else [])],
    )


def _line(payment: Payment, part: int, snapshot: PlanSnapshot) -> Line:
    day = labels.paid_day(payment, snapshot.plan.time_zone)
    label = _("%(date)s, %(method)s", date=day, method=method_labels.method_words(payment))
    return Line(label, snapshot.amount(payment.refundable), snapshot.amount(payment.refundable - part))


def _carry_out(form: RefundForm, snapshot: PlanSnapshot, request_key: RequestKey) -> Feedback:
    amount, chosen = read_amount(form.amount, snapshot.plan.currency), form.payment.data
    shown = snapshot.amount(amount)
    result = refunds.refund(
        snapshot.plan.id,
        actor=my_actor(),
        amount=amount,
        reason=form.reason.data or "",
        payment_id=None if chosen == NEWEST else int(chosen),
        shown=shown_amount(form.shown),
        request_key=request_key,
    )
    return outcome(result.refunds, _("%(amount)s refunded.", amount=shown))


def outcome(rows: Sequence[RefundFacts], done: str) -> Feedback:
    """The feedback about new refunds. `done` is the sentence for when all of them succeeded."""
    declined = [row for row in rows if row.state == "declined"]
    if declined:
        refunded = sum(row.amount for row in rows if row.state == "succeeded")
        sentences = [labels.why_refund_declined(declined[0]), _("You can choose another payment.")]
        if refunded:
            amount = money.show(refunded, rows[0].currency)
            sentences.insert(0, _("%(amount)s refunded. The rest was declined.", amount=amount))
        return Feedback(" ".join(sentences), "error")
    if any(row.state == "in_flight" for row in rows) and my_actor().standing == "deactivated":
        return Feedback(_("The refund is asked for. It goes back once an operator releases it."), "info")
    if any(row.state == "in_flight" for row in rows):
        return Feedback(_("The refund is being checked with the bank. The plan shows the outcome."), "info")
    return Feedback(done)


ACT: Final = Action(
    noun="refunds",
    title=lazy_pgettext("action", "Refund"),
    about=_l("Money that was paid goes back to your customer. What is left to pay stays as it is."),
    preview=_preview,
    carry_out=_carry_out,
    why_not=_why_not,
)
