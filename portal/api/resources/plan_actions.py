"""Actions of a plan's merchant: credit, write off, cancel, ask about a bounce, and void a payment."""

from typing import Final

import msgspec
from flask import Blueprint, Response
from spectree.models import Tag

from portal import access
from portal.api import amounts, idempotency, parsing, schemas
from portal.api.callers import caller
from portal.api.endpoints import endpoint
from portal.errors import Fault, Invalid, NotFound
from portal.reports.plans import proposals as reports
from portal.services.adjustments import cancellations, credits, proposals, reschedules, voids, write_offs
from portal.services.adjustments.reschedules import NewTerms, RescheduleProposed
from portal.services.payments import reversals

bp = Blueprint("api_plan_actions", __name__)
TAG = Tag("Changes", "A merchant's changes of a plan or a payment. Each takes a reason and stands on the timeline.")
ASKED: Final = "The customer is asked for these days. The plan is as it was."

for _schema in (
    schemas.NewCredit,
    schemas.NewWriteOff,
    schemas.NewCancellation,
    schemas.NewVoid,
):
    parsing.further_faults(_schema)(amounts.reason_faults)

USED: Final = {
    "move": frozenset({"installment", "due_date"}),
    "shift": frozenset({"days"}),
    "split": frozenset({"due_date", "num_installments"}),
}
"""The fields of each change, beside the interval, which has a default."""


def _unused(values: parsing.Values) -> list[Fault]:
    """A fault for each field that the change does not use: an ignored one would change more than was asked for."""
    used = USED.get(str(values.get("how")))
    sent = [] if used is None else sorted(frozenset().union(*USED.values()) - used)
    return [Fault(name, "not_with_change") for name in sent if values.get(name) is not None]


@parsing.further_faults(schemas.NewReschedule)
def _other_faults(values: parsing.Values) -> list[Fault]:
    return amounts.reason_faults(values) + _unused(values)


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/credits/",
    ok={200: schemas.Plan},
    tag=TAG,
    needs="credit",
    writes=True,
    forbidden="change_plan",
    refuses={
        409: (
            "amount_changed",
            "disputed",
            "not_accepted",
            "nothing_owed",
            "payment_in_flight",
            "still_running",
            "too_much",
        )
    },
)
def credit(plan_id: int, json: schemas.NewCredit) -> Response:
    """Credit

    Lowers what is still owed, and answers the plan. An installment credited to zero is waived, not paid.
    """
    currency = access.our_plan(caller().actor, plan_id).currency
    minor = amounts.read(currency, reason=json.reason, amount=json.amount, expected=json.expected)
    key = idempotency.request_key(json)
    with amounts.refusals_as_decimals(currency):
        result = credits.credit(
            plan_id,
            actor=caller().actor,
            amount=minor["amount"] or 0,
            how=json.how,
            reason=json.reason,
            shown=minor["expected"],
            request_key=key,
        )
    return idempotency.answer(result, 200, schemas.plan(result.plan))


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/reschedule/",
    ok={200: schemas.Plan, 202: (schemas.RescheduleProposal, ASKED)},
    tag=TAG,
    needs="credit",
    writes=True,
    forbidden="change_plan",
    refuses={
        409: (
            "amount_changed",
            "disputed",
            "not_accepted",
            "nothing_owed",
            "payment_in_flight",
            "proposal_open",
            "still_running",
        )
    },
)
def reschedule(plan_id: int, json: schemas.NewReschedule) -> Response:
    """Reschedule

    Open installments close, and new ones take what remained of them: one on another day, all some days later, or the
    rest in other parts. Answers the plan. If something would be due earlier, or more at once, the customer is asked by
    mail, and 202 answers the proposal: nothing changes before they accept it, within 14 days and before its first new
    day is over.
    """
    currency = access.our_plan(caller().actor, plan_id).currency
    if faults := _other_faults(msgspec.structs.asdict(json)):
        raise Invalid(*faults)
    minor = amounts.read(currency, reason=json.reason, expected=json.expected)
    key = idempotency.request_key(json)
    terms = NewTerms(
        how=json.how,
        installment_id=json.installment,
        due_date=json.due_date,
        days=json.days,
        count=json.num_installments,
        interval=json.interval,
    )
    with amounts.refusals_as_decimals(currency):
        result = reschedules.reschedule(
            plan_id, actor=caller().actor, terms=terms, reason=json.reason, shown=minor["expected"], request_key=key
        )
    if isinstance(result, RescheduleProposed):
        body = schemas.proposal(result.proposal)
        return idempotency.answer(result, 202, body, f"/api/plans/{plan_id}/reschedule/")
    return idempotency.answer(result, 200, schemas.plan(result.plan))


