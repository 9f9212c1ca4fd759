"""What the gateway tells us by itself: a signed callback, which only says "look".

The signature keeps strangers from making us look; what is recorded is what the gateway answers when it is asked about
the key. So a callback that comes twice, late, out of order or with lies in it does no harm.
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
from portal.services.payments import payments, refunds, reversals

log = structlog.get_logger(__name__)

MAX_AGE: Final = 300
"""Seconds a signature is good for; a recorded callback that is sent again later is refused."""
BUDGET: Final = 30.0
"""Seconds after which the rest of the gateway's callbacks is left to the next job."""
LONGEST_STEP: Final = payments.LONGEST_STEP
"""Seconds that one takes: the payment is booked, what was too much of it goes back, and the bank took it back."""
_SIGNATURE: Final = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


class BadSignature(Refused):
    """Not signed by the gateway, or too long ago."""

    status = 401

    def __init__(self) -> None:
        super().__init__("bad_signature", "This callback is not signed by the gateway.")


class Unreadable(Refused):
    """Signed, but not an event."""

    status = 400

    def __init__(self) -> None:
        super().__init__("unreadable", "This is not an event of the gateway.")


def receive(body: bytes, signature: str | None) -> None:
    """Take a callback: check who signed it, ask the gateway about its key, and record what came of that.

    `signature` is "t=<Unix seconds>,v1=<hex HMAC-SHA256 of '<t>.<body>'>". A key that is not ours is ignored.
    Refuses: bad_signature; unreadable; busy, payment_in_flight and refund_in_flight, after which the gateway sends it
    again.
    """
    if not _is_signed(body, signature):
        raise BadSignature()
    try:
        key = json.loads(body)["key"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Unreadable() from None
    if not isinstance(key, str) or not re.fullmatch(r"[\x21-\x7e]{1,64}", key):
        raise Unreadable()
    look_at(key)


def look_at(key: str) -> None:
    """Ask the gateway what it knows of a key of ours, and record it. Busy when it gives no answer."""
    payment = db.session.execute(select(Payment.id, Payment.state).where(Payment.gateway_key == key)).one_or_none()
    refund_id = db.session.scalar(select(Refund.id).where(Refund.gateway_key == key))
    db.session.rollback()
    if payment is not None:
        outcome = _known(gateway.look_up(key))
        payments.record_outcome(payment.id, outcome)
        if outcome.reversed:
            reversals.reverse_by_gateway(payment.id)
    elif refund_id is not None:
        refunds.record_outcome(refund_id, _known(gateway.look_up_refund(key)))
    else:
        log.info("callback.unknown_key")


def sign(body: bytes) -> str:
    """The signature that the gateway puts on a callback now; it shares this secret with us."""
    at = int(clock.now().timestamp())
    return f"t={at},v1={_mac(at, body)}"


def deliver_due(limit: int = 100) -> int:
    """Play the gateway's part: let charges bounce whose time has come, and call us back about each, until we take it.

    Reads all of them, `limit` at a time, and begins none after BUDGET seconds (`sweeps.sweep`). A callback that we
    refuse, or fail on, comes again the next time. Returns how many callbacks were taken.
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
    """Whether the callback about this charge was taken."""
    body = json.dumps({"type": "charge.reversed", "key": key}).encode()
    try:
        receive(body, sign(body))
        gateway.acknowledge(key)
    except Refused as refused:
        log.info("callback.again_later", code=refused.code)
        return False
    return True


def _known(outcome: gateway.Outcome) -> gateway.Outcome:
    """A callback about something that the gateway can't tell us now has to come again, or it would be lost."""
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
