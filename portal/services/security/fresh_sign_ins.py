"""Fresh sign-ins: acts that a stolen session must not reach want the password again after FRESH, and the second factor.

The form that was sent meanwhile comes back (kept_forms.py).
"""

from datetime import timedelta
from typing import Final

from portal.domain import clock
from portal.errors import Fault, Invalid, NotFound
from portal.extensions import db
from portal.models import User, UserSession
from portal.services import security_events
from portal.services.accounts import passwords
from portal.services.security import second_factors
from portal.services.unit_of_work import end_reading, unit_of_work

FRESH: Final = timedelta(minutes=15)
"""The time after a password was typed for which a session is fresh."""


def is_fresh(session: UserSession) -> bool:
    """The password was typed in this session less than FRESH ago."""
    return session.confirmed_at > clock.now() - FRESH


def confirm(session_id: int, password: str, code: str = "") -> None:
    """Make the session fresh. `code` counts for an account with a second factor.

    Refuses: not_found; Invalid on password (wrong) or code (wrong, or used before); busy.
    """
    session = db.session.get(UserSession, session_id)
    if session is None:
        raise NotFound()
    user_id, hashed = session.user_id, db.session.get_one(User, session.user_id).password_hash
    end_reading()
    if not passwords.verify(password, hashed):
        security_events.record_alone("sign_in_failed", user_id, why="confirmation")
        raise Invalid(Fault("password", "wrong_password"))
    if not _confirm(session_id, code):
        raise Invalid(Fault("code", "wrong_code", about="sign_in"))


@unit_of_work
def confirm_by_passkey(session_id: int) -> None:
    """Make the session fresh. The caller has checked a passkey of its account, whose device knew the person.

    Refuses: not_found; busy.
    """
    session = _lock(session_id)
    session.confirmed_at = clock.now()
    security_events.record("password_confirmed", session.user_id)


@unit_of_work
def _confirm(session_id: int, code: str) -> bool:
    session = _lock(session_id)
    if second_factors.is_on(session.user_id) and not second_factors.use_inside(session.user_id, code):
        second_factors.note_wrong_code(session.user_id)
        return False
    session.confirmed_at = clock.now()
    security_events.record("password_confirmed", session.user_id)
    return True


def _lock(session_id: int) -> UserSession:
    session = db.session.get(UserSession, session_id, with_for_update=True, populate_existing=True)
    if session is None:
        raise NotFound()
    return session
