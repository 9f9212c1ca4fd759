"""Callbacks of the payment gateway: a signed request that only says "ask about this key".

The signature proves the sender. The recorded outcome is the gateway's own answer about the key, never the callback's
body, so a callback that is repeated, late, out of order or false does no harm.
"""

from collections.abc import Mapping
from typing import Final

import structlog
from sqlalchemy import select

from portal.errors import Busy, QistError
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import Payment, Refund
from portal.services import sweeps
from portal.services.payments import outcomes, refunds, reversals
from portal.services.unit_of_work import end_reading

log = structlog.get_logger(__name__)

BUDGET: Final = 30.0
"""Seconds after which the job leaves the remaining callbacks to the next run."""
MAX_STEP_SECONDS: Final = outcomes.MAX_STEP_SECONDS
"""Upper bound for one callback: book the payment, refund its excess, and reverse it, or win it back."""


class BadSignature(QistError):
    """The signature is missing, wrong or too old."""

    status = 401

    def __init__(self) -> None:
        super().__init__("bad_signature")


class Unreadable(QistError):
    """The signature is right, and the body is no event."""

    status = 400

    def __init__(self) -> None:
        super().__init__("unreadable", about="callback")


def receive(body: bytes, headers: Mapping[str, str]) -> None:
    """Take a callback: let the gateway check its signature, ask it about the key, and record the answer.

    `headers` are those of the request, by their names with capitals. An unknown key is ignored.
    Refuses: bad_signature; unreadable; busy, payment_in_flight and refund_in_flight. The gateway repeats a refused
    callback.
    """
    try:
        key = gateway.active().callback_key(body, headers)
    except gateway.BadSignature:
        raise BadSignature() from None
    except gateway.UnreadableCallback:
        raise Unreadable() from None
    update_from_gateway(key)


def update_from_gateway(key: str) -> bool:
    """Ask the gateway about a key, and record the answer: of a payment, of a refund, or of money that was won back.

    Returns False if the key is none of ours and the gateway knows nothing of it, or did not answer. Refuses: busy (no
    answer about a key of ours); payment_in_flight; refund_in_flight.
    """
    payment = db.session.execute(select(Payment.id, Payment.state).where(Payment.gateway_key == key)).one_or_none()
    refund_id = db.session.scalar(select(Refund.id).where(Refund.gateway_key == key))
    end_reading()
    if payment is not None:
        outcome = _answered(gateway.active().look_up(key))
        outcomes.record_outcome(payment.id, outcome)
        if outcome.reversed:
            reversals.reverse_by_gateway(payment.id, outcome)
    elif refund_id is not None:
        refunds.record_outcome(refund_id, _answered(gateway.active().look_up_refund(key)))
    else:
        return _update_from_won_dispute(key)
    return True


def _update_from_won_dispute(key: str) -> bool:
    """Record the money that the bank gave back under this key of the gateway's own, after its reversal."""
    outcome = gateway.active().look_up(key)
    if outcome.wins_back is None:
        log.info("callback.unknown_key")
        return outcome.state != "unknown"
    update_from_gateway(outcome.wins_back)
    refund_id = reversals.win_back(key, outcome)
    if refund_id is not None:
        refunds.send(refund_id)
    return True


def deliver_due(limit: int = 100) -> int:
    """Record the reversals and won disputes that no callback has brought: the gateway lists those not acknowledged.

    Reads all of them, `limit` at a time, starts at a random one and wraps around. Starts none after BUDGET seconds. One
    that is refused or fails comes again with the next run, and the others go on. Returns the number taken.
    """
    keys = page = list(gateway.active().unacknowledged(limit))
    while page:
        page = list(gateway.active().unacknowledged(limit, after=keys[-1]))
        keys += page
    taken: list[bool] = []
    sweeps.sweep(keys, lambda key: taken.append(_take(key)), budget=BUDGET, event="callback.not_taken", field="key")
    return sum(taken)


def due_query() -> str | None:
    """SQL with the parameter `:now`: a row, whenever `deliver_due` finds a reversal. None: only the gateway knows."""
    return gateway.active().reversals_query()


def _take(key: str) -> bool:
    """Record the reversal or the won dispute under this key, and return whether that succeeded."""
    try:
        if not update_from_gateway(key):
            return False
        gateway.active().acknowledge(key)
    except QistError as refused:
        log.info("callback.again_later", code=refused.code)
        return False
    return True


def _answered(outcome: gateway.Outcome) -> gateway.Outcome:
    """The outcome. Refuses: busy when it is unknown, so that the gateway repeats the callback."""
    if outcome.state == "unknown":
        raise Busy()
    return outcome
