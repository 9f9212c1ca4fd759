"""Watchdog: find work that its own job did not finish, and restart it or report it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog
from redis.exceptions import RedisError
from sqlalchemy import CompoundSelect, Select, func, or_, select, union_all

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


def due_query(now: datetime) -> CompoundSelect[int]:
    """The rows of PostgreSQL that `sweep` finds."""
    return union_all(*_late_outcomes(now), _late_mails(now), _old_keys(now))


def _outcomes() -> int:
    return sum(map(_count, _late_outcomes(clock.now())))


def _mails() -> int:
    count = _count(_late_mails(clock.now()))
    if count:
        emails.enqueue_drain()
    return count


def _keys() -> int:
    return _count(_old_keys(clock.now()))


def _count(query: Select[int]) -> int:
    return db.session.scalar(select(func.count()).select_from(query.subquery())) or 0


def _late_outcomes(now: datetime) -> list[Select[int]]:
    """Payments and refunds in flight although two jobs of the schedule ask the gateway every few seconds."""
    before = now - HANGING_AFTER
    return [table.waiting(before).order_by(None).with_only_columns(table.id) for table in (Payment, Refund)]


def _late_mails(now: datetime) -> Select[int]:
    return select(Email.id).where(Email.state.in_(("waiting", "claimed")), Email.next_try_at <= now - LATE_AFTER)


def _old_keys(now: datetime) -> Select[int]:
    """Running keys without a payment or refunds, or of a settled payment. One commit writes a key and its payment."""
    conditions = IdempotencyKey.state == "running", IdempotencyKey.created_at < now - HANGING_AFTER
    unattached = IdempotencyKey.payment_id.is_(None) & IdempotencyKey.refund_group.is_(None)
    settled = select(Payment.id).where(Payment.id == IdempotencyKey.payment_id, Payment.state != "in_flight").exists()
    return select(IdempotencyKey.user_id).where(*conditions, or_(unattached, settled))
