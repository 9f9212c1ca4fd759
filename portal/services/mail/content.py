"""Content of mails: the facts that every mail has, and those of its kind.

The modules imported here declare the kinds (`facts.mail_kind`). A builder reads the rows when the mail is sent and
returns the variables of the kind's template in templates/mail. It raises NoLongerTrue when the mail must not be sent
any more. It may create the link that its mail carries.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Final
from urllib.parse import urlsplit

import structlog
from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import bindparam, select

from portal.extensions import db
from portal.gateways.email import display_name
from portal.models import Email, Letterhead, Merchant, Plan, User
from portal.services import mail_limits
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
from portal.services.mail.facts import KINDS, Facts, Kind, NoLongerTrue, Sender, sender
from portal.services.unit_of_work import end_reading
from portal.wording.language import in_language

log = structlog.get_logger(__name__)

FRESH: Final = 1.0
"""Seconds for which facts that were collected in sets are good."""
AFTER_SENDING: Final[dict[str, Callable[[int, Facts], None]]] = {"reminder": reminders.sent}
"""Kind -> function of the mail's id and facts that runs in the commit that marks it sent."""
IN_SETS: Final[dict[str, Callable[[Sequence[int]], dict[int, Facts | None]]]] = {"reminder": reminders.facts_of_all}
"""Kind -> function of the ids of mails that collects the facts of all at once."""
_WITH_RECIPIENT: Final = (
    select(Email, User, Plan.customer_id, Merchant)
    .select_from(Email)
    .outerjoin(User, User.id == Email.to_user_id)
    .outerjoin(Plan, Plan.id == Email.plan_id)
    .outerjoin(Merchant, Merchant.id == Email.merchant_id)
    .where(Email.id.in_(bindparam("email_ids", expanding=True)))
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


@dataclass(frozen=True, slots=True)
class Written:
    """The facts of one mail, or `reason`, the code of why it must not be sent any more. Holds no row."""

    kind: str
    dedupe_key: str
    language: str | None
    facts: Facts
    reason: str | None = None


class Batch:
    """Facts of mails that are collected at once when it is made, and are good for FRESH seconds.

    A failure is left to the single mail that causes it.
    """

    def __init__(self, claims: Mapping[int, int]) -> None:
        """`claims`: mail id -> attempt, of mails whose kind is IN_SETS."""
        self._good_until = time.monotonic() + FRESH
        self._written: dict[int, Written] = {}
        if len(claims) > 1:
            end_reading()
            try:
                self._written = facts_in_sets(claims)
            except Exception as error:
                log.warning("mail.not_in_sets", reason=type(error).__name__)
            end_reading()

    def of(self, email_id: int) -> Written | None:
        """The mail's facts while they are good. None: collect them again."""
        return self._written.get(email_id) if time.monotonic() < self._good_until else None


def facts_of(row: Email, to: Recipient | None = None) -> Facts:
    """All variables of the mail's templates, as of now. Raises NoLongerTrue.

    Also `to` (the recipient's email, unless the kind has another), `is_demo` (such a recipient has no mailbox),
    `reply_to` (the merchant's address; None without one), and `secret`, the tokens that must not be kept. Commits when
    it creates a link, so the caller has no open transaction.
    """
    to = to or recipient_of(row.id)[1]
    kind = _kind_of(row, to)
    facts = kind.builder(row)
    return _with_common(row, to, kind, facts)


def facts_in_sets(claims: Mapping[int, int]) -> dict[int, Written]:
    """The facts of those of these mails whose kind collects them IN_SETS, in statements whose number does not grow.

    `claims`: mail id -> attempt. Leaves out a mail that its claim does not hold, that waits for its mailbox, and the
    second one of a business to a person; so each mail is left to `facts_of` that `mail_limits` may hold back.
    """
    written: dict[int, Written] = {}
    sets: dict[str, list[int]] = defaultdict(list)
    pairs: set[tuple[int | None, int | None]] = set()
    found = _with_recipients(claims)
    with_room = mail_limits.with_room(row for row, _ in found)
    for row, to in found:
        pair = row.to_user_id, row.merchant_id
        if row.kind not in IN_SETS or row.id not in with_room or pair in pairs or not row.is_claimed(claims[row.id]):
            continue
        pairs.add(pair)
        try:
            _kind_of(row, to)
        except NoLongerTrue as early:
            written[row.id] = Written(row.kind, row.dedupe_key, to.language, {}, early.code)
        else:
            sets[row.kind].append(row.id)
    collected: dict[int, Facts | None] = {}
    for kind, email_ids in sets.items():
        collected |= IN_SETS[kind](email_ids)
    senders: dict[int, Sender] = {}
    for row, to in _with_recipients(collected):
        if row.merchant_id is not None and row.merchant_id not in senders:
            senders[row.merchant_id] = sender(row.merchant_id)
        facts: Facts = {}
        code = None
        with in_language(to.language):
            try:
                facts = _with_common(row, to, KINDS[row.kind], collected[row.id], senders)
            except NoLongerTrue as reason:
                code = reason.code
        written[row.id] = Written(row.kind, row.dedupe_key, to.language, facts, code)
    return written


def _kind_of(row: Email, to: Recipient) -> Kind:
    """The mail's kind. Raises NoLongerTrue for what is known without its facts."""
    kind = KINDS.get(row.kind)
    if kind is None:
        raise NoLongerTrue("unknown_kind")
    merchant = to.merchant
    if merchant is not None and merchant.deactivated_at is not None and not kind.of_deactivated_merchants:
        raise NoLongerTrue("merchant_deactivated")
    if to.customer_id not in (None, row.to_user_id) and not kind.not_to_customers:
        raise NoLongerTrue("customer_changed")
    return kind


def _with_common(
    row: Email, to: Recipient, kind: Kind, facts: Facts | None, senders: Mapping[int, Sender] | None = None
) -> Facts:
    """The facts of a kind with those that every mail has. Raises NoLongerTrue. `senders`: by business, if known."""
    if facts is None:
        raise NoLongerTrue("not_wanted")
    if to.user is not None and to.user.deactivated_at is not None and not kind.to_deactivated_accounts:
        raise NoLongerTrue("account_closed")
    by: Sender | tuple[None, None, None] = (None, None, None)
    if row.merchant_id is not None:
        by = sender(row.merchant_id) if senders is None else senders[row.merchant_id]
    return _common(row, to.user, by) | facts | _shop(row, to.user)


def recipient_of(email_id: int) -> tuple[Email | None, Recipient]:
    """The mail and its recipient, read again in one statement. None for a mail that was deleted."""
    for found in _with_recipients([email_id]):
        return found
    return None, Recipient()


def _with_recipients(email_ids: Collection[int]) -> list[tuple[Email, Recipient]]:
    """The mails and their recipients, read again in one statement, in the order of the ids given."""
    if not email_ids:
        return []
    places = {email_id: place for place, email_id in enumerate(email_ids)}
    found = db.session.execute(_WITH_RECIPIENT, {"email_ids": list(email_ids)}).all()
    return [
        (row, Recipient(user, customer_id if user is not None else None, merchant))
        for row, user, customer_id, merchant in sorted(found, key=lambda each: places[each[0].id])
    ]


def template_of(kind: str) -> str:
    """The name of the kind's template in templates/mail."""
    return KINDS[kind].template


def kind_label(kind: str) -> str:
    """The kind in words, for operators. A kind that another version knows has its code."""
    known = KINDS.get(kind)
    return str(known.label) if known is not None else kind


def after_sending(kind: str, email_id: int, facts: Facts) -> None:
    """Inside the unit of work that marks a mail sent or kept: queue what its kind adds."""
    call = AFTER_SENDING.get(kind)
    if call is not None:
        call(email_id, facts)


def give_back(rows: Sequence[Email]) -> None:
    """Inside a unit of work: these locked mails were claimed and never tried."""
    reminders.give_back([row for row in rows if row.kind == "reminder"])


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


def _common(row: Email, recipient: User | None, by: Sender | tuple[None, None, None]) -> Facts:
    settings = current_app.config["QIST"]
    merchant, reply_to, letterhead = by
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
