"""The outbox as its readers see it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select
from sqlalchemy.orm import contains_eager, undefer

from portal.domain.identifiers import MAX_ID
from portal.extensions import db
from portal.models import Email
from portal.reports import paging
from portal.reports.paging import Page

_PENDING = Email.state.in_(("waiting", "claimed"))


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many mails are still to be sent, and since when the oldest of them waits (None: none)."""

    depth: int
    oldest: datetime | None


def waiting() -> Waiting:
    """What is still to be sent, sent later included. Two index scans."""
    oldest = select(func.min(Email.created_at)).where(_PENDING).scalar_subquery()
    depth, since = db.session.execute(select(func.count(), oldest).select_from(Email).where(_PENDING)).one()
    return Waiting(depth, since)


def dead(limit: int = 50) -> list[Email]:
    """Mails that were given up, newest first, with who they are for."""
    found = _listed().where(Email.state == "dead").order_by(Email.id.desc()).limit(limit)
    return list(db.session.scalars(found))


def list_mails(
    *, state: str | None = None, limit: int = paging.DEFAULT_LIMIT, cursor: str | None = None
) -> Page[Email]:
    """All mails, or those in one state, newest first, with who they are for. Raises Invalid on `cursor`."""
    found = _listed()
    if state:
        found = found.where(Email.state == state)
    return paging.fetch(found, Email.id, descending=True, limit=limit, cursor=cursor)


def find(outbox_id: int) -> Email | None:
    """One mail with its text and HTML, and who it is for."""
    if not 0 < outbox_id <= MAX_ID:
        return None
    return db.session.scalars(
        _listed().where(Email.id == outbox_id).options(undefer(Email.body), undefer(Email.html))
    ).one_or_none()


def _listed() -> Select[Email]:
    return select(Email).join(Email.recipient).options(contains_eager(Email.recipient))
