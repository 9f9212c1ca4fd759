"""Bring back what waits and nobody looks at. Each thing here has a first owner; this is who comes after them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog
from redis.exceptions import RedisError
from sqlalchemy import func, or_, select

from portal.domain import clock
from portal.extensions import db
from portal.models import Email, IdempotencyKey, Payment, Refund
from portal.services import emails
from portal.services.maintenance import queue_housekeeping

log = structlog.get_logger(__name__)

LATE_AFTER: Final = timedelta(minutes=2)
"""A mail that could have gone for so long was rung for in vain, or its sender died and the lease has ended."""
HANGING_AFTER: Final = timedelta(minutes=15)


def sweep() -> dict[str, int]:
    """Look for what is stuck, bring it back, and log what was found. Returns counts by name, of what was there only.

    `mails`: late, so workers were rung for. `jobs`: RQ's leftovers, tidied. The others are for people to look into,
    `outcomes`: payments and refunds that the gateway has been asked about again and again. `keys`: of requests that
    nobody will answer any more, which should be impossible. May run twice at once and be killed anywhere; one part that
    fails is logged and does not keep the others waiting.
    """
    parts: dict[str, Callable[[], int]] = {"outcomes": _outcomes, "mails": _mails, "keys": _keys}
    found = {name: count for name, part in parts.items() if (count := _try(name, part))}
    try:
        found |= {"jobs": count} if (count := queue_housekeeping.tidy_queue()) else {}
    except (RedisError, OSError) as error:
        log.warning("sweep.valkey_away", error=str(error))
    if found:
        log.warning("sweep.found", **found)
    return found


def _try(name: str, part: Callable[[], int]) -> int:
    try:
        return part()
    except Exception:
        log.exception("sweep.failed", part=name)
        return 0
    finally:
        db.session.rollback()


def _outcomes() -> int:
    """Two jobs of the schedule ask about each every few seconds, so the gateway does not answer."""
    before = clock.now() - HANGING_AFTER
    return sum(
        db.session.scalar(select(func.count()).select_from(table.waiting(before).order_by(None).subquery())) or 0
        for table in (Payment, Refund)
    )


def _mails() -> int:
    late = Email.state.in_(("waiting", "claimed")), Email.next_try_at <= clock.now() - LATE_AFTER
    count = db.session.scalar(select(func.count(Email.id)).where(*late)) or 0
    if count:
        emails.enqueue_drain()
    return count


def _keys() -> int:
    """A key is taken, and tied to its payment or refunds, in one commit; and freed in the commit that settles them."""
    old = IdempotencyKey.state == "running", IdempotencyKey.created_at < clock.now() - HANGING_AFTER
    nobody = IdempotencyKey.payment_id.is_(None) & IdempotencyKey.refund_group.is_(None)
    settled = select(Payment.id).where(Payment.id == IdempotencyKey.payment_id, Payment.state != "in_flight").exists()
    hanging = select(func.count()).select_from(IdempotencyKey).where(*old, or_(nobody, settled))
    return db.session.scalar(hanging) or 0
