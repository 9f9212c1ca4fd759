"""A request that is sent again is carried out once, and answered the same."""

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

KEPT: Final = timedelta(hours=24)
PATIENCE: Final = 3.0
"""Seconds to wait for the same request that runs elsewhere."""
_STEP: Final = 0.05


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Who asked for what, under which key.

    `scope` is the method and address, `fingerprint` a digest of the body. `render` turns the verb's result into the
    status and body that are stored with the effect; without it the next replay renders its own answer.
    """

    user_id: int
    scope: str
    key: str
    fingerprint: str
    render: Callable[[Any], tuple[int, bytes]] | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """This was done before. `status` and `body` are None when no answer was stored: render it from `payment_id`, or
    from the refunds of `refund_group`.
    """

    payment_id: int | None
    status: int | None
    body: bytes | None
    refund_group: str | None = None


class KeyReused(Refused):
    """The same key came with another body."""

    status = 422

    def __init__(self) -> None:
        super().__init__("idempotency_key_reused", "This key was already used for another request.")


def fingerprint(*parts: object) -> str:
    """A digest (64 hex digits) of what was asked for."""
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()


def claim(request_key: RequestKey) -> Replay | None:
    """Inside a verb's transaction, before anything else: take the key, or say what it was used for.

    Raises KeyReused for another body, StillRunning while a transaction is taking the same key right now or a payment
    under this key has no outcome yet: waiting in the database would hold a connection (see `patiently`).
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
        delete(IdempotencyKey).where(*mine, IdempotencyKey.state == "done", IdempotencyKey.created_at < now - KEPT)
    )
    taken = db.session.execute(
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
    if taken is not None:
        return None
    row = db.session.scalars(select(IdempotencyKey).where(*mine).execution_options(populate_existing=True)).one()
    if row.fingerprint != request_key.fingerprint:
        raise KeyReused()
    if row.state == "running":
        raise StillRunning()
    return Replay(row.payment_id, row.reply_status, row.reply_body, row.refund_group)


def attach(request_key: RequestKey, payment_id: int) -> None:
    """Inside a verb's transaction: this key stands for that payment, whose outcome is not known yet."""
    _row(request_key).payment_id = payment_id


def attach_refunds(request_key: RequestKey, group_key: str) -> None:
    """Inside a verb's transaction: this key stands for those refunds, whose outcome is not known yet."""
    _row(request_key).refund_group = group_key


def store(request_key: RequestKey, result: Any) -> None:
    """Inside a verb's transaction, last of all: done, with the answer if the caller renders one."""
    db.session.flush()
    row = _row(request_key)
    if row.state == "done":
        return
    if request_key.render is not None:
        row.reply_status, row.reply_body = request_key.render(result)
    row.state = "done"


@unit_of_work
def keep(request_key: RequestKey, status: int, body: bytes) -> tuple[int, bytes]:
    """Store the answer to a request whose outcome became known after its caller had gone, unless one is stored.

    Returns what stands there now, so that everybody who asks again gets the same.
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
    """Inside a verb's transaction: whoever asked for this payment is gone; the next replay renders the answer."""
    rows = select(IdempotencyKey).where(IdempotencyKey.payment_id == payment_id, IdempotencyKey.state == "running")
    for row in db.session.scalars(rows):
        row.state = "done"


def finish_refunds(group_key: str) -> None:
    """Inside a verb's transaction: as `finish_payment`, for the refunds of one request."""
    found = select(IdempotencyKey).where(IdempotencyKey.refund_group == group_key, IdempotencyKey.state == "running")
    for row in db.session.scalars(found):
        row.state = "done"


def patiently(attempt: Callable[[], R], may_wait: Callable[[Refused, float], bool] | None = None) -> R:
    """Call `attempt` (a verb) again and again for PATIENCE seconds while it says StillRunning.

    Another refusal is waited out as well while `may_wait` says so; it is told how many seconds have passed. A verb that
    raises has rolled back, so no connection and no transaction is held in between.
    """
    began = time.monotonic()
    while True:
        try:
            return attempt()
        except Refused as refused:
            waited = time.monotonic() - began
            if waited >= PATIENCE:
                raise
            if not isinstance(refused, StillRunning) and (may_wait is None or not may_wait(refused, waited)):
                raise
            time.sleep(_STEP)


@unit_of_work
def purge(limit: int = 10_000) -> int:
    """Forget keys older than 24 hours, at most `limit` of them. Returns how many went."""
    old = (
        select(IdempotencyKey.user_id, IdempotencyKey.scope, IdempotencyKey.key)
        .where(IdempotencyKey.created_at < clock.now() - KEPT, IdempotencyKey.state == "done")
        .limit(limit)
    )
    columns = (IdempotencyKey.user_id, IdempotencyKey.scope, IdempotencyKey.key)
    gone = db.session.execute(delete(IdempotencyKey).where(tuple_(*columns).in_(old)).returning(IdempotencyKey.key))
    return len(gone.all())


def _row(request_key: RequestKey) -> IdempotencyKey:
    return db.session.get_one(IdempotencyKey, (request_key.user_id, request_key.scope, request_key.key))
