"""Mails about accounts: invitations, corrected emails, reports of unknown shops, proofs, and password resets."""

from datetime import timedelta
from typing import Final

from flask_babel import gettext as _
from sqlalchemy import func, select

from portal.domain import clock, money
from portal.extensions import db
from portal.models import Email, EmailChange, EmailProof, Invitation, Plan, ShopReport, User
from portal.services.accounts import email_changes, password_resets, proofs
from portal.services.mail.facts import Facts, NoLongerTrue, link, mail_kind, plan_of, progress, purchase, sender
from portal.services.plans import invitations
from portal.wording import dates, labels
from portal.wording.lazy import lazy_pgettext

SCHEDULE_ROWS: Final = 6
"""Installments that an invitation lists."""


@mail_kind("invitation", lazy_pgettext("kind of mail", "Invitation"))
def invitation(row: Email) -> Facts:
    """The invitation to a plan, with the link that exists, or a new one when its token can't be derived any more."""
    target = db.session.get_one(Invitation, row.data["invitation_id"], populate_existing=True)
    if db.session.get_one(Plan, target.plan_id).disputed:
        raise NoLongerTrue("plan_answered")
    token = invitations.token_of(target)
    if token is None and db.session.scalar(Invitation.live(target.token_hash, clock.now())) is not None:
        reissued = invitations.reissue(row.user_id, plan_id=target.plan_id)
        token = reissued[1] if reissued is not None else None
    if token is None:
        raise NoLongerTrue("link_ended")
    return _invited(row, target.plan_id, token, again=False)


@mail_kind("invitation_again", lazy_pgettext("kind of mail", "Invitation again"), template="invitation")
def invitation_again(row: Email) -> Facts:
    """The same invitation, requested by the customer again."""
    reissued = invitations.reissue(row.user_id)
    if reissued is None:
        raise NoLongerTrue("no_plan")
    return _invited(row, *reissued, again=True)


@mail_kind("plan_not_yours", lazy_pgettext("kind of mail", "Plan was not yours"))
def plan_not_yours(row: Email) -> Facts:
    """The business corrected the email of a plan: for the former address, without the purchase."""
    return {"total": money.show(row.data["total"], row.data["currency"])}


@mail_kind("plan_yours", lazy_pgettext("kind of mail", "Plan is yours"))
def plan_yours(row: Email) -> Facts:
    """The business corrected the email of a plan: for the new address, which has an account."""
    plan, rows = plan_of(row.plan_id)
    return progress(rows) | {
        "purchase": purchase(plan),
        "total": money.show(plan.total, plan.currency),
        "installments": plan.num_installments,
        "interval": labels.interval(plan.interval),
        "url": link(f"/plans/{plan.id}"),
    }


@mail_kind("shop_reported", lazy_pgettext("kind of mail", "Shop reported"))
def shop_reported(row: Email) -> Facts:
    """For an operator: a customer does not know the shop that made a plan for them."""
    report = db.session.get_one(ShopReport, row.data["report_id"])
    if report.cleared_at is not None:
        raise NoLongerTrue("report_cleared")
    count = select(func.count()).select_from(ShopReport).where(ShopReport.merchant_id == report.merchant_id)
    return {
        "business": report.merchant.business_name,
        "count": db.session.scalar(count) or 0,
        "url": link("/operator#shop-reports"),
    }


@mail_kind("shop_report_cleared", lazy_pgettext("kind of mail", "Report of a shop cleared"), template="notice")
def shop_report_cleared(row: Email) -> Facts:
    """For every operator: one of them found nothing wrong with a shop that was reported."""
    report = db.session.get_one(ShopReport, row.data["report_id"])
    who = {"business": report.merchant.business_name}
    operator = db.session.get_one(User, report.cleared_by).display_name
    return {
        "title": _("A report about %(business)s is off the list", **who),
        "text": _(
            "%(operator)s looked at %(business)s and found nothing wrong with it. Reminders of the plan go on.",
            operator=operator,
            **who,
        ),
        "reason": None,
        "url": None,
        "kind": row.kind,
    }


@mail_kind("password_reset", lazy_pgettext("kind of mail", "Password reset"))
def password_reset(row: Email) -> Facts:
    """The link that sets a new password."""
    if row.created_at < clock.now() - password_resets.MAX_REQUEST_AGE:
        raise NoLongerTrue("too_old")
    token = password_resets.make(row.user_id)
    if token is None:
        raise NoLongerTrue("no_password")
    return {"url": link(f"/password-resets/{token}"), "secret": (token,)}


