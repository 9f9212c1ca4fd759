"""Idempotency keys: a repeated request runs once and gets the first result. `unit_of_work` calls the functions here."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

from sqlalchemy import Select, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from portal.domain import clock
from portal.errors import KeyReused, StillRunning
from portal.extensions import db
from portal.models import IdempotencyKey
from portal.services import results
from portal.services.results import Pending, Result

R = TypeVar("R")

RETENTION: Final = timedelta(hours=24)
WAIT_SECONDS: Final = 3.0
"""Seconds to wait for the same request when it runs elsewhere."""
_POLL_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A request of a user under an idempotency key. `scope`: method and address; `fingerprint`: digest of the body."""

    user_id: int
    scope: str
    key: str
    fingerprint: str


def fingerprint(*parts: object) -> str:
    """A digest (64 hex digits) of a request's contents."""
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()


def claim(request_key: RequestKey) -> Result | None:
    """Inside a unit of work, as its first step: claim the key, or return the stored result of its first use.

    Refuses: idempotency_key_reused (another body); still_running (another transaction is claiming the key, or a payment
    under it has no outcome); answer_gone. Waiting inside the database would hold a connection; `waiting` waits outside.
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
    if row.result is None:
        raise StillRunning()
    return results.decode(row.result)


def attach(request_key: RequestKey, *, payment_id: int | None = None, refund_group: str | None = None) -> None:
    """Inside a unit of work: tie the key to the payment or the refunds whose outcomes will finish it."""
    row = _row(request_key)
    row.payment_id, row.refund_group = payment_id, refund_group


def finish(request_key: RequestKey, result: object) -> None:
    """Inside a unit of work, as its last step: store the result. A Pending one leaves the attached key running."""
    row = _row(request_key)
    if isinstance(result, Pending) and (row.payment_id is not None or row.refund_group is not None):
        return
    if isinstance(result, Pending) or not isinstance(result, Result):
        raise TypeError(f"A unit of work under a request key returns a Result, not {type(result).__name__}.")
    _store(row, result)


def finish_payment(payment_id: int, result: Result) -> None:
    """Inside the unit of work that records a payment's outcome: store its result under every key attached to it."""
    for row in db.session.scalars(_running().where(IdempotencyKey.payment_id == payment_id)):
        _store(row, result)


def finish_refunds(refund_group: str, result: Result) -> None:
    """As `finish_payment`, for the refunds of one request."""
    for row in db.session.scalars(_running().where(IdempotencyKey.refund_group == refund_group)):
        _store(row, result)


def result_of_payment(payment_id: int) -> Result | None:
    """The result that was stored with a payment's outcome; None for a payment without a key."""
    stored = db.session.scalar(
        select(IdempotencyKey.result).where(IdempotencyKey.payment_id == payment_id, IdempotencyKey.result.is_not(None))
    )
    return None if stored is None else results.decode(stored)


def waiting(attempt: Callable[[], R]) -> R:
    """Call `attempt`, a unit of work, until it returns; repeat it for WAIT_SECONDS while it raises StillRunning.

    A unit of work that raises has rolled back, so no connection and no transaction is held between attempts.
    """
    began = time.monotonic()
    while True:
        try:
            return attempt()
        except StillRunning:
            if time.monotonic() - began >= WAIT_SECONDS:
                raise
        time.sleep(_POLL_SECONDS)


def purge(limit: int = 10_000) -> int:
    """Inside a unit of work: delete at most `limit` keys older than RETENTION. Returns how many."""
    columns = (IdempotencyKey.user_id, IdempotencyKey.scope, IdempotencyKey.key)
    old = (
        select(*columns)
        .where(IdempotencyKey.created_at < clock.now() - RETENTION, IdempotencyKey.state == "done")
        .limit(limit)
    )
    deleted = db.session.execute(delete(IdempotencyKey).where(tuple_(*columns).in_(old)).returning(IdempotencyKey.key))
    return len(deleted.all())


def _store(row: IdempotencyKey, result: Result) -> None:
    row.result, row.state = results.encode(result), "done"


def _running() -> Select[IdempotencyKey]:
    return select(IdempotencyKey).where(IdempotencyKey.state == "running")


def _row(request_key: RequestKey) -> IdempotencyKey:
    return db.session.get_one(IdempotencyKey, (request_key.user_id, request_key.scope, request_key.key))
