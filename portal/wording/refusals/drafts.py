"""Why a draft could not become a plan, by the code that the draft keeps."""

from typing import Final

from portal.wording.lazy import lazy_gettext as _l

DRAFT_FAULTS: Final = {
    "blocked": _l("This person takes no new plans from your business at present."),
    "bad_email": _l("A plan can't be made for this email."),
    "bad_dates": _l("Its due dates are out of range."),
    "currency_changed": _l("Your currency has changed since it was saved."),
    "forbidden": _l("The person who sent it may not make plans any more. Send it again."),
    "mail_limit": _l("This address got enough mails for today. It follows by itself."),
    "plan_limit": _l("Your business has invited as many customers as it may in a day. It follows by itself."),
    "external_id_used": _l("Another plan has its number."),
    "not_a_customer": _l("A plan can't be made for this email."),
}
"""By `PlanDraft.fault`."""
OTHER: Final = _l("It could not be made a plan. It is tried again every hour.")


def draft_fault(code: str) -> str:
    """The reason in a sentence."""
    return str(DRAFT_FAULTS.get(code, OTHER))
