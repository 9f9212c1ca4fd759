"""Watchdog: find work that its own job did not finish, and restart it or report it."""

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
from portal.services.unit_of_work import end_reading

log = structlog.get_logger(__name__)

LATE_AFTER: Final = timedelta(minutes=2)
"""Age at which a due mail is late: its job was lost, or its drain was killed and the lease has run out."""
HANGING_AFTER: Final = timedelta(minutes=15)
"""Age at which an unknown outcome or a running request key is reported."""


def sweep() -> dict[str, int]:
    """Find stuck work, restart it, and log the findings. Returns the counts above zero, by name.

    `mails`: late mails, for which a drain was enqueued. `jobs`: RQ's stale keys, removed. The operator looks into the
    others. `outcomes`: payments and refunds that the gateway does not answer about. `keys`: keys of requests that will
    never be answered, which should be impossible. Two runs at once are safe, and so is a kill at any point. A part that
    fails is logged, and the others go on.
    """
    parts: dict[str, Callable[[], int]] = {"outcomes": _outcomes, "mails": _mails, "keys": _keys}
    counts = {name: count for name, part in parts.items() if (count := _try(name, part))}
    try:
        counts |= {"jobs": count} if (count := queue_housekeeping.tidy_queue()) else {}
    except (RedisError, OSError) as error:
        log.error("sweep.valkey_away", error=str(error))
    if counts:
        log.warning("sweep.found", **counts)
    return counts


def _try(name: str, part: Callable[[], int]) -> int:
    try:
        return part()
    except Exception:
        log.exception("sweep.failed", part=name)
        return 0
    finally:
        end_reading()


def _outcomes() -> int:
    """Payments and refunds in flight although two jobs of the schedule ask the gateway every few seconds."""
    before = clock.now() - HANGING_AFTER
    return sum(
        db.session.scalar(select(func.count()).select_from(table.waiting(before).order_by(None).subquery())) or 0
        for table in (Payment, Refund)
    )


def _mails() -> int:
    conditions = Email.state.in_(("waiting", "claimed")), Email.next_try_at <= clock.now() - LATE_AFTER
    count = db.session.scalar(select(func.count(Email.id)).where(*conditions)) or 0
    if count:
        emails.enqueue_drain()
    return count


def _keys() -> int:
    """Running keys without a payment or refunds, or of a settled payment. One commit writes a key and its payment."""
    conditions = IdempotencyKey.state == "running", IdempotencyKey.created_at < clock.now() - HANGING_AFTER
    unattached = IdempotencyKey.payment_id.is_(None) & IdempotencyKey.refund_group.is_(None)
    settled = select(Payment.id).where(Payment.id == IdempotencyKey.payment_id, Payment.state != "in_flight").exists()
    query = select(func.count()).select_from(IdempotencyKey).where(*conditions, or_(unattached, settled))
    return db.session.scalar(query) or 0
