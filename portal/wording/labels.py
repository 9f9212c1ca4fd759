"""Labels by code: states, figures, intervals, payment methods, decline reasons.

Pages, the JSON API and mails share them. Services and rows hold codes only.
"""

from typing import Final

from flask_babel import gettext as _
from flask_babel import ngettext

from portal.wording.lazy import lazy_gettext as _l
from portal.wording.lazy import lazy_pgettext
from portal.wording.lists import listed

STATES: Final = {
    "active": lazy_pgettext("state of a plan", "Active"),
    "overdue": lazy_pgettext("state of a plan", "Overdue"),
    "completed": lazy_pgettext("state of a plan", "Completed"),
    "pending": lazy_pgettext("state of an installment", "Open"),
    "open": lazy_pgettext("state of an installment", "Open"),
    "late": lazy_pgettext("state of an installment", "Late"),
    "paid": lazy_pgettext("state of an installment", "Paid"),
    "waived": lazy_pgettext("state of an installment", "Waived"),
    "replaced": lazy_pgettext("state of an installment", "Replaced"),
    "cancelled": lazy_pgettext("state of a plan or an installment", "Cancelled"),
    "written_off": lazy_pgettext("state of an installment", "Written off"),
    "checking": lazy_pgettext("state of a payment", "Checking"),
    "succeeded": lazy_pgettext("state of a payment", "Succeeded"),
    "declined": lazy_pgettext("state of a payment", "Declined"),
    "in_flight": lazy_pgettext("state of a payment", "Checking"),
    "unknown": lazy_pgettext("state of a payment", "Checking"),
    "received": lazy_pgettext("state of a payment", "Received"),
    "refunded": lazy_pgettext("state of a payment", "Refunded"),
    "reversed": lazy_pgettext("state of a payment", "Bounced"),
    "voided": lazy_pgettext("state of a payment", "Voided"),
    "invited": lazy_pgettext("state of an account", "Invited"),
    "unaccepted": lazy_pgettext("state of a plan", "Awaiting acceptance"),
    "disputed": lazy_pgettext("state of a plan", "Disputed"),
    "unopened": _l("Link not opened"),
}
"""By the state of a plan, an installment, a payment or an account, as badges and filters show it."""
FIGURES: Final = {
    "total": _l("Total"),
    "credited": _l("Credited"),
    "paid": lazy_pgettext("amount", "Paid"),
    "refunded": lazy_pgettext("amount", "Refunded"),
    "refunding": _l("On its way back"),
    "written_off": lazy_pgettext("amount", "Written off"),
    "remaining": _l("Remaining"),
}
"""By the name in PlanFigures, in the order of the plan's page."""
INTERVALS: Final = {
    "weekly": _l("every week"),
    "biweekly": _l("every two weeks"),
    "monthly": _l("every month"),
    "custom": _l("on agreed days"),
}
"""By `portal.domain.schedule.PlanInterval`, as part of a sentence."""
CLOSED_BY: Final = {
    "paid": lazy_pgettext("why a plan is closed", "Paid"),
    "cancel": lazy_pgettext("why a plan is closed", "Cancelled"),
    "write_off": lazy_pgettext("why a plan is closed", "Written off"),
    "refund": lazy_pgettext("why a plan is closed", "Refunded"),
}
"""By `portal.models.plans.plans.ClosedBy`."""
INTERVAL_CHOICES: Final = {"weekly": _l("Every week"), "biweekly": _l("Every two weeks"), "monthly": _l("Every month")}
"""The same, as the choices of a form."""
OPERATOR_ACTS: Final = {
    "set_up": _l("%(by)s set up the installation with %(subject)s."),
    "merchant_approved": _l("%(by)s approved %(subject)s."),
    "merchant_declined": _l("%(by)s declined %(subject)s."),
    "merchant_deactivated": _l("%(by)s deactivated %(subject)s."),
    "merchant_reactivated": _l("%(by)s reactivated %(subject)s."),
    "merchant_objected": _l("%(by)s objected for %(subject)s."),
    "merchant_renamed": _l("%(by)s changed the name of %(subject)s, which was %(detail)s."),
    "account_deactivated": _l("%(by)s deactivated the account of %(subject)s."),
    "account_reactivated": _l("%(by)s reactivated the account of %(subject)s."),
    "factor_removal_asked": _l("%(by)s asked for the removal of the second factors of %(subject)s."),
    "refund_released": _l("%(by)s released a refund of %(subject)s."),
    "refund_withheld": _l("%(by)s withheld a refund of %(subject)s."),
    "mail_resent": _l("%(by)s had mail %(detail)s sent again, which had failed."),
    "job_retried": _l("%(by)s started the failed job %(detail)s again."),
    "job_cleared": _l("%(by)s took the failed job %(detail)s off the list."),
    "jobs_cleared": _l("%(by)s emptied the list of failed jobs."),
}
"""By the kind of an act of an operator. `by` is the operator, or the owner who objects."""
STANDINGS: Final = {
    "draft": lazy_pgettext("state of a business", "Waits for approval"),
    "declined": lazy_pgettext("state of a business", "Declined"),
    "live": lazy_pgettext("state of a business", "Active"),
    "deactivated": lazy_pgettext("state of a business or an account", "Deactivated"),
    "closing": lazy_pgettext("state of a business", "Closing"),
    "closed": lazy_pgettext("state of a business", "Closed"),
}
"""By the standing of a business (domain/permissions.py); `declined` is a draft that an operator declined."""
MANUAL_METHODS: Final = {"cash": _l("Cash"), "transfer": _l("Bank transfer")}
"""The methods of a manual payment."""
MANUAL_METHODS_INLINE: Final = {
    "cash": lazy_pgettext("in a sentence", "cash"),
    "transfer": lazy_pgettext("in a sentence", "bank transfer"),
}
"""The same, as part of a sentence."""
TEAM_ROLES: Final = {
    "owner": lazy_pgettext("role in a team", "Owner"),
    "manager": lazy_pgettext("role in a team", "Manager"),
    "collector": lazy_pgettext("role in a team", "Collector"),
    "viewer": lazy_pgettext("role in a team", "Viewer"),
}
"""By `portal.domain.permissions.Role`."""
ROLE_PERMISSIONS: Final = {
    "owner": _l("May do everything, also manage the team and API keys."),
    "manager": _l("May make plans, collect, refund and change settings."),
    "collector": _l("May record payments and remind. Makes no plans and no refunds."),
    "viewer": _l("May look at everything and download it. Changes nothing."),
}
"""The same: what the role permits, in a sentence."""
NOTICES: Final = {
    "paid": _l("Payments received"),
    "completed": _l("Plans paid in full"),
    "refunded": _l("Refunds"),
    "declined": _l("Payments declined"),
    "automatic": _l("Automatic payments that failed or stopped"),
    "late": _l("Payments late for a week"),
    "bounced": _l("The bank takes a payment back"),
    "accepted": _l("A customer accepts a plan, or does not in time"),
    "disputed": _l("A customer says that a plan is not theirs, and how it ends"),
    "withdrawn": _l("A customer withdraws from a plan"),
    "digest": _l("The mail with all news"),
}
"""The notices to the members of a business, and the digest."""
PERMISSIONS: Final = {
    "record_payment": _l("Record payments"),
    "remind": _l("Send reminders"),
    "note": _l("Write notes"),
    "create_plans": _l("Make plans"),
    "invite": _l("Invite customers"),
    "credit": _l("Give credits"),
    "write_off": _l("Write off"),
    "cancel": _l("Cancel plans"),
    "void": _l("Void recorded payments"),
    "refund": _l("Refund, within its limit"),
}
"""By `portal.domain.permissions.GIVEN_TO_KEYS`."""
NO_CONNECTION: Final = _l("No connection")
WEBHOOK_PROBLEMS: Final = {
    "refused_address": _l("Its name leads to an address to which nothing is sent."),
    "no_address": _l("Its name has no address."),
    "no_connection": NO_CONNECTION,
    "bad_certificate": _l("Its certificate is not valid."),
    "timeout": _l("No answer within 10 seconds"),
    "broken_answer": _l("Its answer can’t be read."),
}
"""Why a webhook got no answer, by the code of gateways/webhooks.py."""


