"""Security events in words."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from flask_babel import gettext as _

from portal.wording import dates, labels
from portal.wording.accounts import account_name
from portal.wording.lazy import lazy_gettext as _l

SENTENCES: Final = {
    "signed_in": _l("%(name)s signed in."),
    "sign_in_failed": _l("A sign-in to the account of %(name)s failed."),
    "signed_out": _l("%(name)s signed out."),
    "session_ended": _l("%(name)s signed out another browser."),
    "sessions_ended": _l("%(name)s signed out other browsers and programs."),
    "password_confirmed": _l("%(name)s typed the password again."),
    "password_changed": _l("%(name)s changed the password."),
    "password_reset_asked": _l("A link for a new password was asked for and mailed to %(name)s."),
    "password_reset": _l("%(name)s set a new password with a mailed link."),
    "email_proven": _l("%(name)s proved the email."),
    "record_claimed": _l("%(name)s proved the email and took over the plans that waited for it."),
    "email_changed": _l("%(name)s changed the email."),
    "email_change_undone": _l("The old email undid its change, and %(name)s has a new password."),
    "key_made": _l("%(by)s made the API key qist_%(prefix)s."),
    "key_revoked": _l("%(by)s revoked the API key qist_%(prefix)s."),
    "token_made": _l("%(name)s signed in over the API."),
    "token_reused": _l("A refresh token of %(name)s was used again, so its sign-in over the API ended."),
    "token_revoked": _l("%(name)s ended a sign-in over the API."),
    "member_invited": _l("%(by)s invited somebody to the team as %(role)s."),
    "invitation_revoked": _l("%(by)s revoked an invitation to the team."),
    "member_joined": _l("%(name)s joined the team as %(role)s."),
    "member_changed": _l("%(by)s changed the role of %(name)s to %(role)s."),
    "member_removed": _l("%(by)s removed %(name)s from the team."),
    "member_left": _l("%(name)s left the team."),
    "account_deactivated": _l("An operator deactivated the account of %(name)s."),
    "account_reactivated": _l("An operator reactivated the account of %(name)s."),
    "books_closed": _l("%(name)s closed the books until %(until)s."),
    "account_renamed": _l("%(name)s changed the account “%(account)s” of the books."),
}
"""By kind. `name` is the account that the event is about, `by` the person who acted."""
LIMIT_CHANGED: Final = _l("%(by)s changed the limit of refunds a day of %(name)s.")


def security_event(kind: str, facts: Mapping[str, Any], *, name: str | None, by: str | None) -> str:
    """A security event in a sentence. `name` is its account, `by` the person who acted, None for unknown ones."""
    values = {
        "name": name or _("an unknown account"),
        "by": by or _("an unknown account"),
        "prefix": facts.get("prefix", ""),
        "until": dates.day(date.fromisoformat(facts["until"])) if "until" in facts else "",
        "account": account_name(facts["account"]) if "account" in facts else "",
        "role": labels.team_role(facts["role"]) if "role" in facts else "",
    }
    is_limit = kind == "member_changed" and facts.get("what") == "refund_limit"
    return str(LIMIT_CHANGED if is_limit else SENTENCES[kind]) % values
