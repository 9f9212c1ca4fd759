"""What a plan's merchant changes of it: credit, write off, cancel; and a payment that bounced."""

from flask import Blueprint, Response
from spectree.models import Tag

from portal import access
from portal.api import amounts, idempotency, parsing, schemas
from portal.api.callers import caller
from portal.api.endpoints import endpoint, tree
from portal.api.resources.plans import shown
from portal.extensions import db
from portal.models import Payment, Plan
from portal.reports.payments import refunds as lists
from portal.services.adjustments import cancellations, credits, write_offs
from portal.services.adjustments.cancellations import Cancelled
from portal.services.adjustments.credits import Credited
from portal.services.adjustments.write_offs import WrittenOff
from portal.services.payments import reversals
from portal.services.payments.reversals import Reversed

bp = Blueprint("api_changes", __name__)
TAG = Tag("Changes", "What a merchant changes of a plan or a payment. Each takes a reason and stands on the timeline.")
MERCHANTS_ONLY = "Only the plan's merchant does this."

for _shape in (schemas.NewCredit, schemas.NewWriteOff, schemas.NewCancellation, schemas.NewReversal):
    parsing.also(_shape)(amounts.reason_faults)


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/credits/",
    ok={200: schemas.Plan},
    tag=TAG,
    roles=("merchant",),
    writes=True,
    only=MERCHANTS_ONLY,
    refuses={409: ("amount_changed", "nothing_owed", "payment_in_flight", "still_running", "too_much")},
)
def credit(plan_id: int, json: schemas.NewCredit) -> Response:
    """Credit

    Lowers what is still owed, and answers the plan. An installment credited to zero is waived, not paid.
    """
    currency = access.my_plan(caller().user, plan_id).currency
    given = amounts.read(currency, reason=json.reason, amount=json.amount, expected=json.expected)
    asked = idempotency.asked(json, _plan)
    with amounts.in_terms_of_the_api(currency):
        done = credits.credit(
            plan_id,
            merchant_id=caller().id,
            amount=given["amount"] or 0,
            how=json.how,
            reason=json.reason,
            shown=given["expected"],
            request_key=asked,
        )
    return idempotency.finish(asked, done.replay, lambda: done, _plan)


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/write-off/",
    ok={200: schemas.Plan},
    tag=TAG,
    roles=("merchant",),
    writes=True,
    only=MERCHANTS_ONLY,
    refuses={409: ("amount_changed", "nothing_owed", "payment_in_flight", "still_running")},
)
def write_off(plan_id: int, json: schemas.NewWriteOff) -> Response:
    """Write off what remains

    It is expected no more, and answers the plan. A later payment is a recovery.
    """
    currency = access.my_plan(caller().user, plan_id).currency
    given = amounts.read(currency, reason=json.reason, expected=json.expected)
    asked = idempotency.asked(json, _plan)
    with amounts.in_terms_of_the_api(currency):
        done = write_offs.write_off(
            plan_id, merchant_id=caller().id, reason=json.reason, shown=given["expected"], request_key=asked
        )
    return idempotency.finish(asked, done.replay, lambda: done, _plan)


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/cancel/",
    ok={200: schemas.CancelledPlan},
    tag=TAG,
    roles=("merchant",),
    writes=True,
    only=MERCHANTS_ONLY,
    refuses={
        409: ("amount_changed", "nothing_owed", "payment_in_flight", "plan_cancelled", "still_running", "too_much")
    },
)
def cancel(plan_id: int, json: schemas.NewCancellation) -> Response:
    """Cancel

    Voids what is unpaid, for good. What was paid is kept, unless `refund` says how much of it goes back; the answer
    names the refunds that went out, and a refund that the bank declines leaves the plan cancelled.
    """
    currency = access.my_plan(caller().user, plan_id).currency
    given = amounts.read(
        currency,
        reason=json.reason,
        refund=json.refund,
        expected=json.expected,
        expected_refundable=json.expected_refundable,
    )
    asked = idempotency.asked(json, _cancelled)
    with amounts.in_terms_of_the_api(currency):
        done = cancellations.cancel(
            plan_id,
            merchant_id=caller().id,
            reason=json.reason,
            refund=given["refund"] or 0,
            shown=given["expected"],
            shown_refundable=given["expected_refundable"],
            request_key=asked,
        )
    return idempotency.finish(asked, done.replay, lambda: done, _cancelled)


@endpoint(
    bp,
    "POST",
    "/api/payments/<row:payment_id>/reverse/",
    ok={200: schemas.Payment},
    tag=TAG,
    roles=("merchant",),
    writes=True,
    only=MERCHANTS_ONLY,
    refuses={409: ("amount_changed", "not_reversible", "payment_in_flight", "refund_in_flight", "still_running")},
)
def reverse(payment_id: int, json: schemas.NewReversal) -> Response:
    """Reverse a payment that bounced

    The bank took it back: what it paid, less what was refunded, is owed again. On a cancelled plan it is only booked.
    Answers the payment.
    """
    currency = access.my_payment(caller().user, payment_id).currency
    given = amounts.read(currency, reason=json.reason, expected=json.expected)

    def render(_: Credited | WrittenOff | Reversed) -> tuple[int, bytes]:
        payment = db.session.get_one(Payment, payment_id, populate_existing=True)
        return 200, tree.model_adapter.dump_json(schemas.payment(payment))

    asked = idempotency.asked(json, render)
    with amounts.in_terms_of_the_api(currency):
        done = reversals.reverse(
            payment_id, merchant_id=caller().id, reason=json.reason, shown=given["expected"], request_key=asked
        )
    return idempotency.finish(asked, done.replay, lambda: done, render)


def _plan(done: Credited | WrittenOff | Reversed) -> tuple[int, bytes]:
    plan = db.session.get_one(Plan, done.plan_id, populate_existing=True)
    return 200, tree.model_adapter.dump_json(shown(plan)[0])


def _cancelled(done: Cancelled) -> tuple[int, bytes]:
    plan = db.session.get_one(Plan, done.plan_id, populate_existing=True)
    found = schemas.cancelled_plan(plan, lists.given_back([plan.id])[plan.id], lists.of_ids(done.refund_ids))
    return 200, tree.model_adapter.dump_json(found)
