"""Idempotency keys: a repeated request runs once and gets the first result. `unit_of_work` calls the functions here."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import BindParameter, ColumnElement, and_, delete, func, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from portal.domain import clock
from portal.errors import KeyReused, StillRunning
from portal.extensions import db, session
from portal.models import IdempotencyKey
from portal.services import results
from portal.services.results import Pending, Result

R = TypeVar("R")

RETENTION: Final = timedelta(hours=24)
WAIT_SECONDS: Final = 3.0
"""Seconds to wait for the same request when it runs elsewhere."""
_POLL_SECONDS: Final = 0.05
_ATTACHED: Final = "attached_key"
"""The session's key of the request key that this unit of work attached."""
_UNSYNCED: Final = {"synchronize_session": False}


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
    locked = func.pg_try_advisory_xact_lock(func.hashtextextended(name, 0))
    now = clock.now()
    values: dict[str, Any] = {
        "user_id": request_key.user_id,
        "scope": request_key.scope,
        "key": request_key.key,
        "fingerprint": request_key.fingerprint,
        "state": "running",
        "created_at": now,
    }
    columns = IdempotencyKey.__table__.c
    fresh = select(*(literal(value, columns[name].type) for name, value in values.items())).where(locked)
    statement = insert(IdempotencyKey).from_select(list(values), fresh, include_defaults=False)
    replaced = {name: statement.excluded[name] for name in ("fingerprint", "state", "created_at")}
    claimed = db.session.execute(
        statement.on_conflict_do_update(
            index_elements=["user_id", "scope", "key"],
            set_=replaced | {"payment_id": None, "refund_group": None, "result": None},
            where=and_(IdempotencyKey.state == "done", IdempotencyKey.created_at < now - RETENTION),
        ).returning(IdempotencyKey.key)
    ).scalar()
    db.session.info.pop(_ATTACHED, None)
    if claimed is not None:
        return None
    if not db.session.scalar(select(locked)):
        raise StillRunning()
    row = db.session.scalar(select(IdempotencyKey).where(*_mine(request_key)).execution_options(populate_existing=True))
    if row is None:  # its owner rolled back between the two statements
        raise StillRunning()
    if row.fingerprint != request_key.fingerprint:
        raise KeyReused()
    if row.result is None:
        raise StillRunning()
    return results.decode(row.result)


def attach(request_key: RequestKey, *, payment_id: int | None = None, refund_group: str | None = None) -> None:
    """Inside a unit of work: tie the key to the payment or the refunds whose outcomes will finish it."""
    values = {"payment_id": payment_id, "refund_group": refund_group}
    mark_attached(request_key)
    db.session.execute(update(IdempotencyKey).where(*_mine(request_key)).values(values), execution_options=_UNSYNCED)


def mark_attached(request_key: RequestKey) -> None:
    """Inside a unit of work: the key was tied to a payment, in the statement that wrote the payment."""
    db.session.info[_ATTACHED] = request_key


def finish(request_key: RequestKey, result: object) -> None:
    """Inside a unit of work, as its last step: store the result. A Pending one leaves the attached key running."""
    if isinstance(result, Pending) and db.session.info.pop(_ATTACHED, None) == request_key:
        return
    if isinstance(result, Pending) or not isinstance(result, Result):
        raise TypeError(f"A unit of work under a request key returns a Result, not {type(result).__name__}.")
    of_request = (request_key.user_id, request_key.scope, request_key.key)
    _store(result, "user_id = %s AND scope = %s AND key = %s", of_request)


def finish_payment(payment_id: int, result: Result) -> None:
    """Inside the unit of work that records a payment's outcome: store its result under every key attached to it."""
    _store(result, "state = 'running' AND payment_id = %s", (payment_id,))


def is_attached(payment_id: int | BindParameter[int]) -> ColumnElement[bool]:
    """SQL: a key waits for this payment's outcome. Keys are attached in the commit that starts the payment."""
    attached = select(IdempotencyKey.key).where(
        IdempotencyKey.state == "running", IdempotencyKey.payment_id == payment_id
    )
    return attached.exists()


def finish_refunds(refund_group: str, result: Result) -> None:
    """As `finish_payment`, for the refunds of one request."""
    _store(result, "state = 'running' AND refund_group = %s", (refund_group,))


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


def _store(result: Result, condition: str, values: tuple[Any, ...]) -> None:
    update_keys = f"UPDATE idempotency_keys SET result = %s, state = 'done' WHERE {condition}"  # noqa: S608 of this file
    session().queue.add_part(f"stored# AS ({update_keys})", (results.encode(result), *values))


def _mine(request_key: RequestKey) -> tuple[ColumnElement[bool], ...]:
    return (
        IdempotencyKey.user_id == request_key.user_id,
        IdempotencyKey.scope == request_key.scope,
        IdempotencyKey.key == request_key.key,
    )
