"""Forms that come back filled after a sign-in: to the same account, in the same browser, once, within LIFETIME.

They are encrypted. A form is never sent by itself, and the caller leaves passwords, codes and cards out.
"""

import json
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, select

from portal.domain import clock
from portal.domain.tokens import digest
from portal.extensions import db
from portal.models import KeptForm
from portal.services.security import sealing
from portal.services.unit_of_work import unit_of_work

LIFETIME: Final = timedelta(minutes=15)
MAX_LENGTH: Final = 20_000
"""Characters of a form that is kept; of a longer one, its page alone."""

MAX_FORMS: Final = 5
"""Forms that are kept for one account."""

Fields = Sequence[tuple[str, str]]


@unit_of_work
def keep(user_id: int, path: str, fields: Fields) -> str:
    """Keep a form of the page `path`. Returns the token for the browser's cookie. Refuses: busy.

    Keeps no field if the form is over MAX_LENGTH characters or holds a NUL or half a surrogate pair. An account's
    oldest forms beyond MAX_FORMS end.
    """
    token, now = secrets.token_urlsafe(32), clock.now()
    mine = select(KeptForm.id).where(KeptForm.user_id == user_id).order_by(KeptForm.id.desc()).offset(MAX_FORMS - 1)
    db.session.execute(delete(KeptForm).where(KeptForm.id.in_(mine)))
    is_usable = all(_is_text(part) for field in fields for part in field)
    text = json.dumps({"path": path, "fields": list(fields) if is_usable else []}, ensure_ascii=False)
    if len(text) > MAX_LENGTH:
        text = json.dumps({"path": path, "fields": []})
    sealed = sealing.seal("kept forms v1", text, about=str(user_id))
    db.session.add(
        KeptForm(user_id=user_id, token_hash=digest(token), sealed=sealed, created_at=now, expires_at=now + LIFETIME)
    )
    return token


def path_of(token: str) -> str | None:
    """The page of the form; None once the form came back or lapsed."""
    row = _find(token)
    return _open(row)[0] if row is not None else None


def take(token: str, user_id: int, path: str) -> Fields | None:
    """The fields of the form of this page and account, once. None for another page or account. Refuses: busy."""
    row = _find(token)
    if row is None or row.user_id != user_id or _open(row)[0] != path:
        return None
    return _take(token)


@unit_of_work
def _take(token: str) -> Fields | None:
    row = _find(token)
    if row is None:
        return None
    fields = _open(row)[1]
    gone = db.session.execute(delete(KeptForm).where(KeptForm.id == row.id).returning(KeptForm.id)).first()
    return fields if gone is not None else None


@unit_of_work
def purge(limit: int = 10_000) -> int:
    """Delete at most `limit` lapsed forms. Returns how many."""
    old = select(KeptForm.id).where(KeptForm.expires_at < clock.now()).limit(limit)
    deleted = db.session.execute(delete(KeptForm).where(KeptForm.id.in_(old)).returning(KeptForm.id))
    return len(deleted.all())


def _is_text(part: str) -> bool:
    return "\x00" not in part and not any("\ud800" <= sign <= "\udfff" for sign in part)


def _find(token: str) -> KeptForm | None:
    mine = KeptForm.token_hash == digest(token), KeptForm.expires_at > clock.now()
    return db.session.scalar(select(KeptForm).where(*mine))


def _open(row: KeptForm) -> tuple[str | None, Fields]:
    """Path and fields; nothing once no key of the installation opens the form."""
    try:
        kept = json.loads(sealing.unseal("kept forms v1", row.sealed, about=str(row.user_id)))
    except sealing.Unopenable:
        return None, []
    return kept["path"], [(str(name), str(value)) for name, value in kept["fields"]]
