"""Content of mails: the registry of kinds, and the facts that every mail has.

A builder reads the rows when the mail is sent and returns the variables of templates/mail/<kind>. It raises
NoLongerTrue when the mail must not be sent any more. It may create the link that its mail carries.
"""

from collections.abc import Callable
from email.utils import parseaddr
from typing import Final
from urllib.parse import urlsplit

from flask import current_app
from flask_babel import gettext as _

from portal.extensions import db
from portal.models import Email, User
from portal.services.mail import accounts, payments, reminders
from portal.services.mail.facts import Facts, NoLongerTrue, sender

BUILDERS: Final[dict[str, Callable[[Email], Facts | None]]] = {
    "automatic_stopped": payments.automatic_stopped,
    "invitation": accounts.invitation,
    "invitation_again": accounts.invitation_again,
    "password_reset": accounts.password_reset,
    "payment_declined": payments.payment_declined,
    "payment_reversed": payments.payment_reversed,
    "plan_completed": payments.plan_completed,
    "receipt": payments.receipt,
    "refund": payments.refund,
    "reminder": reminders.reminder,
}
"""Kind -> builder. None means that the mail has nothing to say."""
AFTER_SENDING: Final[dict[str, Callable[[int], None]]] = {"reminder": reminders.sent}
"""Kind -> function of the mail's id that runs in the commit that marks it sent."""
TEMPLATES: Final = {"invitation_again": "invitation"}
"""Kind -> template's name, where it differs from the kind."""


def facts_of(row: Email) -> Facts:
    """All variables of the mail's templates, as of now. Raises NoLongerTrue.

    Also `to`, `is_demo` (such a recipient has no mailbox), `reply_to` (the merchant's address; None without one), and
    `secret`, the tokens that must not be kept. Commits when it creates a link, so the caller has no open transaction.
    """
    builder = BUILDERS.get(row.kind)
    if builder is None:
        raise NoLongerTrue("unknown_kind")
    recipient = db.session.get_one(User, row.to_user_id)
    facts = builder(row)
    if facts is None:
        raise NoLongerTrue("not_wanted")
    if recipient.deactivated_at is not None:
        raise NoLongerTrue("account_closed")
    return _common(row, recipient) | facts


def after_sending(row: Email) -> None:
    """Inside the unit of work that marks a mail sent or kept: run what its kind adds."""
    call = AFTER_SENDING.get(row.kind)
    if call is not None:
        call(row.id)


def _common(row: Email, recipient: User) -> Facts:
    settings = current_app.config["QIST"]
    merchant, reply_to = sender(row.merchant_id) if row.merchant_id is not None else (None, None)
    name = recipient.username or ""
    return {
        "to": recipient.email,
        "is_demo": recipient.is_demo,
        "customer_name": name,
        "hello": _("Hello %(name)s,", name=name) if name else _("Hello,"),
        "merchant": merchant.business_name if merchant is not None else None,
        "reply_to": reply_to,
        "sender": parseaddr(settings.mail_from)[0] or "Qist",
        "home_url": settings.public_url,
        "host": urlsplit(settings.public_url).netloc,
        "settings_url": None,
    }
