"""Deactivate an account: nobody signs in to it any more, and it gets mails about refunds and its security only.

Plans that the person owes stay, without automatic payment and reminders. The businesses of the person go on.
"""

from sqlalchemy import update

from portal.domain import clock
from portal.domain.permissions import Actor
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.models import ApiKey, User
from portal.services import emails, security_events
from portal.services.accounts import operators, sessions
from portal.services.dues import calendar_feeds
from portal.services.operations import acts
from portal.services.unit_of_work import unit_of_work


@unit_of_work
def deactivate(user_id: int, *, actor: Actor | None, reason: str) -> None:
    """Deactivate an account. Its sessions, API tokens, reset links, calendar's address and the API keys that it made
    end for good.

    `actor` is an operator; None: the command line. Refuses: forbidden; not_found; already_deactivated; own_account;
    last_operator; Invalid on reason; busy.
    """
    by = acts.require(actor)
    reason = acts.reason_of(reason)
    user = _lock(user_id)
    if user.deactivated_at is not None:
        raise Refused("already_deactivated")
    if user.id == by:
        raise Refused("own_account")
    if user.is_operator and operators.operator_ids() == [user.id]:
        raise Refused("last_operator")
    now = clock.now()
    user.deactivated_at = now
    calendar_feeds.end(user)
    sessions.end_access(user.id)
    db.session.execute(
        update(ApiKey).where(ApiKey.created_by == user.id, ApiKey.revoked_at.is_(None)).values(revoked_at=now)
    )
    security_events.record("account_deactivated", user.id, by=by)
    act_id = acts.record("account_deactivated", by=by, user=user, reason=reason)
    _tell("account_deactivated", user, act_id)


@unit_of_work
def reactivate(user_id: int, *, actor: Actor | None, reason: str) -> None:
    """Let the person sign in again. What ended with the deactivation stays ended.

    Refuses: forbidden; not_found; not_deactivated; Invalid on reason; busy.
    """
    by = acts.require(actor)
    reason = acts.reason_of(reason)
    user = _lock(user_id)
    if user.deactivated_at is None:
        raise Refused("not_deactivated")
    user.deactivated_at = None
    security_events.record("account_reactivated", user.id, by=by)
    act_id = acts.record("account_reactivated", by=by, user=user, reason=reason)
    _tell("account_reactivated", user, act_id)


def _lock(user_id: int) -> User:
    user = db.session.get(User, user_id, with_for_update={"key_share": True}, populate_existing=True)
    if user is None:
        raise NotFound()
    return user


def _tell(kind: str, user: User, act_id: int) -> None:
    """Mail the person, unless the record was never claimed: then its email is somebody who was only invited."""
    if user.is_claimed:
        emails.post(kind, to_user_id=user.id, dedupe_key=f"{kind}:{act_id}", data={"act_id": act_id})
