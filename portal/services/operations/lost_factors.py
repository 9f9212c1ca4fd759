"""Lost second factors: an operator asks for their removal, the account is told at once, and a job does it a day later.

The mail's link stops it, so an operator alone, or somebody who deceived one, can't take the factors of an account that
its person still reads the mail of.
"""

import secrets
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Select, delete, select

from portal.domain import clock
from portal.domain.permissions import Actor
from portal.domain.tokens import digest
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.models import FactorRemoval, Passkey, TotpSecret, User
from portal.services import emails, security_events
from portal.services.accounts import email_changes, sessions
from portal.services.operations import acts
from portal.services.security import recovery_codes, second_factors
from portal.services.unit_of_work import end_reading, unit_of_work

WAIT: Final = timedelta(hours=24)


@unit_of_work
def ask(user_id: int, *, actor: Actor | None, reason: str) -> None:
    """Ask for the removal of all factors of an account, WAIT from now. The account and all operators are told at once.

    `actor` is an operator; None: the command line. Refuses: forbidden; not_found; own_account; no_factor;
    removal_waits; email_changed; Invalid on reason; busy.
    """
    by = acts.require(actor)
    reason = acts.reason_of(reason)
    user = db.session.get(User, user_id, with_for_update={"key_share": True}, populate_existing=True)
    if user is None:
        raise NotFound()
    if user.id == by:
        raise Refused("own_account")
    if not second_factors.is_on(user_id):
        raise Refused("no_factor")
    if waiting(user_id) is not None:
        raise Refused("removal_waits")
    email_changes.require_settled(user_id)
    now = clock.now()
    removal = FactorRemoval(user_id=user_id, created_at=now, due_at=now + WAIT)
    db.session.add(removal)
    db.session.flush()
    security_events.record("factor_removal_asked", user_id, by=by)
    acts.record("factor_removal_asked", by=by, user=user, reason=reason)
    key = f"factor_removal_asked:{removal.id}"
    emails.post("factor_removal_asked", to_user_id=user_id, dedupe_key=key, data={"removal_id": removal.id})


def waiting(user_id: int) -> FactorRemoval | None:
    """The removal that the account waits for."""
    mine = FactorRemoval.user_id == user_id, FactorRemoval.ended_at.is_(None)
    return db.session.scalar(select(FactorRemoval).where(*mine))


@unit_of_work
def issue(removal_id: int) -> str | None:
    """Make the link that stops this removal, in place of any before. Returns its token; None once it is over.

    The mail calls it.
    """
    removal = db.session.get(FactorRemoval, removal_id, with_for_update=True, populate_existing=True)
    if removal is None or removal.ended_at is not None:
        return None
    token = secrets.token_urlsafe(32)
    removal.token_hash = digest(token)
    return token


def find(token: str) -> FactorRemoval | None:
    """The removal of this token; None once it was stopped or done."""
    return db.session.scalar(FactorRemoval.open(digest(token), clock.now()))


@unit_of_work
def stop(token: str) -> None:
    """Stop the removal. Refuses: not_found (unknown, stopped, or too late); busy."""
    removal = db.session.scalar(FactorRemoval.open(digest(token), clock.now()).with_for_update(of=FactorRemoval))
    if removal is None:
        raise NotFound("factor_removal")
    removal.ended_at = clock.now()
    security_events.record("factor_removal_stopped", removal.user_id)


def remove_due(limit: int = 100) -> int:
    """Remove the factors of the accounts whose removal is due, at most `limit`. Returns how many. The job calls it."""
    ids = list(db.session.scalars(due_query(clock.now()).order_by(FactorRemoval.due_at).limit(limit)))
    end_reading()
    return sum(_remove(removal_id) for removal_id in ids)


def due_query(now: datetime) -> Select[int]:
    """The ids of the removals that are due."""
    return select(FactorRemoval.id).where(FactorRemoval.ended_at.is_(None), FactorRemoval.due_at <= now)


@unit_of_work
def _remove(removal_id: int) -> int:
    """Remove the factors and end every sign-in, but not while the old address can undo a change of the email."""
    removal = db.session.get(FactorRemoval, removal_id, with_for_update=True, populate_existing=True)
    if removal is None or removal.ended_at is not None or email_changes.open_until(removal.user_id) is not None:
        return 0
    removal.ended_at = clock.now()
    for table in (TotpSecret, Passkey):
        db.session.execute(delete(table).where(table.user_id == removal.user_id))
    recovery_codes.end_inside(removal.user_id)
    sessions.end_access(removal.user_id)
    security_events.record("factor_removed", removal.user_id, factor="all")
    second_factors.tell("factor_removed", removal.user_id, factor="all")
    return 1
