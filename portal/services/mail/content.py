"""Content of mails: the registry of kinds, and the facts that every mail has.

A builder reads the rows when the mail is sent and returns the variables of templates/mail/<kind>. It raises
NoLongerTrue when the mail must not be sent any more. It may create the link that its mail carries.
"""

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Final
from urllib.parse import urlsplit

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import select

from portal.extensions import db
from portal.gateways.email import display_name
from portal.models import Email, Letterhead, Merchant, Plan, User
from portal.services.mail import (
    accounts,
    operations,
    payments,
    plan_changes,
    plans,
    reminders,
    security,
    team,
)
from portal.services.mail.business import digests, plan_news
from portal.services.mail.facts import Facts, NoLongerTrue, sender

BUILDERS: Final[dict[str, Callable[[Email], Facts | None]]] = {
    "account_deactivated": operations.account_notice,
    "account_reactivated": operations.account_notice,
    "api_key_made": security.api_key_made,
    "automatic_stopped": payments.automatic_stopped,
    "bounce_notice": plan_news.bounce_notice,
    "digest": digests.digest,
    "dispute_answered": plans.dispute_answered,
    "dispute_ended": plans.dispute_ended,
    "dispute_notice": plan_news.dispute_notice,
    "email_change_undone": accounts.email_change_undone,
    "email_changed_new": accounts.email_changed_new,
    "email_changed_old": accounts.email_changed_old,
    "email_known": accounts.email_known,
    "email_proof": accounts.email_proof,
    "factor_added": security.factor_added,
    "factor_failed": security.factor_failed,
    "factor_removal_asked": security.factor_removal_asked,
    "factor_removed": security.factor_removed,
    "invitation": accounts.invitation,
    "invitation_again": accounts.invitation_again,
    "merchant_approved": operations.merchant_notice,
    "merchant_closed": operations.merchant_closed,
    "merchant_deactivated": operations.merchant_notice,
    "merchant_declined": operations.merchant_notice,
    "merchant_reactivated": operations.merchant_notice,
    "merchants_waiting": operations.merchants_waiting,
    "new_browser": security.new_browser,
    "operator_act": operations.operator_act,
    "password_changed": security.password_changed,
    "password_reset": accounts.password_reset,
    "payment_declined": payments.payment_declined,
    "payment_reversed": payments.payment_reversed,
    "plan_accepted": plans.plan_accepted,
    "plan_cancelled": plan_changes.plan_cancelled,
    "plan_completed": payments.plan_completed,
    "plan_credited": plan_changes.plan_credited,
    "plan_disputed": plans.plan_disputed,
    "plan_made": plans.plan_made,
    "plan_news": plan_news.plan_news,
    "plan_not_yours": accounts.plan_not_yours,
    "plan_rescheduled": plan_changes.plan_rescheduled,
    "plan_withdrawn": plans.plan_withdrawn,
    "plan_written_off": plan_changes.plan_written_off,
    "plan_yours": accounts.plan_yours,
    "reschedule_accepted": plan_changes.reschedule_accepted,
    "reschedule_proposed": plan_changes.reschedule_proposed,
    "reschedule_withdrawn": plan_changes.reschedule_withdrawn,
    "receipt": payments.receipt,
    "recovery_code_used": security.recovery_code_used,
    "recovery_codes_made": security.recovery_codes_made,
    "refund": payments.refund,
    "reminder": reminders.reminder,
    "shop_report_cleared": accounts.shop_report_cleared,
    "shop_reported": accounts.shop_reported,
    "sign_in_code": security.sign_in_code,
    "team_invitation": team.invitation,
    "team_membership": team.membership,
    "team_news": team.news,
    "webhook_address": security.webhook_address,
    "webhook_disabled": security.webhook_disabled,
}
"""Kind -> builder. None means that the mail has nothing to say."""
AFTER_SENDING: Final[dict[str, Callable[[int], None]]] = {"reminder": reminders.sent}
"""Kind -> function of the mail's id that runs in the commit that marks it sent."""
TEMPLATES: Final = {
    "account_deactivated": "notice",
    "account_reactivated": "notice",
    "invitation_again": "invitation",
    "merchant_approved": "notice",
    "merchant_closed": "notice",
    "merchant_deactivated": "notice",
    "merchant_declined": "notice",
    "merchant_reactivated": "notice",
    "shop_report_cleared": "notice",
    **dict.fromkeys(
        (
            *("bounce_notice", "dispute_answered", "dispute_ended", "dispute_notice", "plan_rescheduled"),
            *("reschedule_accepted", "reschedule_proposed", "reschedule_withdrawn"),
            *("plan_cancelled", "plan_credited", "plan_disputed", "plan_news", "plan_withdrawn", "plan_written_off"),
        ),
        plans.NOTICE,
    ),
    **dict.fromkeys(
        (
            *("api_key_made", "factor_added", "factor_failed", "factor_removal_asked", "factor_removed", "new_browser"),
            *("password_changed", "sign_in_code", "recovery_code_used", "recovery_codes_made", "webhook_disabled"),
            "webhook_address",
        ),
        security.NOTICE,
    ),
}
"""Kind -> template's name, where it differs from the kind."""
OF_DEACTIVATED_MERCHANTS: Final = frozenset({"receipt", "refund"})
"""The kinds that are sent in the name of a deactivated business."""
NOT_TO_CUSTOMERS: Final = frozenset({"bounce_notice", "dispute_notice", "plan_news"})
"""The kinds about a plan that go to its business or to operators."""
TO_DEACTIVATED_ACCOUNTS: Final = frozenset(
    (
        *("account_deactivated", "email_change_undone", "email_changed_new", "email_changed_old", "factor_added"),
        *("factor_failed", "factor_removal_asked", "factor_removed", "new_browser", "password_changed"),
        *("recovery_code_used", "recovery_codes_made", "refund"),
    )
)
"""The kinds that a deactivated account gets: money back, and the security of the account."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """The person that a mail is to, and the customer of its plan by now. A mail to an address alone has neither."""

    user: User | None = None
    customer_id: int | None = None

    @property
    def language(self) -> str | None:
        """The language of the account. None without an account, and for one without a language."""
        return self.user.language if self.user is not None else None


def facts_of(row: Email, to: Recipient | None = None) -> Facts:
    """All variables of the mail's templates, as of now. Raises NoLongerTrue.

    Also `to` (the recipient's email, unless the kind has another), `is_demo` (such a recipient has no mailbox),
    `reply_to` (the merchant's address; None without one), and `secret`, the tokens that must not be kept. Commits when
    it creates a link, so the caller has no open transaction.
    """
    to = to or recipient_of(row)
    builder = BUILDERS.get(row.kind)
    if builder is None:
        raise NoLongerTrue("unknown_kind")
    if row.merchant_id is not None and row.kind not in OF_DEACTIVATED_MERCHANTS:
        merchant = db.session.get_one(Merchant, row.merchant_id, populate_existing=True)
        if merchant.deactivated_at is not None:
            raise NoLongerTrue("merchant_deactivated")
    recipient, customer_id = to.user, to.customer_id
    if customer_id not in (None, row.to_user_id) and row.kind not in NOT_TO_CUSTOMERS:
        raise NoLongerTrue("customer_changed")
    facts = builder(row)
    if facts is None:
        raise NoLongerTrue("not_wanted")
    if recipient is not None and recipient.deactivated_at is not None and row.kind not in TO_DEACTIVATED_ACCOUNTS:
        raise NoLongerTrue("account_closed")
    return _common(row, recipient) | facts | _shop(row, recipient)


def recipient_of(row: Email) -> Recipient:
    """The recipient, read again."""
    if row.to_user_id is None:
        return Recipient()
    query = select(User, Plan.customer_id).outerjoin(Plan, Plan.id == row.plan_id).where(User.id == row.to_user_id)
    user, customer_id = db.session.execute(query.execution_options(populate_existing=True)).one()
    return Recipient(user, customer_id)


def after_sending(row: Email) -> None:
    """Inside the unit of work that marks a mail sent or kept: run what its kind adds."""
    call = AFTER_SENDING.get(row.kind)
    if call is not None:
        call(row.id)


def _shop(row: Email, recipient: User | None) -> Facts:
    """The name of the business as it stands beside the sender's address, for somebody who may not know the business."""
    if row.merchant_id is None or recipient is None or recipient.is_claimed:
        return {}
    merchant = db.session.get_one(Merchant, row.merchant_id)
    return {"merchant": display_name(merchant.business_name) or _("a shop"), "merchant_contact": ""}


def _contact(row: Email, letterhead: Letterhead | None) -> str:
    """Email and phone of the business, for its customers. "" without them."""
    if letterhead is None or row.kind in NOT_TO_CUSTOMERS:
        return ""
    return ", ".join(part for part in (letterhead.email, letterhead.phone) if part)


def _common(row: Email, recipient: User | None) -> Facts:
    settings = current_app.config["QIST"]
    merchant, reply_to, letterhead = sender(row.merchant_id) if row.merchant_id is not None else (None, None, None)
    name = recipient.username or "" if recipient is not None else ""
    return {
        "to": row.address,
        "is_demo": recipient is not None and recipient.is_demo,
        "customer_name": name,
        "hello": _("Hello %(name)s,", name=name) if name else _("Hello,"),
        "merchant": merchant.business_name if merchant is not None else None,
        "merchant_contact": _contact(row, letterhead),
        "reply_to": reply_to,
        "sender": parseaddr(settings.mail_from)[0] or "Qist",
        "home_url": settings.public_url,
        "host": urlsplit(settings.public_url).netloc,
        "settings_url": None,
        "unsubscribe_url": None,
    }
