"""Mails about acts of operators: to the operators, to the owners of a business, to the person of an account."""

from typing import Final
from urllib.parse import urlsplit

from flask import current_app
from sqlalchemy import func, select

from portal.extensions import db
from portal.models import Email, Merchant, OperatorAct
from portal.services.accounts.operators import reads_like_another
from portal.services.mail.facts import Facts, NoLongerTrue, link, mail_kind
from portal.wording import labels
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.lazy import lazy_pgettext

TITLES: Final = {
    "merchant_approved": _l("%(business)s is approved"),
    "merchant_closed": _l("%(business)s is closed"),
    "merchant_deactivated": _l("%(business)s is deactivated"),
    "merchant_declined": _l("%(business)s was declined"),
    "merchant_reactivated": _l("%(business)s is active again"),
    "account_deactivated": _l("Your account is deactivated"),
    "account_reactivated": _l("Your account is active again"),
}
TEXTS: Final = {
    "merchant_approved": _l(
        "Your drafts become plans now, with the schedules that they had, and your customers are told."
    ),
    "merchant_closed": _l("Nothing is open any more. Your API keys have ended. You can sign in and read everything."),
    "merchant_deactivated": _l(
        "No plan can be made and nothing can be paid. Reminders and automatic payments stand still. You can sign in "
        "and read everything, and ask for refunds, which an operator releases. You can also object."
    ),
    "merchant_declined": _l(
        "An operator looked at your business and declined it. Your drafts stay drafts, and nothing was sent to "
        "anybody. If you think that this is wrong, write to %(contact)s."
    ),
    "merchant_reactivated": _l(
        "Plans, payments and reminders go on as before. Reminders that were missed meanwhile are not made up for."
    ),
    "account_deactivated": _l(
        "An operator of %(host)s deactivated your account. You can't sign in, and your sessions, tokens and API keys "
        "have ended. We write to you about refunds only. If you think that this is wrong, write to %(contact)s."
    ),
    "account_reactivated": _l(
        "You can sign in at %(host)s again, with the password that you had. API keys that ended have to be made anew."
    ),
}
"""The title and the text of a notice, by its kind."""


@mail_kind("operator_act", lazy_pgettext("kind of mail", "Act of an operator"))
def operator_act(row: Email) -> Facts:
    """An act of an operator, or an owner's objection, for every operator."""
    act = db.session.get(OperatorAct, row.data["act_id"])
    if act is None:
        raise NoLongerTrue("registration_gone")
    by = act.actor.display_name if act.actor else None
    return {
        "sentence": labels.operator_act(act.kind, by, subject_of(act), act.detail),
        "alike": act.kind == "merchant_renamed" and act.merchant is not None and reads_like_another(act.merchant),
        "reason": act.reason,
        "url": link(_path_of(act)),
    }


@mail_kind("merchants_waiting", lazy_pgettext("kind of mail", "Businesses that wait"))
def merchants_waiting(row: Email) -> Facts:
    """The number of businesses that wait for an operator's approval."""
    waiting = Merchant.approved_at.is_(None), Merchant.declined_at.is_(None), Merchant.deactivated_at.is_(None)
    count = db.session.scalar(select(func.count()).select_from(Merchant).where(*waiting)) or 0
    if not count:
        raise NoLongerTrue("nothing_waits")
    return {"count": count, "url": link("/operator/merchants?state=waiting")}


@mail_kind("merchant_approved", lazy_pgettext("kind of mail", "Business approved"), template="notice")
@mail_kind("merchant_deactivated", lazy_pgettext("kind of mail", "Business deactivated"), template="notice")
@mail_kind("merchant_declined", lazy_pgettext("kind of mail", "Business declined"), template="notice")
@mail_kind("merchant_reactivated", lazy_pgettext("kind of mail", "Business reactivated"), template="notice")
def merchant_notice(row: Email) -> Facts:
    """A decision of an operator about a business, for its owners."""
    act = db.session.get_one(OperatorAct, row.data["act_id"])
    url = link("/settings/objection" if act.kind == "merchant_deactivated" else "/plans")
    return _notice(act.kind, subject_of(act), act.reason, url)


@mail_kind("merchant_closed", lazy_pgettext("kind of mail", "Business closed"), template="notice")
def merchant_closed(row: Email) -> Facts:
    """The end of a business's wind-down, for its owners."""
    merchant = db.session.get_one(Merchant, row.data["merchant_id"])
    return _notice("merchant_closed", merchant.business_name, None, link("/plans"))


@mail_kind(
    "account_deactivated",
    lazy_pgettext("kind of mail", "Account deactivated"),
    template="notice",
    to_deactivated_accounts=True,
)
@mail_kind("account_reactivated", lazy_pgettext("kind of mail", "Account reactivated"), template="notice")
def account_notice(row: Email) -> Facts:
    """The deactivation of an account, or its end, for its person."""
    act = db.session.get_one(OperatorAct, row.data["act_id"])
    return _notice(act.kind, "", act.reason, link("/login") if act.kind == "account_reactivated" else None)


def _path_of(act: OperatorAct) -> str:
    if act.kind == "mail_resent":
        return f"/outbox/{act.detail}"
    if act.merchant_id is not None:
        return f"/operator/merchants/{act.merchant_id}"
    return f"/operator/accounts/{act.user_id}" if act.user_id is not None else "/operator"


def subject_of(act: OperatorAct) -> str:
    """The name of the business or the person of an act."""
    if act.merchant is not None:
        return act.merchant.business_name
    return act.user.display_name if act.user is not None else ""


def _notice(kind: str, business: str, reason: str | None, url: str | None) -> Facts:
    settings = current_app.config["QIST"]
    host = urlsplit(settings.public_url).netloc
    return {
        "title": TITLES[kind] % {"business": business},
        "text": TEXTS[kind] % {"host": host, "contact": settings.contact},
        "reason": reason,
        "url": url,
        "kind": kind,
    }