def state(code: str) -> str:
    """The label of a badge: "Active", "Late", "Checking". Raises KeyError for an unknown state."""
    return str(STATES[code])


def figure(name: str, void: bool = False) -> str:
    """The label of a plan's amount. `void`: the plan is cancelled, and "credited" includes the void amount."""
    return str(_("Credited or void") if void and name == "credited" else FIGURES[name])


def operator_act(kind: str, by: str | None, subject: str, detail: str | None = None) -> str:
    """An act of an operator in a sentence. `by` is a name; None for the command line. An erased detail is a dash."""
    who = {"by": by or _("The command line"), "subject": subject, "detail": detail or "–"}
    return str(OPERATOR_ACTS[kind] % who)


def standing(code: str) -> str:
    """The label of a business's standing: "Waits for approval", "Active"."""
    return str(STANDINGS[code])


def interval(code: str) -> str:
    """ "every two weeks", as part of a sentence."""
    return str(INTERVALS[code])


def rescheduled(how: str, amount: str, num: int) -> str:
    """ "SAR 9.00 split over 3 new installments", by `portal.domain.rescheduling.Change`."""
    if how == "move":
        return str(_("%(amount)s moved to another day", amount=amount))
    if how == "shift":
        return str(_("%(amount)s shifted to other days", amount=amount))
    return str(
        ngettext(
            "%(amount)s put into %(num)s new installment",
            "%(amount)s split over %(num)s new installments",
            num,
            amount=amount,
        )
    )


def manual_method(code: str) -> str:
    """ "Cash" or "Bank transfer"."""
    return str(MANUAL_METHODS[code])


def manual_method_inline(code: str) -> str:
    """ "cash" or "bank transfer", as part of a sentence."""
    return str(MANUAL_METHODS_INLINE[code])


def webhook_problem(code: str | None) -> str:
    """Why a webhook got no answer, in a sentence."""
    return str(WEBHOOK_PROBLEMS.get(code or "", NO_CONNECTION))


def team_role(code: str) -> str:
    """ "Manager": the role of a member of a team."""
    return str(TEAM_ROLES[code])


def permission(code: str) -> str:
    """A permission of an API key: "Make plans"."""
    return str(PERMISSIONS[code])


def permissions_of_key(codes: list[str]) -> str:
    """The permissions of an API key: "Read, Make plans and Invite customers"."""
    return listed([str(_("Read")), *(permission(code) for code in codes)]) if codes else str(_("Read only"))


def role_permissions(code: str) -> str:
    """The permissions of a role of a team, in a sentence."""
    return str(ROLE_PERMISSIONS[code])


def card_ending(brand: str, last4: str) -> str:
    """ "Visa ending in 4242" """
    return str(_("%(brand)s ending in %(last4)s", brand=brand, last4=last4))
