"""The undo of a change of an account's email, by the link that the old address got.

It takes back what a thief of the account may have made: sessions, tokens and links, and the factors and the calendar's
address that were new when the email changed.
"""

from sqlalchemy import update

from portal.domain import clock, identifiers
from portal.errors import Invalid, NotFound
from portal.extensions import db
from portal.models import EmailProof, User
from portal.services import emails, security_events
from portal.services.accounts import api_keys, email_changes, passwords, registrations, sessions
from portal.services.security import second_factors
from portal.services.unit_of_work import end_reading, unit_of_work


def undo(token: str, *, new_password: str, revoke_keys: bool = False) -> int:
    """Give the account its old email back, with a new password, and end its sessions, API tokens and links.

    Removes the factors and the calendar's address that the account got within email_changes.UNDO before the change, or
    since. `revoke_keys` also revokes the API keys that the account made. Returns the user's id. Refuses: not_found (the
    link is unknown, used or lapsed); Invalid on new_password; busy.
    """
    change = email_changes.find(token)
    if change is None:
        raise NotFound("email_change")
    hints, email, old_email = passwords.hints_of(change.user), change.user.email, change.old_email
    end_reading()
    if faults := passwords.faults(new_password, hints=[*hints, old_email], field="new_password"):
        raise Invalid(*faults)
    return _undo(token, email, old_email, passwords.hash_password(new_password), revoke_keys)


@unit_of_work
def _undo(token: str, email: str, old_email: str, password_hash: str, revoke_keys: bool) -> int:
    for key in sorted({identifiers.email_key(email), identifiers.email_key(old_email)}):
        registrations.lock_email(key)
    change = email_changes.find(token)
    if change is None:
        raise NotFound("email_change")
    user = db.session.get_one(User, change.user_id, with_for_update={"key_share": True}, populate_existing=True)
    db.session.refresh(change, with_for_update=True)
    if change.ended_at is not None:
        raise NotFound("email_change")
    now = clock.now()
    change.ended_at = now
    email_changes.set_email(user, change.old_email, now)
    user.password_hash = password_hash
    proofs = update(EmailProof).where(EmailProof.user_id == user.id, EmailProof.ended_at.is_(None))
    db.session.execute(proofs.values(ended_at=now))
    sessions.end_access(user.id)
    since = change.created_at - email_changes.UNDO
    second_factors.remove_since(user.id, since)
    if user.calendar_made_at is not None and user.calendar_made_at >= since:
        user.calendar_hash = user.calendar_made_at = None
    if revoke_keys:
        api_keys.revoke_of(user.id)
    security_events.record("email_change_undone", user.id, change=change.id)
    emails.post(
        "email_change_undone",
        to_user_id=user.id,
        dedupe_key=f"email_change_undone:{change.id}",
        data={"change_id": change.id},
    )
    return user.id
