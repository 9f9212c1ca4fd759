"""Recovery codes: ten codes that replace a lost factor, each once."""

import base64
import secrets
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, select, update

from portal.domain import clock
from portal.domain.tokens import digest
from portal.extensions import db
from portal.models import RecoveryCode

COUNT: Final = 10
_BYTES: Final = 15
"""120 random bits of a code, so a fast digest is enough."""
LENGTH: Final = 24
"""Letters and digits of a code, without its hyphens."""


def make_inside(user_id: int) -> list[str]:
    """Inside a unit of work: COUNT new codes in place of all others. They can't be read again."""
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    codes = [base64.b32encode(secrets.token_bytes(_BYTES)).decode().lower() for _ in range(COUNT)]
    now = clock.now()
    db.session.add_all(RecoveryCode(user_id=user_id, code_hash=digest(code), created_at=now) for code in codes)
    return ["-".join(code[start : start + 4] for start in range(0, LENGTH, 4)) for code in codes]


def use_inside(user_id: int, code: str) -> bool:
    """Inside a unit of work: whether this is an unused code of the account; it is used now. Two requests can't both
    use it: the second waits for the first one's row."""
    mine = RecoveryCode.user_id == user_id, RecoveryCode.code_hash == digest(code), RecoveryCode.used_at.is_(None)
    used = update(RecoveryCode).where(*mine).values(used_at=clock.now()).returning(RecoveryCode.id)
    return db.session.scalar(used) is not None


def end_inside(user_id: int, *, since: datetime | None = None) -> int:
    """Inside a unit of work: delete the account's codes, or those made at `since` or later. Returns how many."""
    mine = [RecoveryCode.user_id == user_id]
    if since is not None:
        mine.append(RecoveryCode.created_at >= since)
    return len(db.session.execute(delete(RecoveryCode).where(*mine).returning(RecoveryCode.id)).all())


def count_left(user_id: int) -> int:
    """The number of the account's unused codes."""
    unused = RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None)
    return db.session.scalar(select(func.count()).select_from(RecoveryCode).where(*unused)) or 0
