"""Notes about payments: the outcome of a press on a pay button, in a sentence for the customer."""

from typing import Final

from flask_babel import gettext as _
from sqlalchemy import select

from portal.domain import money
from portal.domain.permissions import Actor
from portal.errors import StillRunning
from portal.extensions import db
from portal.models import Allocation, Installment, Payment
from portal.services.payments.outcomes import PaymentDeclined, PaymentPending
from portal.services.payments.payments import Paid
from portal.services.row_facts import PaymentFacts
from portal.web.labels import why_declined
from portal.web.one_use_keys import NotDone
from portal.web.plans.plan_page import Note
from portal.wording.lazy import lazy_gettext as _l

CHECKING: Final = _l("We are checking with the bank. Nothing is charged twice.")
USED: Final = _l("This button was used already, and nothing was charged this time. Look at the amount and press again.")
INCOMPLETE: Final = _l("Something was missing from what was sent. Nothing was charged. Please press again.")
STATUS: Final = {PaymentPending: 202, PaymentDeclined: 402}
REVERSED: Final = _l("This was paid, but the bank has taken the payment back since.")
VOIDED: Final = _l("This was recorded as paid, but the record was voided since.")


def outcome_of(paid: Paid | NotDone | None, installment_id: int) -> tuple[Note, int]:
    """The note about a press of the pay button, and the response's status: 202 while the outcome is unknown.

    `paid` is None when the request was incomplete.
    """
    if paid is None:
        return Note(installment_id, "error", str(INCOMPLETE)), 422
    if not isinstance(paid, NotDone):
        return note_of(paid.payment, installment_id), STATUS.get(type(paid), 200)
    if isinstance(paid.error, StillRunning):
        return Note(installment_id, "info", paid.message), 202
    return Note(installment_id, "warn", paid.message), paid.status


def note_of(payment: Payment | PaymentFacts, installment_id: int) -> Note:
    """The payment's outcome, for the customer who made it."""
    amount = money.show(payment.amount, payment.currency)
    match payment.state:
        case "succeeded":
            return Note(installment_id, "success", _("%(amount)s paid", amount=amount), payment.id)
        case "declined":
            return Note(installment_id, "error", why_declined(payment, mine=True))
        case "reversed":
            return Note(installment_id, "warn", str(REVERSED), payment.id)
        case "voided":
            return Note(installment_id, "warn", str(VOIDED), payment.id)
    return Note(installment_id, "info", str(CHECKING))


def note_about(actor: Actor, installment: Installment) -> Note | None:
    """The outcome of the installment's newest payment, if the actor made it."""
    payment = db.session.scalar(
        select(Payment)
        .join(Allocation)
        .where(Allocation.installment_id == installment.id)
        .order_by(Payment.id.desc())
        .limit(1)
    )
    if payment is None or not actor.owes(payment.customer_id):
        return None
    return note_of(payment, installment.id)
