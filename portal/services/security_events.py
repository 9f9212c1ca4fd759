"""Record security events, in the commit of the change that they report, and in the log after it.

Entry points say where a request comes from (`arrived`); jobs and the command line say nothing.
"""

import contextlib
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog
from flask import current_app
from sqlalchemy import delete, or_, select, update

from portal import counters
from portal.domain import browsers, clock
from portal.extensions import db
from portal.models import SecurityEvent
from portal.models.security_events import SecurityKind
from portal.services.unit_of_work import after_commit, unit_of_work

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a request: the client's address and the short name of its browser, both "" if unknown."""

    address: str = ""
    browser: str = ""


NOWHERE: Final = Origin()

_origin: ContextVar[Origin] = ContextVar("origin", default=NOWHERE)


def arrived(address: str, user_agent: str) -> None:
    """The present request comes from this address and this browser (its User-Agent)."""
    _origin.set(Origin(address[:45], browsers.short(user_agent)))


def left() -> None:
    """The request is over: its thread serves others."""
    _origin.set(NOWHERE)


def origin() -> Origin:
    """The origin of the present request; NOWHERE in a job and on the command line."""
    return _origin.get()


def record(
    kind: SecurityKind,
    user_id: int | None,
    *,
    by: int | None = None,
    merchant_id: int | None = None,
    **facts: int | str | list[str] | None,
) -> None:
    """Inside a unit of work: write an event about this account, and log it after the commit.

    `by` is the person who acted (None: the account itself). `facts` are ids and codes, never a secret or a typed text.
    """
    here = origin()
    event = SecurityEvent(
        kind=kind,
        user_id=user_id,
        by_id=by if by != user_id else None,
        merchant_id=merchant_id,
        address=here.address,
        browser=here.browser,
        facts=facts,
        created_at=clock.now(),
    )
    db.session.add(event)
    line: dict[str, Any] = {
        "account": user_id,
        "by": event.by_id,
        "business": merchant_id,
        "address": here.address,
        "browser": here.browser,
        **facts,
    }
    after_commit(lambda: _write(kind, line))


def _write(kind: SecurityKind, line: dict[str, Any]) -> None:
    """Write the log line and count. A log that can't be written must not fail a change that is committed."""
    with contextlib.suppress(OSError, ValueError):
        counters.security_event(kind)
        log.info(f"security.{kind}", **line)


@unit_of_work
def record_alone(kind: SecurityKind, user_id: int | None, *, why: str | None = None) -> None:
    """Write an event that no other change goes with, such as a failed sign-in. Refuses: busy."""
    if why is None:
        record(kind, user_id)
    else:
        record(kind, user_id, why=why)


def erase_origins(user_id: int) -> None:
    """Inside a unit of work: erase address and browser from every event in which this person acted."""
    acted = or_(SecurityEvent.by_id == user_id, (SecurityEvent.user_id == user_id) & SecurityEvent.by_id.is_(None))
    db.session.execute(update(SecurityEvent).where(acted).values(address="", browser=""))


@unit_of_work
def purge(limit: int = 10_000) -> int:
    """Delete at most `limit` events older than SECURITY_EVENT_DAYS. Returns how many."""
    days: int = current_app.config["QIST"].security_event_days
    old = select(SecurityEvent.id).where(SecurityEvent.created_at < clock.now() - timedelta(days=days)).limit(limit)
    deleted = db.session.execute(delete(SecurityEvent).where(SecurityEvent.id.in_(old)).returning(SecurityEvent.id))
    return len(deleted.all())
