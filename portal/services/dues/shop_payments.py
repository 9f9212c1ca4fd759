"""Pay everything due to a business: one payment for each plan, in order, behind one press.

The first commit keeps what the press pays, if it still is what the form showed. Then each plan is paid as by
payments/payments.py, under a key of its own that follows from the press. The press sent again does what is left of it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import structlog

from portal.domain.money import Money
from portal.domain.terms import Accepting
from portal.errors import AnswerGone, Busy, Invalid, NotFound, Refused, StillRunning, Unsure
from portal.extensions import db
from portal.models import Merchant
from portal.reports.payments import shop_dues
from portal.services import idempotency
from portal.services.idempotency import RequestKey
from portal.services.payments import payments, preconditions
from portal.services.payments.outcomes import PaymentDeclined, PaymentPending
from portal.services.results import Result
from portal.services.unit_of_work import unit_of_work

log = structlog.get_logger(__name__)

PRESS_SECONDS: Final = 20.0
"""Seconds after which no further payment of the press is started."""

Outcome = Literal["paid", "declined", "checking", "refused", "not_tried"]


@dataclass(frozen=True, slots=True)
class Part:
    """A plan and what is due on it, in minor units."""

    plan_id: int
    minor: int


@dataclass(frozen=True, slots=True)
class ShopPaymentBegun(Result):
    """The press showed what is due. Its parts are paid in this order."""

    merchant_id: int
    currency: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class PartOutcome:
    """The outcome of a part. `code` is the refusal's. A part that is not paid, declined or checking charged nothing."""

    plan_id: int
    outcome: Outcome
    payment_id: int | None = None
    code: str = ""


def scope_of(merchant_id: int, currency: str, plan_id: int | None = None) -> str:
    """The scope of the press's key, or of the key of one of its parts."""
    scope = f"POST /shops/{merchant_id}/due/{currency}"
    return scope if plan_id is None else f"{scope}/plans/{plan_id}"


@dataclass(frozen=True, slots=True)
class _Seen:
    """The amounts that the customer saw before the press: the parts, their sum, or neither."""

    parts: tuple[Part, ...] | None
    total: int | None


@dataclass(frozen=True, slots=True)
class Press:
    """The parts that the press pays, and the outcome of each of its parts, in their order."""

    begun: ShopPaymentBegun
    outcomes: list[PartOutcome]


def pay(
    merchant_id: int,
    currency: str,
    *,
    customer_id: int,
    shown: Sequence[Part] | None = None,
    total: int | None = None,
    method: str,
    accepting: Accepting | None,
    request_key: RequestKey,
) -> Press:
    """Pay what is due on each plan, at most shop_dues.MAX_PLANS, the oldest due date first.

    `shown` are the plans and amounts (minor units) that the form listed, `total` their sum; None accepts any. Each
    payment is committed by itself. After a decline or a refusal the next part follows; after a payment whose outcome is
    unknown none does, and none is started after PRESS_SECONDS seconds.

    Refuses, and charges nothing: not_found (no plan of this customer at this business); merchant_deactivated;
    unknown_method; nothing_due; amount_changed (facts: remaining; other plans or amounts are due than `shown`);
    idempotency_key_reused; still_running; busy (only before the first payment).
    """
    seen = _Seen(None if shown is None else tuple(shown), total)
    begun = _begin(merchant_id, currency, customer_id, seen, method, request_key=request_key)
    began, outcomes = time.monotonic(), list[PartOutcome]()
    for part in begun.parts:
        is_over = bool(outcomes) and outcomes[-1].outcome in ("checking", "not_tried")
        if is_over or time.monotonic() - began > PRESS_SECONDS:
            outcomes.append(PartOutcome(part.plan_id, "not_tried"))
            continue
        key = RequestKey(
            customer_id,
            scope_of(merchant_id, currency, part.plan_id),
            request_key.key,
            idempotency.fingerprint(request_key.fingerprint, part.plan_id, part.minor),
        )
        try:
            outcomes.append(_pay_part(part, customer_id, method, accepting, key))
        except Busy as error:
            if not outcomes and not isinstance(error, Unsure):
                raise
            log.warning("shop_payment.stopped", plan_id=part.plan_id, code=error.code)
            outcomes.append(PartOutcome(part.plan_id, "checking" if isinstance(error, Unsure) else "not_tried"))
    return Press(begun, outcomes)


def _pay_part(
    part: Part, customer_id: int, method: str, accepting: Accepting | None, request_key: RequestKey
) -> PartOutcome:
    try:
        paid = payments.pay_plan(
            part.plan_id,
            customer_id=customer_id,
            choice="due",
            shown=part.minor,
            method=method,
            accepting=accepting,
            request_key=request_key,
        )
    except StillRunning:
        return PartOutcome(part.plan_id, "checking")
    except (Refused, Invalid, NotFound, AnswerGone) as error:
        return PartOutcome(part.plan_id, "refused", code=error.code)
    outcome: Outcome = "paid"
    if isinstance(paid, PaymentPending):
        outcome = "checking"
    elif isinstance(paid, PaymentDeclined):
        outcome = "declined"
    return PartOutcome(part.plan_id, outcome, paid.payment_id)


@unit_of_work
def _begin(
    merchant_id: int,
    currency: str,
    customer_id: int,
    seen: _Seen,
    method: str,
    *,
    request_key: RequestKey,
) -> ShopPaymentBegun:
    """Keep what the press pays, if exactly that is due now. A repeated press gets what the first one kept."""
    if shop_dues.shop_of(customer_id, merchant_id) is None:
        raise NotFound()
    if db.session.get_one(Merchant, merchant_id, populate_existing=True).deactivated_at is not None:
        raise Refused("merchant_deactivated", about="payment")
    if not preconditions.is_usable(customer_id, method):
        raise Refused("unknown_method", about="payment")
    due = shop_dues.plans_due(customer_id, merchant_id, currency)
    if not due:
        raise Refused("nothing_due", about="payment")
    parts = tuple(Part(row.plan_id, row.minor) for row in due)
    total = sum(part.minor for part in parts)
    if seen.parts not in (None, parts) or seen.total not in (None, total):
        raise Refused("amount_changed", about="payment", limit=Money(total, currency), remaining=total)
    return ShopPaymentBegun(merchant_id, currency, parts)
