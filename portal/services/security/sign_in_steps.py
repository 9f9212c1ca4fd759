"""Sign-ins in two steps: the password was right, and the account has a second factor."""

import secrets
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, select

from portal.domain import clock
from portal.domain.tokens import digest
from portal.errors import Fault, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import SignInStep
from portal.models.security.second_factors import MAX_WRONG_CODES
from portal.services.security import second_factors
from portal.services.unit_of_work import unit_of_work

LIFETIME: Final = timedelta(minutes=10)


@unit_of_work
def start(user_id: int) -> str:
    """Begin the second step of a sign-in. Returns the token for the browser's cookie. Refuses: busy."""
    token, now = secrets.token_urlsafe(32), clock.now()
    db.session.add(SignInStep(user_id=user_id, token_hash=digest(token), created_at=now, expires_at=now + LIFETIME))
    return token


def find(token: str) -> SignInStep | None:
    """The sign-in of this token; None once it has ended or lapsed."""
    return db.session.scalar(SignInStep.live(digest(token), clock.now()))


def use_code(token: str, code: str) -> int:
    """End the second step with a code of the app or a recovery code. Returns the user's id.

    After MAX_WRONG_CODES wrong codes the password is asked for again.
    Refuses: sign_in_ended (unknown, lapsed, or too many wrong codes); Invalid on code (wrong or used before); busy.
    """
    outcome = _use_code(token, code)
    if isinstance(outcome, int):
        return outcome
    raise outcome


@unit_of_work
def _use_code(token: str, code: str) -> int | Invalid | Refused:
    """The account's id, or the refusal of a wrong code, which is counted in this commit."""
    step = db.session.scalar(SignInStep.live(digest(token), clock.now()).with_for_update(of=SignInStep))
    if step is None:
        return Refused("sign_in_ended")
    if second_factors.use_inside(step.user_id, code):
        step.ended_at = clock.now()
        return step.user_id
    step.wrong_codes += 1
    second_factors.note_wrong_code(step.user_id)
    if step.wrong_codes < MAX_WRONG_CODES:
        return Invalid(Fault("code", "wrong_code", about="sign_in"))
    step.ended_at = clock.now()
    return Refused("sign_in_ended", about="tries")


@unit_of_work
def end(token: str) -> int:
    """End the second step, whose factor was checked elsewhere. Returns the user's id. Refuses: not_found; busy."""
    step = db.session.scalar(SignInStep.live(digest(token), clock.now()).with_for_update(of=SignInStep))
    if step is None:
        raise NotFound()
    step.ended_at = clock.now()
    return step.user_id


@unit_of_work
def purge(limit: int = 10_000) -> int:
    """Delete at most `limit` lapsed steps. Returns how many."""
    old = select(SignInStep.id).where(SignInStep.expires_at < clock.now()).limit(limit)
    deleted = db.session.execute(delete(SignInStep).where(SignInStep.id.in_(old)).returning(SignInStep.id))
    return len(deleted.all())