@endpoint(bp, "GET", "/api/plans/<row:plan_id>/reschedule/", ok={200: schemas.RescheduleProposal}, tag=TAG)
def reschedule_show(plan_id: int) -> schemas.RescheduleProposal:
    """The newest proposal of other days

    For the plan's customer and merchant. 404 if the plan has none.
    """
    proposal = reports.newest(access.my_plan(caller().actor, plan_id))
    if proposal is None:
        raise NotFound()
    return schemas.proposal(proposal)


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/reschedule/withdraw/",
    ok={200: schemas.RescheduleProposal},
    tag=TAG,
    needs="credit",
    writes=True,
    forbidden="change_plan",
    refuses={409: ("proposal_closed", "still_running")},
)
def reschedule_withdraw(plan_id: int, json: schemas.ProposalAnswer) -> Response:
    """Take a proposal of other days back

    The customer is told. Answers the proposal; the plan stays as it is.
    """
    access.our_plan(caller().actor, plan_id)
    key = idempotency.request_key(json)
    result = proposals.withdraw(plan_id, json.proposal, actor=caller().actor, request_key=key)
    return idempotency.answer(result, 200, schemas.proposal(result.proposal))


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/write-off/",
    ok={200: schemas.Plan},
    tag=TAG,
    needs="write_off",
    writes=True,
    forbidden="change_plan",
    refuses={409: ("amount_changed", "disputed", "not_accepted", "nothing_owed", "payment_in_flight", "still_running")},
)
def write_off(plan_id: int, json: schemas.NewWriteOff) -> Response:
    """Write off what remains

    The remaining amount is not expected any more. Answers the plan. A later payment is a recovery.
    """
    currency = access.our_plan(caller().actor, plan_id).currency
    minor = amounts.read(currency, reason=json.reason, expected=json.expected)
    key = idempotency.request_key(json)
    with amounts.refusals_as_decimals(currency):
        result = write_offs.write_off(
            plan_id, actor=caller().actor, reason=json.reason, shown=minor["expected"], request_key=key
        )
    return idempotency.answer(result, 200, schemas.plan(result.plan))


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/cancel/",
    ok={200: schemas.CancelledPlan},
    tag=TAG,
    needs="cancel",
    writes=True,
    forbidden="change_plan",
    refuses={
        409: (
            "amount_changed",
            "nothing_owed",
            "payment_in_flight",
            "plan_cancelled",
            "refund_limit",
            "still_running",
            "too_much",
        )
    },
)
def cancel(plan_id: int, json: schemas.NewCancellation) -> Response:
    """Cancel

    Voids the unpaid amount, for good. Payments are kept, unless `refund` has an amount to refund. The answer names the
    refunds that were started. A refund that the bank declines leaves the plan cancelled.
    """
    currency = access.our_plan(caller().actor, plan_id).currency
    minor = amounts.read(
        currency,
        reason=json.reason,
        refund=json.refund,
        expected=json.expected,
        expected_refundable=json.expected_refundable,
    )
    key = idempotency.request_key(json)
    with amounts.refusals_as_decimals(currency):
        result = cancellations.cancel(
            plan_id,
            actor=caller().actor,
            reason=json.reason,
            refund=minor["refund"] or 0,
            shown=minor["expected"],
            shown_refundable=minor["expected_refundable"],
            request_key=key,
        )
    return idempotency.answer(result, 200, schemas.cancelled_plan(result.plan, result.refunds))


@endpoint(
    bp,
    "POST",
    "/api/payments/<row:payment_id>/reverse/",
    ok={200: schemas.Payment},
    tag=TAG,
    needs="void",
    writes=True,
    forbidden="change_plan",
    refuses={409: ("not_reversed_by_gateway", "payment_in_flight", "refund_in_flight", "still_running")},
)
def reverse(payment_id: int, json: schemas.NewReversal) -> Response:
    """Ask the gateway whether a payment bounced

    If the bank took the payment back, its amount less refunds is owed again, and this answers the payment. If not,
    nothing changes: 409 `not_reversed_by_gateway`. Cash and transfers are voided.
    """
    access.our_payment(caller().actor, payment_id)
    key = idempotency.request_key(json)
    result = reversals.ask_gateway(payment_id, actor=caller().actor, reason=json.reason, request_key=key)
    return idempotency.answer(result, 200, schemas.payment(result.payment))


@endpoint(
    bp,
    "POST",
    "/api/payments/<row:payment_id>/void/",
    ok={200: schemas.Payment},
    tag=TAG,
    needs="void",
    writes=True,
    forbidden="change_plan",
    refuses={409: ("amount_changed", "not_voidable", "payment_in_flight", "refund_in_flight", "still_running")},
)
def void(payment_id: int, json: schemas.NewVoid) -> Response:
    """Void cash or a transfer that was recorded by mistake

    Its amount, less refunds, is owed again. On a cancelled plan nothing is owed again. Answers the payment.
    """
    currency = access.our_payment(caller().actor, payment_id).currency
    minor = amounts.read(currency, reason=json.reason, expected=json.expected)
    key = idempotency.request_key(json)
    with amounts.refusals_as_decimals(currency):
        result = voids.void(
            payment_id, actor=caller().actor, reason=json.reason, shown=minor["expected"], request_key=key
        )
    return idempotency.answer(result, 200, schemas.payment(result.payment))
