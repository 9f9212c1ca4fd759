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
    "factor_added": _l("%(name)s turned a second factor on: %(factor)s."),
    "factor_removed": _l("%(name)s turned a second factor off: %(factor)s."),
    "factor_failed": _l("A second factor of %(name)s was wrong."),
    "factor_removal_asked": _l("An operator asked for the removal of the second factors of %(name)s."),
    "factor_removal_stopped": _l("%(name)s stopped the removal of the second factors."),
    "sign_in_refused": _l("A sign-in to the account of %(name)s was refused after too many wrong ones."),
    "sign_ins_limited": _l("Sign-ins from one address were refused: there were too many in a short time."),
    "sign_in_code_mailed": _l("A code for signing in was mailed to %(name)s."),
    "recovery_codes_made": _l("%(name)s made new recovery codes."),
    "recovery_code_used": _l("%(name)s used a recovery code."),
    "books_closed": _l("%(name)s closed the books until %(until)s."),
    "account_renamed": _l("%(name)s changed the account “%(account)s” of the books."),
    "webhook_made": _l("%(by)s made the webhook endpoint %(endpoint)s."),
    "webhook_changed": _l("%(by)s changed the address of the webhook endpoint %(endpoint)s."),
    "webhook_rotated": _l("%(by)s gave the webhook endpoint %(endpoint)s a new secret."),
}
"""By kind. `name` is the account that the event is about, `by` the person who acted."""
FACTORS: Final = {"app": _l("an authenticator app"), "passkey": _l("a passkey"), "all": _l("all of them")}
"""By code, as they stand in a sentence."""
LIMIT_CHANGED: Final = _l("%(by)s changed the limit of refunds a day of %(name)s.")


def security_event(kind: str, facts: Mapping[str, Any], *, name: str | None, by: str | None) -> str:
    """A security event in a sentence. `name` is its account, `by` the person who acted, None for unknown ones."""
    values = {
        "name": name or _("an unknown account"),
        "by": by or _("an unknown account"),
        "endpoint": facts.get("endpoint", ""),
        "prefix": facts.get("prefix", ""),
        "factor": str(FACTORS[facts["factor"]]) if "factor" in facts else "",
        "until": dates.day(date.fromisoformat(facts["until"])) if "until" in facts else "",
        "account": account_name(facts["account"]) if "account" in facts else "",
        "role": labels.team_role(facts["role"]) if "role" in facts else "",
    }
    is_limit = kind == "member_changed" and facts.get("what") == "refund_limit"
    return str(LIMIT_CHANGED if is_limit else SENTENCES[kind]) % values
