"""Reasons why a mail was not sent, by code, for the outbox and the operator's page."""

from typing import Final

from portal.wording.lazy import lazy_gettext as _l

MAIL_PROBLEMS: Final = {
    # The mail must not be sent any more
    "account_closed": _l("The account is closed."),
    "customer_changed": _l("The email of the plan was corrected since."),
    "merchant_deactivated": _l("The business is deactivated."),
    "dispute_over": _l("The dispute is over."),
    "change_ended": _l("The change of the email can't be undone any more."),
    "link_ended": _l("Its link was used, revoked or replaced."),
    "no_password": _l("This account has no password to reset."),
    "no_plan": _l("There is no plan that waits for this email."),
    "not_open": _l("What it was to pay is not open any more."),
    "not_refunded": _l("The refund did not happen."),
    "not_wanted": _l("It was not wanted any more when its time came."),
    "nothing_to_tell": _l("Nothing that happened since the last one is still true."),
    "nothing_owed": _l("Nothing is owed any more, or it was turned on again."),
    "owed_again": _l("Something is owed again."),
    "payment_stands": _l("The payment stands."),
    "payment_reversed": _l("The payment was taken back since."),
    "removal_ended": _l("The removal was stopped already, or it is done."),
    "code_lapsed": _l("The code lapsed, or it was used."),
    "nothing_waits": _l("No business waits for approval any more."),
    "plan_answered": _l("The customer accepted the plan, or said that it is not theirs."),
    "plan_closed": _l("The plan is closed."),
    "proof_ended": _l("Another proof took its place, or the email was proven meanwhile."),
    "registration_gone": _l("The registration that it was about is removed."),
    "proposal_over": _l("The proposal was answered, taken back, or is over."),
    "rescheduled_again": _l("The plan got other dates since."),
    "report_cleared": _l("An operator has looked at it already."),
    "too_old": _l("It was asked for too long ago."),
    "unknown_kind": _l("This version knows no mail of this kind."),
    "written_off": _l("Some of it was written off, so not all of it is paid."),
    # Its delivery failed
    "connection_broke": _l("The connection broke: %(detail)s"),
    "killed": _l("Whoever sent it was killed, each time."),
    "login_refused": _l("The mail server refuses the login (%(detail)s)."),
    "not_composed": _l("It could not be written or sent: %(detail)s"),
    "not_utf8": _l("The mail server can't send to addresses with such letters."),
    "server_said": _l("The mail server said: %(detail)s"),
    "unreachable": _l("The mail server can't be reached: %(detail)s"),
}
"""By `Email.last_error`. `detail` is `Email.error_detail`."""


def mail_problem(code: str, detail: str | None) -> str:
    """The reason in a sentence. Raises KeyError for an unknown code."""
    return str(MAIL_PROBLEMS[code] % {"detail": detail or ""})
