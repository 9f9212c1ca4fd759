"""Paying an installment, and the receipt of a payment."""

import re
from dataclasses import dataclass, replace
from typing import Final

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from portal import access
from portal.errors import Busy, NotFound, Refused, StillRunning
from portal.models import Installment
from portal.reports.payments import offered_methods, receipts
from portal.services import idempotency
from portal.services.idempotency import KeyReused, RequestKey
from portal.services.payments import payments
from portal.web import rate_limits
from portal.web.authorization import login_needed, my_actor
from portal.web.labels import KEY
from portal.web.plans import home, plan_page
from portal.web.plans.payment_notes import CHECKING, INCOMPLETE, USED, note_of
from portal.web.plans.plan_page import Note
from portal.web.respond import fragment_or_page, go, is_htmx, page, vary_on_htmx
from portal.wording.refusals import sentence

bp = Blueprint("payments", __name__)

PLACES: Final = ("headline", "row")
"""Where a pay button stands on its page."""
STATUS: Final = {"succeeded": 200, "in_flight": 202, "declined": 402}


@dataclass(frozen=True, slots=True)
class _Submission:
    """The pay button's fields. `shown` is the displayed amount in minor units."""

    key: str
    shown: int
    method: str


@bp.get("/installments/<int:installment_id>/payments")
@login_needed
def index(installment_id: int) -> ResponseReturnValue:
    """A reload of the address of a failed payment leads back to the plan."""
    installment = access.my_installment(my_actor(), installment_id)
    return go(url_for("plans.show", plan_id=installment.plan_id))


@bp.post("/installments/<int:installment_id>/payments")
@rate_limits.writing
@login_needed
def create(installment_id: int) -> ResponseReturnValue:
    """Pay the rest of an installment, once for each form, if it is still the amount that the form showed."""
    actor = my_actor()
    access.owed_installment(actor, installment_id)
    user_id, submission = actor.user_id, _read()
    if submission is None:
        return _answer(installment_id, Note(installment_id, "error", str(INCOMPLETE)), 422)
    request_key = RequestKey(
        user_id,
        f"POST /installments/{installment_id}/payments",
        submission.key,
        idempotency.fingerprint(submission.shown, submission.method),
    )
    try:
        attempt = payments.pay_installment(
            installment_id,
            customer_id=user_id,
            shown=submission.shown,
            method=submission.method,
            request_key=request_key,
        )
    except KeyReused as reused:
        return _answer(installment_id, Note(installment_id, "warn", str(USED)), reused.status)
    except StillRunning:
        return _answer(installment_id, Note(installment_id, "info", str(CHECKING)), 202)
    except (Busy, NotFound):
        raise
    except Refused as refused:
        return _answer(installment_id, Note(installment_id, "warn", sentence(refused)), refused.status)
    payment = access.my_payment(my_actor(), attempt.payment_id)
    return _answer(installment_id, note_of(payment, installment_id), STATUS.get(payment.state, 200))


@bp.get("/payments/<int:payment_id>")
@login_needed
def show(payment_id: int) -> ResponseReturnValue:
    """The receipt of a payment, or its outcome. A poll by htmx gets 204 while the payment is in flight."""
    payment = access.my_payment(my_actor(), payment_id)
    if is_htmx() and payment.state == "in_flight":
        return vary_on_htmx(Response(status=204))
    plan = access.my_plan(my_actor(), payment.plan_id)
    receipt = receipts.receipt(payment.id)
    return fragment_or_page(
        "payments/_receipt.html",
        "payments/show.html",
        payment=payment,
        refunds=receipt.refunds if receipt else [],
        plan=plan,
        payer=my_actor().owes(payment.customer_id),
        polls=request.path,
    )


def _read() -> _Submission | None:
    key, shown = request.form.get("key", ""), request.form.get("shown", "")
    if not re.fullmatch(KEY, key) or not re.fullmatch(r"[0-9]{1,16}", shown):
        return None
    return _Submission(key, int(shown), request.form.get("method", offered_methods.default_token())[:64])


def _answer(installment_id: int, note: Note, status: int) -> ResponseReturnValue:
    """The fragment or page that held the button, as it is now, with the outcome."""
    actor = my_actor()
    from_home = request.form.get("from") == "home"
    installment = access.my_installment(actor, installment_id)
    plan = access.my_plan(actor, installment.plan_id)
    note = _placed(note, installment)
    if not is_htmx() and status < 300:
        plan_page.keep_note(note)
        return go(url_for("home.show") if from_home else url_for("plans.show", plan_id=plan.id))
    if from_home:
        return home.part(actor, note, status) if is_htmx() else home.whole(actor, note, status)
    shown = plan_page.context(plan, actor, note)
    if is_htmx():
        every_row = shown["checking"] or note.changed
        return plan_page.parts(shown, installment_id, status=status, every_row=every_row)
    return page("plans/show.html", status, **shown, invitation=None, link=None, now=None)


def _placed(note: Note, installment: Installment) -> Note:
    """The note with the place of its button, and whether the amount on that button is out of date."""
    place = request.form.get("place", "")
    shown = request.form.get("shown", "")
    changed = not installment.is_open or shown != str(installment.remaining)
    return replace(note, place=place if place in PLACES else "row", changed=changed and note.kind != "success")
