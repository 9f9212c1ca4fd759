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
"""Upper bound for one callback: book the payment, refund its excess, and reverse it."""


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


def update_from_gateway(key: str) -> None:
    """Ask the gateway about a payment's or refund's key, and record the answer. Refuses: busy (no answer)."""
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
        log.info("callback.unknown_key")


def deliver_due(limit: int = 100) -> int:
    """Record the reversals that no callback has brought: ask the gateway which ones it has not had acknowledged.

    Reads all of them, `limit` at a time, starts at a random one and wraps around. Starts none after BUDGET seconds. A
    reversal that is refused or fails comes again with the next run, and the others go on. Returns the number of
    reversals taken.
    """
    keys = page = list(gateway.active().unacknowledged(limit))
    while page:
        page = list(gateway.active().unacknowledged(limit, after=keys[-1]))
        keys += page
    taken: list[bool] = []
    sweeps.sweep(keys, lambda key: taken.append(_take(key)), budget=BUDGET, event="callback.not_taken", field="key")
    return sum(taken)


def due_query() -> str | None:
    """SQL with the parameter `now`: some row, whenever `deliver_due` finds a reversal. None: only the gateway knows."""
    return gateway.active().reversals_query()


def _take(key: str) -> bool:
    """Record the reversal of this charge, and return whether that succeeded."""
    try:
        update_from_gateway(key)
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
