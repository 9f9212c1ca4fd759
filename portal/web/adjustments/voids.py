"""Voiding cash or a transfer that was recorded by mistake: its amount is owed again."""

from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal import access
from portal.models import Payment
from portal.services.adjustments import voids
from portal.services.idempotency import RequestKey
from portal.services.payments import taken_back
from portal.web import labels, method_labels, rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.confirmations import confirmations
from portal.web.confirmations.actions import Action, Confirmation, Feedback, typed
from portal.web.confirmations.forms import ReasonForm, shown_amount
from portal.web.confirmations.snapshot import PlanSnapshot, snapshot_of
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("voids", __name__)

REOPENS: Final = _l("What it paid is owed again, with the due dates as they were: what is past due is late at once.")
WRITTEN_OFF: Final = _l("What it recovered is written off again.")
VOID: Final = _l("The plan is cancelled, so nothing is owed again.")


@bp.get("/payments/<int:payment_id>/void")
@needs("void")
def new(payment_id: int) -> ResponseReturnValue:
    """The form: the reason."""
    payment = access.our_payment(my_actor(), payment_id)
    return confirmations.show_form(_act(payment_id), ReasonForm(), snapshot_of(payment.plan_id))


@bp.post("/payments/<int:payment_id>/void")
@rate_limits.writing
@needs("void")
def create(payment_id: int) -> ResponseReturnValue:
    """Show the changes, then carry them out."""
    payment = access.our_payment(my_actor(), payment_id)
    return confirmations.submit(_act(payment_id), ReasonForm(), snapshot_of(payment.plan_id))


def _act(payment_id: int) -> Action[ReasonForm]:
    """The action that voids this payment."""

    def why_not(snapshot: PlanSnapshot) -> str | None:
        payment = _payment(payment_id, snapshot)
        if snapshot.figures.in_flight:
            return str(confirmations.BUSY)
        if payment is not None and not payment.is_recorded:
            return str(
                _("Only cash and transfers can be voided. A card payment is refunded, or the bank takes it back.")
            )
        if payment is None or payment.state != "succeeded" or not payment.kept:
            return str(_("Nothing of this payment is left that could be voided."))
        if payment.refunding:
            return str(_("A refund of this payment is on its way. This can be done as soon as its outcome is known."))
        return None

    def preview(form: ReasonForm, snapshot: PlanSnapshot) -> Confirmation:
        payment = _payment(payment_id, snapshot)
        assert payment is not None  # noqa: S101 why_not checked it
        effects = taken_back.effects(snapshot.plan, payment, payment.kept)
        shown, method = snapshot.amount(payment.kept), method_labels.method_words(payment)
        changes = {
            "paid": -(payment.kept - effects.rest),
            "remaining": effects.reopened,
            "written_off": effects.written_off,
            "credited": effects.cancelled,
        }
        return Confirmation(
            title=_("Void %(amount)s?", amount=shown),
            button=_("Void %(amount)s", amount=shown),
            shown={"shown": payment.kept},
            figures=snapshot.figure_lines(changes),
            parts=snapshot.installment_lines(effects.owed_again, sign=1),
            facts=[
                (_("Payment"), _("%(amount)s, %(method)s", amount=snapshot.amount(payment.amount), method=method)),
                (_("Paid on"), labels.paid_day(payment, snapshot.plan.time_zone)),
                (_("Reason"), typed(form.reason.data)),
            ],
            notes=[
                *([VOID] if effects.cancelled else []),
                *([REOPENS] if effects.reopened else []),
                *([WRITTEN_OFF] if effects.written_off else []),
            ],
        )

    def carry_out(form: ReasonForm, snapshot: PlanSnapshot, request_key: RequestKey) -> Feedback:
        result = voids.void(
            payment_id,
            actor=my_actor(),
            reason=form.reason.data or "",
            shown=shown_amount(form.shown),
            request_key=request_key,
        )
        return Feedback(_("%(amount)s voided.", amount=snapshot.amount(result.payment.reversed)))

    return Action(
        noun="voids",
        title=_("Void a payment"),
        about=_("It was recorded by mistake. What it had paid is owed again."),
        preview=preview,
        carry_out=carry_out,
        why_not=why_not,
    )


def _payment(payment_id: int, snapshot: PlanSnapshot) -> Payment | None:
    return next((row for row in snapshot.payments if row.id == payment_id), None)