@mail_kind("email_proof", lazy_pgettext("kind of mail", "Proof of an email"))
def email_proof(row: Email) -> Facts:
    """The link and the code that prove the email of a registration, or the new email of an account."""
    proof = _proof_of(row)
    issued = proofs.issue(proof.id)
    if issued is None:
        raise NoLongerTrue("proof_ended")
    user = db.session.get_one(User, row.to_user_id, populate_existing=True)
    return {
        **_asked(row),
        "is_change": user.is_proven,
        "code": issued.code,
        "minutes": proofs.LIFETIME // timedelta(minutes=1),
        "url": link(f"/email-proofs/{issued.token}"),
        "secret": (issued.token, *([issued.code] if issued.code is not None else [])),
    }


@mail_kind("email_known", lazy_pgettext("kind of mail", "You have an account"))
def email_known(row: Email) -> Facts:
    """Words for the owner of an email with which somebody registered, or to which somebody wants to change."""
    proof = _proof_of(row)
    holder = db.session.get_one(User, row.to_user_id, populate_existing=True)
    return {
        **_asked(row),
        "has_account": holder.is_claimed,
        "is_change": proof.user is not None and proof.user.is_proven,
        "url": link("/login" if holder.is_claimed else "/register?role=customer"),
        "reset_url": link("/password-resets/new"),
    }


@mail_kind(
    "email_changed_old",
    lazy_pgettext("kind of mail", "Email changed, with a link to undo it"),
    to_deactivated_accounts=True,
)
def email_changed_old(row: Email) -> Facts:
    """The change of an email, for the old address, with the link that undoes it."""
    token = email_changes.issue(row.data["change_id"])
    if token is None:
        raise NoLongerTrue("change_ended")
    change = db.session.get_one(EmailChange, row.data["change_id"], populate_existing=True)
    return {
        **_changed(change),
        "to": change.old_email,
        "url": link(f"/email-undos/{token}"),
        "hours": email_changes.UNDO // timedelta(hours=1),
        "secret": (token,),
    }


@mail_kind("email_changed_new", lazy_pgettext("kind of mail", "Email changed"), to_deactivated_accounts=True)
def email_changed_new(row: Email) -> Facts:
    """The change of an email, for the new address."""
    change = db.session.get_one(EmailChange, row.data["change_id"], populate_existing=True)
    return {**_changed(change), "to": change.new_email}


@mail_kind("email_change_undone", lazy_pgettext("kind of mail", "Change of email undone"), to_deactivated_accounts=True)
def email_change_undone(row: Email) -> Facts:
    """Words for the new address of a change that the old address has undone."""
    change = db.session.get_one(EmailChange, row.data["change_id"], populate_existing=True)
    return {**_changed(change), "to": change.new_email}


def _changed(change: EmailChange) -> Facts:
    return {"old_email": change.old_email, "new_email": change.new_email}


def _proof_of(row: Email) -> EmailProof:
    proof = db.session.get(EmailProof, row.data["proof_id"], populate_existing=True)
    if proof is None or row.created_at < clock.now() - proofs.MAX_REQUEST_AGE:
        raise NoLongerTrue("too_old")
    return proof


def _asked(row: Email) -> Facts:
    """The address and the origin of a request. It names no name: a stranger may have chosen it.

    An email that has a holder is written as the holder's: a mail server may tell apart letters that Qist does not.
    """
    proof = db.session.get_one(EmailProof, row.data["proof_id"], populate_existing=True)
    holder = db.session.scalar(select(User).where(User.holds_email(proof.email)))
    day, time = dates.long_day(clock.local_date(proof.created_at, "UTC")), f"{proof.created_at:%H:%M}"
    return {
        "to": proof.email if holder is None else holder.email,
        "hello": _("Hello,"),
        "asked_at": _("%(day)s, %(time)s UTC", day=day, time=time),
        "asked_from": proof.asked_from or _("an unknown address"),
    }


def _invited(row: Email, plan_id: int, token: str, *, again: bool) -> Facts:
    plan, rows = plan_of(plan_id)
    live = invitations.find(token)
    if live is None:
        raise NoLongerTrue("link_ended")
    count = plan.num_installments
    return progress(rows) | {
        "merchant": plan.merchant.business_name,
        "reply_to": sender(plan.merchant_id)[1],
        "asks": plan.is_asked,
        "total": money.show(plan.total, plan.currency),
        "installments": count,
        "interval": labels.interval(plan.interval),
        "schedule": [
            (dates.long_day(installment.due_date), money.show(installment.amount, plan.currency))
            for installment in rows[:SCHEDULE_ROWS]
        ],
        "more": max(0, count - SCHEDULE_ROWS),
        "expires": dates.long_day(clock.local_date(live.expires_at, plan.time_zone)),
        "url": link(f"/invitations/{token}"),
        "report_url": link(f"/invitations/{token}/unknown-shop"),
        "again": again,
        "secret": (token,),
    }
