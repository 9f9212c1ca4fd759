"""Queue an email in the outbox, in the commit of the change that it reports. `mail/delivery.py` sends it.

The builders in `mail/` declare the kinds.
"""

import threading
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from flask import current_app
from sqlalchemy.dialects.postgresql import insert

from portal import logs, queue
from portal.domain import clock
from portal.extensions import db, session
from portal.models import Email
from portal.services.unit_of_work import after_commit

ENQUEUE_INTERVAL: Final = 1.0
"""Least seconds between two enqueued drains of a process. A drain sends all waiting emails, and the schedule runs it,
too."""

REQUEST_ID: Final = "request_id"
"""The key in a mail's `data` of the request that posted it."""


def post(
    kind: str,
    *,
    to_user_id: int | None = None,
    to_address: str | None = None,
    dedupe_key: str,
    merchant_id: int | None = None,
    plan_id: int | None = None,
    data: dict[str, Any] | None = None,
    not_before: datetime | None = None,
) -> None:
    """Inside a unit of work: queue an email of this kind to this user, once for each `dedupe_key`.

    `to_address` is the address in place of a user, for a reader who need not have an account.

    `dedupe_key` holds ASCII letters, digits and _ : - only, such as "receipt:17"; the Message-ID contains it.
    `merchant_id` is the merchant in whose name the email is written (None: the installation). `data` are plain facts
    that no row holds when the email is sent; the id of this request is added. `not_before` is an aware instant.
    Enqueues a drain after the commit.
    """
    row = _row(kind, to_user_id, to_address, dedupe_key, merchant_id, plan_id, data, not_before)
    session().queue.add_row("emails", row, "ON CONFLICT (dedupe_key) DO NOTHING")
    if row["next_try_at"] == row["created_at"]:
        after_commit(enqueue_drain)


def post_new(
    kind: str,
    *,
    to_user_id: int,
    dedupe_key: str,
    merchant_id: int | None = None,
    plan_id: int | None = None,
    data: dict[str, Any],
) -> bool:
    """Inside a unit of work: as `post`. Returns False when an email with this key exists."""
    row = _row(kind, to_user_id, None, dedupe_key, merchant_id, plan_id, data, None)
    statement = insert(Email).values(row).on_conflict_do_nothing(index_elements=["dedupe_key"])
    email_id = db.session.execute(statement.returning(Email.id)).scalar()
    if email_id is not None:
        after_commit(enqueue_drain)
    return email_id is not None


def _row(
    kind: str,
    to_user_id: int | None,
    to_address: str | None,
    dedupe_key: str,
    merchant_id: int | None,
    plan_id: int | None,
    data: dict[str, Any] | None,
    not_before: datetime | None,
) -> dict[str, Any]:
    now = clock.now()
    return {
        "kind": kind,
        "dedupe_key": dedupe_key,
        "to_user_id": to_user_id,
        "to_address": to_address,
        "merchant_id": merchant_id,
        "plan_id": plan_id,
        "data": {**(data or {}), **_request()},
        "state": "waiting",
        "attempts": 0,
        "next_try_at": max(now, not_before) if not_before is not None else now,
        "created_at": now,
    }


def post_all(kind: str, keys: Mapping[int, str], *, merchant_id: int, data: dict[str, Any]) -> set[int]:
    """Inside a unit of work: as `post`, one email to each user of `keys` (user id to dedupe key), in one statement.

    Returns the users whose email is new.
    """
    now = clock.now()
    shared = {"kind": kind, "merchant_id": merchant_id, "data": {**data, **_request()}, "state": "waiting"}
    rows = [
        {**shared, "to_user_id": user_id, "dedupe_key": key, "next_try_at": now, "created_at": now}
        for user_id, key in sorted(keys.items())
    ]
    if not rows:
        return set()
    statement = insert(Email).values(rows).on_conflict_do_nothing(index_elements=["dedupe_key"])
    posted = {user_id for user_id in db.session.scalars(statement.returning(Email.to_user_id)) if user_id is not None}
    if posted:
        after_commit(enqueue_drain)
    return posted


def _request() -> dict[str, str]:
    """The id of the request, for the log lines of the delivery."""
    request_id = logs.request_id()
    return {REQUEST_ID: request_id} if request_id is not None else {}


def url_of(email_id: int) -> str:
    """The address of the page that shows this email to users with access."""
    return f"{current_app.config['QIST'].public_url}/outbox/{email_id}"


class _Throttle:
    """Limits how often this process enqueues a drain."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = float("-inf")

    def allows(self) -> bool:
        with self._lock:
            if time.monotonic() - self._last < ENQUEUE_INTERVAL:
                return False
            self._last = time.monotonic()
            return True


_throttle = _Throttle()


def enqueue_drain() -> None:
    """Enqueue the job that sends waiting emails, at most once in ENQUEUE_INTERVAL. Never raises."""
    if _throttle.allows():
        queue.enqueue("drain_outbox")
