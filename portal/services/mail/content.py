"""Content of mails: the facts that every mail has, and those of its kind.

The modules imported here declare the kinds (`facts.mail_kind`). A builder reads the rows when the mail is sent and
returns the variables of the kind's template in templates/mail. It raises NoLongerTrue when the mail must not be sent
any more. It may create the link that its mail carries.
"""

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Final
from urllib.parse import urlsplit

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import bindparam, select

from portal.extensions import db
from portal.gateways.email import display_name
from portal.models import Email, Letterhead, Merchant, Plan, User
from portal.services.mail import (  # noqa: F401 they declare the kinds
    accounts,
    operations,
    payments,
    plan_changes,
    plans,
    reminders,
    security,
    team,
)
from portal.services.mail.business import digests, plan_news  # noqa: F401
from portal.services.mail.facts import KINDS, Facts, NoLongerTrue, sender

AFTER_SENDING: Final[dict[str, Callable[[int], None]]] = {"reminder": reminders.sent}
"""Kind -> function of the mail's id that runs in the commit that marks it sent."""
_WITH_RECIPIENT: Final = (
    select(Email, User, Plan.customer_id, Merchant)
    .select_from(Email)
    .outerjoin(User, User.id == Email.to_user_id)
    .outerjoin(Plan, Plan.id == Email.plan_id)
    .outerjoin(Merchant, Merchant.id == Email.merchant_id)
    .where(Email.id == bindparam("email_id"))
    .execution_options(populate_existing=True)
)


@dataclass(frozen=True, slots=True)
class Recipient:
    """The person that a mail is to, the customer of its plan by now, and the business in whose name it is sent.

    A mail to an address alone has no person, a mail of the installation no business.
    """

    user: User | None = None
    customer_id: int | None = None
    merchant: Merchant | None = None

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
    to = to or recipient_of(row.id)[1]
    kind = KINDS.get(row.kind)
    if kind is None:
        raise NoLongerTrue("unknown_kind")
    merchant = to.merchant
    if merchant is not None and merchant.deactivated_at is not None and not kind.of_deactivated_merchants:
        raise NoLongerTrue("merchant_deactivated")
    recipient, customer_id = to.user, to.customer_id
    if customer_id not in (None, row.to_user_id) and not kind.not_to_customers:
        raise NoLongerTrue("customer_changed")
    facts = kind.builder(row)
    if facts is None:
        raise NoLongerTrue("not_wanted")
    if recipient is not None and recipient.deactivated_at is not None and not kind.to_deactivated_accounts:
        raise NoLongerTrue("account_closed")
    return _common(row, recipient) | facts | _shop(row, recipient)


def recipient_of(email_id: int) -> tuple[Email | None, Recipient]:
    """The mail and its recipient, read again in one statement. None for a mail that was deleted."""
    found = db.session.execute(_WITH_RECIPIENT, {"email_id": email_id}).one_or_none()
    if found is None:
        return None, Recipient()
    row, user, customer_id, merchant = found
    return row, Recipient(user, customer_id if user is not None else None, merchant)


def template_of(kind: str) -> str:
    """The name of the kind's template in templates/mail."""
    return KINDS[kind].template


def kind_label(kind: str) -> str:
    """The kind in words, for operators. A kind that another version knows has its code."""
    known = KINDS.get(kind)
    return str(known.label) if known is not None else kind


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
    if letterhead is None or KINDS[row.kind].not_to_customers:
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
