"""Idempotency keys: a repeated request runs once and gets the first response."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from portal.domain import clock
from portal.errors import Refused, StillRunning
from portal.extensions import db
from portal.models import IdempotencyKey
from portal.services.unit_of_work import unit_of_work

R = TypeVar("R")

RETENTION: Final = timedelta(hours=24)
WAIT_SECONDS: Final = 3.0
"""Seconds to wait for the same request when it runs elsewhere."""
_POLL_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A request of a user under an idempotency key.

    `scope` is the method and address, `fingerprint` a digest of the body. `render` turns the service's result into the
    status and body that are stored in its commit; without it a replay renders its own response.
    """

    user_id: int
    scope: str
    key: str
    fingerprint: str
    render: Callable[[Any], tuple[int, bytes]] | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """The request ran before. `status` and `body` are None when no response is stored: render one from `payment_id`,
    or from the refunds of `refund_group`.
    """

    payment_id: int | None
    status: int | None
    body: bytes | None
    refund_group: str | None = None


class KeyReused(Refused):
    """The same key was used with another body."""

    status = 422

    def __init__(self) -> None:
        super().__init__("idempotency_key_reused")


def fingerprint(*parts: object) -> str:
    """A digest (64 hex digits) of a request's contents."""
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()


def claim(request_key: RequestKey) -> Replay | None:
    """Inside a unit of work, as its first step: claim the key, or return the replay of its first use.

    Refuses: idempotency_key_reused (another body); still_running (another transaction is claiming the key, or a payment
    under it has no outcome). Waiting inside the database would hold a connection; `retrying` waits outside.
    """
    name = f"once:{request_key.user_id}:{request_key.scope}:{request_key.key}"
    if not db.session.scalar(select(func.pg_try_advisory_xact_lock(func.hashtextextended(name, 0)))):
        raise StillRunning()
    now = clock.now()
    mine = (
        IdempotencyKey.user_id == request_key.user_id,
        IdempotencyKey.scope == request_key.scope,
        IdempotencyKey.key == request_key.key,
    )
    db.session.execute(
        delete(IdempotencyKey).where(*mine, IdempotencyKey.state == "done", IdempotencyKey.created_at < now - RETENTION)
    )
    claimed = db.session.execute(
        insert(IdempotencyKey)
        .values(
            user_id=request_key.user_id,
            scope=request_key.scope,
            key=request_key.key,
            fingerprint=request_key.fingerprint,
            state="running",
            created_at=now,
        )
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    ).scalar()
    if claimed is not None:
        return None
    row = db.session.scalars(select(IdempotencyKey).where(*mine).execution_options(populate_existing=True)).one()
    if row.fingerprint != request_key.fingerprint:
        raise KeyReused()
    if row.state == "running":
        raise StillRunning()
    return Replay(row.payment_id, row.reply_status, row.reply_body, row.refund_group)


def attach(request_key: RequestKey, payment_id: int) -> None:
    """Inside a unit of work: tie the key to a payment whose outcome is unknown."""
    _row(request_key).payment_id = payment_id


def attach_refunds(request_key: RequestKey, group_key: str) -> None:
    """Inside a unit of work: tie the key to a group of refunds whose outcomes are unknown."""
    _row(request_key).refund_group = group_key


def store(request_key: RequestKey, result: Any) -> None:
    """Inside a unit of work, as its last step: mark the key done, with the response if the request renders one."""
    db.session.flush()
    row = _row(request_key)
    if row.state == "done":
        return
    if request_key.render is not None:
        row.reply_status, row.reply_body = request_key.render(result)
    row.state = "done"


@unit_of_work
def keep(request_key: RequestKey, status: int, body: bytes) -> tuple[int, bytes]:
    """Store the response to a request whose outcome became known after its first response, unless one is stored.

    Returns the stored status and body, which every replay gets.
    """
    row = db.session.get(
        IdempotencyKey, (request_key.user_id, request_key.scope, request_key.key), with_for_update=True
    )
    if row is None or row.state != "done":
        return status, body
    if row.reply_status is None or row.reply_body is None:
        row.reply_status, row.reply_body = status, body
    return row.reply_status, row.reply_body


def finish_payment(payment_id: int) -> None:
    """Inside a unit of work without a request: mark the payment's key done. The next replay renders the response."""
    rows = select(IdempotencyKey).where(IdempotencyKey.payment_id == payment_id, IdempotencyKey.state == "running")
    for row in db.session.scalars(rows):
        row.state = "done"


def finish_refunds(group_key: str) -> None:
    """Inside a unit of work without a request: as `finish_payment`, for the refunds of one request."""
    rows = select(IdempotencyKey).where(IdempotencyKey.refund_group == group_key, IdempotencyKey.state == "running")
    for row in db.session.scalars(rows):
        row.state = "done"


def retrying(attempt: Callable[[], R], may_wait: Callable[[Refused, float], bool] | None = None) -> R:
    """Call `attempt`, a unit of work, until it returns; repeat it for WAIT_SECONDS while it raises StillRunning.

    `may_wait` takes another refusal and the seconds waited, and returns whether to repeat after that one, too. A unit
    of work that raises has rolled back, so no connection and no transaction is held between attempts.
    """
    began = time.monotonic()
    while True:
        try:
            return attempt()
        except Refused as refused:
            waited = time.monotonic() - began
            if waited >= WAIT_SECONDS:
                raise
            if not isinstance(refused, StillRunning) and (may_wait is None or not may_wait(refused, waited)):
                raise
            time.sleep(_POLL_SECONDS)


@unit_of_work
def purge(limit: int = 10_000) -> int:
    """Delete at most `limit` keys older than RETENTION. Returns how many."""
    old = (
        select(IdempotencyKey.user_id, IdempotencyKey.scope, IdempotencyKey.key)
        .where(IdempotencyKey.created_at < clock.now() - RETENTION, IdempotencyKey.state == "done")
        .limit(limit)
    )
    columns = (IdempotencyKey.user_id, IdempotencyKey.scope, IdempotencyKey.key)
    deleted = db.session.execute(delete(IdempotencyKey).where(tuple_(*columns).in_(old)).returning(IdempotencyKey.key))
    return len(deleted.all())


def _row(request_key: RequestKey) -> IdempotencyKey:
    return db.session.get_one(IdempotencyKey, (request_key.user_id, request_key.scope, request_key.key))
