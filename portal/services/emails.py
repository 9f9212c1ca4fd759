"""Put a mail into the outbox, in the commit of what it tells about. `services/mail/delivery.py` sends it.

Kinds and their facts are in `services/mail/content.py`. A kind whose sending has to be noted
somewhere (a reminder stands on the timeline) gets that noted in the commit that marks it sent.
"""

import threading
import time
from datetime import datetime
from typing import Any, Final

from flask import current_app
from sqlalchemy.dialects.postgresql import insert

from portal import queue
from portal.domain import clock
from portal.extensions import db
from portal.models import Email
from portal.services.unit_of_work import after_commit

RING_EVERY: Final = 1.0
"""Seconds between two rings of one process: a drain takes everything that waits, and the schedule looks anyway."""


def post(
    kind: str,
    *,
    to_user_id: int,
    dedupe_key: str,
    merchant_id: int | None = None,
    plan_id: int | None = None,
    data: dict[str, Any] | None = None,
    not_before: datetime | None = None,
) -> bool:
    """Inside a verb's transaction: a mail of this kind to this person, once for each `dedupe_key`.

    `dedupe_key` holds ASCII letters, digits and _ : - only, such as "receipt:17"; the mail's Message-ID is made of it.
    `merchant_id` is in whose name it is written (None: this installation's). `data` are plain facts that the rows can't
    give at the moment of sending. `not_before` is aware. Returns False when there was such a mail before. Workers are
    rung for after the commit.
    """
    now = clock.now()
    made = db.session.execute(
        insert(Email)
        .values(
            kind=kind,
            dedupe_key=dedupe_key,
            to_user_id=to_user_id,
            merchant_id=merchant_id,
            plan_id=plan_id,
            data=data or {},
            state="waiting",
            next_try_at=max(now, not_before) if not_before is not None else now,
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=["dedupe_key"])
        .returning(Email.id)
    ).scalar()
    if made is not None and (not_before is None or not_before <= now):
        after_commit(ring)
    return made is not None


def url_of(outbox_id: int) -> str:
    """Where this mail can be read, by those who may."""
    return f"{current_app.config['QIST'].public_url}/outbox/{outbox_id}"


class _Bell:
    """When this process rang last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rung = float("-inf")

    def is_due(self) -> bool:
        with self._lock:
            if time.monotonic() - self._rung < RING_EVERY:
                return False
            self._rung = time.monotonic()
            return True


_bell = _Bell()


def ring() -> None:
    """Ask a worker to send what waits. At most once a second, never raising."""
    if _bell.is_due():
        queue.enqueue("drain_outbox")
