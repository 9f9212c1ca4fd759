"""Lists of mails, for the pages of the outbox."""

from sqlalchemy import Select, select
from sqlalchemy.orm import contains_eager, undefer

from portal.domain.identifiers import MAX_ID
from portal.extensions import db
from portal.models import Email
from portal.reports import paging
from portal.reports.paging import Page


def list_mails(
    *, state: str | None = None, limit: int = paging.DEFAULT_LIMIT, cursor: str | None = None
) -> Page[Email]:
    """The mails with their recipients, newest first. `state` is one of EMAIL_STATES. Refuses: bad_cursor (Invalid)."""
    query = _with_recipients()
    if state:
        query = query.where(Email.state == state)
    return paging.fetch(query, Email.id, descending=True, limit=limit, cursor=cursor)


def find(email_id: int) -> Email | None:
    """One mail with its text, HTML and recipient, or None."""
    if not 0 < email_id <= MAX_ID:
        return None
    return db.session.scalars(
        _with_recipients().where(Email.id == email_id).options(undefer(Email.body), undefer(Email.html))
    ).one_or_none()


def _with_recipients() -> Select[Email]:
    return select(Email).outerjoin(Email.recipient).options(contains_eager(Email.recipient))
