"""Callbacks of the payment gateway: a signed request that only says "ask about this key".

The signature proves the sender. The recorded outcome is the gateway's own answer about the key, never the callback's
body, so a callback that is repeated, late, out of order or false does no harm.
"""

import hashlib
import hmac
import json
import re
from typing import Final

import structlog
from flask import current_app
from sqlalchemy import select

from portal.domain import clock
from portal.errors import Busy, Refused
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import Payment, Refund
from portal.services import sweeps
from portal.services.payments import outcomes, refunds, reversals

log = structlog.get_logger(__name__)

MAX_AGE: Final = 300
"""Lifetime of a signature in seconds. An intercepted callback that is sent again later is refused."""
BUDGET: Final = 30.0
"""Seconds after which the job leaves the remaining callbacks to the next run."""
MAX_STEP_SECONDS: Final = outcomes.MAX_STEP_SECONDS
"""Upper bound for one callback: book the payment, refund its excess, and reverse it."""
_SIGNATURE: Final = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


class BadSignature(Refused):
    """The signature is missing, wrong or too old."""

    status = 401

    def __init__(self) -> None:
        super().__init__("bad_signature")


class Unreadable(Refused):
    """The signature is right, and the body is no event."""

    status = 400

    def __init__(self) -> None:
        super().__init__("unreadable", about="callback")


def receive(body: bytes, signature: str | None) -> None:
    """Take a callback: check its signature, ask the gateway about its key, and record the answer.

    `signature` is "t=<Unix seconds>,v1=<hex HMAC-SHA256 of '<t>.<body>'>". An unknown key is ignored.
    Refuses: bad_signature; unreadable; busy, payment_in_flight and refund_in_flight. The gateway repeats a refused
    callback.
    """
    if not _is_signed(body, signature):
        raise BadSignature()
    try:
        key = json.loads(body)["key"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Unreadable() from None
    if not isinstance(key, str) or not re.fullmatch(r"[\x21-\x7e]{1,64}", key):
        raise Unreadable()
    update_from_gateway(key)


def update_from_gateway(key: str) -> None:
    """Ask the gateway about a payment's or refund's key, and record the answer. Refuses: busy (no answer)."""
    payment = db.session.execute(select(Payment.id, Payment.state).where(Payment.gateway_key == key)).one_or_none()
    refund_id = db.session.scalar(select(Refund.id).where(Refund.gateway_key == key))
    db.session.rollback()
    if payment is not None:
        outcome = _answered(gateway.look_up(key))
        outcomes.record_outcome(payment.id, outcome)
        if outcome.reversed:
            reversals.reverse_by_gateway(payment.id)
    elif refund_id is not None:
        refunds.record_outcome(refund_id, _answered(gateway.look_up_refund(key)))
    else:
        log.info("callback.unknown_key")


def sign(body: bytes) -> str:
    """The gateway's signature of a callback at this instant. The simulated gateway shares the secret."""
    at = int(clock.now().timestamp())
    return f"t={at},v1={_mac(at, body)}"


def deliver_due(limit: int = 100) -> int:
    """Act as the simulated gateway: reverse the charges that are due to bounce, and send a callback about each.

    Reads all unacknowledged callbacks, `limit` at a time, starts at a random one and wraps around. Starts none after
    BUDGET seconds. A callback that is refused or fails comes again with the next run, and the others go on. Returns the
    number of callbacks taken.
    """
    gateway.bounce_due_charges(limit)
    keys = page = gateway.unacknowledged(limit)
    while page:
        page = gateway.unacknowledged(limit, after=keys[-1])
        keys += page
    taken: list[bool] = []
    sweeps.sweep(
        keys, lambda key: taken.append(_call_back(key)), budget=BUDGET, event="callback.not_taken", field="key"
    )
    return sum(taken)


def _call_back(key: str) -> bool:
    """Send the callback about this charge, and return whether it was taken."""
    body = json.dumps({"type": "charge.reversed", "key": key}).encode()
    try:
        receive(body, sign(body))
        gateway.acknowledge(key)
    except Refused as refused:
        log.info("callback.again_later", code=refused.code)
        return False
    return True


def _answered(outcome: gateway.Outcome) -> gateway.Outcome:
    """The outcome. Refuses: busy when it is unknown, so that the gateway repeats the callback."""
    if outcome.state == "unknown":
        raise Busy()
    return outcome


def _is_signed(body: bytes, signature: str | None) -> bool:
    match = _SIGNATURE.fullmatch(signature or "")
    if match is None:
        return False
    at = int(match[1])
    is_ours = hmac.compare_digest(_mac(at, body), match[2])
    return is_ours and abs(clock.now().timestamp() - at) <= MAX_AGE


def _mac(at: int, body: bytes) -> str:
    secret: str = current_app.config["SECRET_KEY"]
    key = hmac.digest(secret.encode(), b"gateway callbacks", "sha256")
    return hmac.new(key, b"%d.%s" % (at, body), hashlib.sha256).hexdigest()
