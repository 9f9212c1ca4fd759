"""Bounds on the mails with which businesses reach people who did not ask for them.

A new business invites a few new customers a day, until customers have shown that they know it. A mailbox gets a few
mails a day from one business and in all: an invitation beyond that is refused before anything is written, and any
other mail waits (mail/delivery.py). Mails about a person's own acts (receipts of own payments, proofs, resets) don't
count and don't wait. A payment by the pay link is nobody's own, and one that the business records is the business's
act: their mails count. Invitations to teams have a count of their own beside these.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy import ColumnElement, func, or_, select, text

from portal.domain import clock, identifiers
from portal.errors import Fault, Invalid, Refused
from portal.extensions import db
from portal.models import Email, Invitation, Payment, Plan, TeamInvitation, User

WINDOW: Final = timedelta(days=1)
NEW_BUSINESS: Final = 20
"""Invitations in WINDOW of a business that fewer than KNOWN_CUSTOMERS customers know."""
KNOWN_BUSINESS: Final = 500
KNOWN_CUSTOMERS: Final = 5
FROM_ONE_BUSINESS: Final = 3
"""Counted mails to one mailbox in WINDOW."""
IN_ALL: Final = 10
COUNTED: Final = (
    *("invitation", "invitation_again", "payment_voided", "plan_cancelled", "plan_credited", "plan_made"),
    *("plan_not_yours", "plan_rescheduled", "plan_written_off", "plan_yours", "reminder"),
    *("reschedule_proposed", "reschedule_withdrawn"),
)
"""Kinds of mails that a business sends by itself, and that a stranger may ask for."""
UNASKED: Final = {"unasked": True}
"""Data of a mail of another kind that a business caused by itself, such as the receipt of cash that it recorded."""
SEARCHED: Final = 1_000
"""The newest payments, and the newest plans, of a business in which customers who know it are searched."""

_LOCK_MAILBOXES: Final = text(
    "SELECT pg_advisory_xact_lock(hashtextextended(name, 0))"
    " FROM (SELECT 'mailbox:' || id AS name FROM unnest(CAST(:ids AS bigint[])) AS id ORDER BY id) AS names"
)
"""In the order of ids, so that two units of work can't wait for one another."""
_ARRIVED: Final = ("waiting", "claimed", "sent", "kept")


def check_invitation(merchant_id: int, customer: User) -> None:
    """Inside a unit of work: serialize the invitations of the business and of the mailbox, and count them.

    Refuses: Invalid on customer_email: plan_limit (this business has invited enough for a day), mail_limit (this
    mailbox got enough mails for a day).
    """
    _lock(f"invitations:{merchant_id}")
    _lock(f"mailbox:{customer.id}")
    since = clock.now() - WINDOW
    sent = Email.kind == "invitation", Email.merchant_id == merchant_id, Email.created_at > since
    count = _count(*sent, Email.state.in_(_ARRIVED))
    if count >= NEW_BUSINESS and count >= (limit := _limit(merchant_id)):
        if limit == KNOWN_BUSINESS:
            raise Invalid(Fault("customer_email", "plan_limit", about="known", limit=limit))
        raise Invalid(Fault("customer_email", "plan_limit", about="new", limit=limit, known=KNOWN_CUSTOMERS))
    _check_mailbox(merchant_id, customer)


def invitations_left(merchant_id: int) -> int:
    """How many more customers without an account this business may invite now."""
    sent = Email.kind == "invitation", Email.merchant_id == merchant_id, Email.created_at > clock.now() - WINDOW
    return max(0, _limit(merchant_id) - _count(*sent, Email.state.in_(_ARRIVED)))


def check_customer(merchant_id: int, customer: User) -> None:
    """Inside a unit of work: as `check_invitation`, for a customer with an account. Refuses: Invalid (mail_limit)."""
    _lock(f"mailbox:{customer.id}")
    _check_mailbox(merchant_id, customer)


def _check_mailbox(merchant_id: int, customer: User) -> None:
    match _reached(customer.id, merchant_id, Email.created_at > clock.now() - WINDOW):
        case "business":
            raise Invalid(Fault("customer_email", "mail_limit", about="business", limit=FROM_ONE_BUSINESS))
        case "all":
            raise Invalid(Fault("customer_email", "mail_limit", about="all", limit=IN_ALL))


def check_mail(merchant_id: int, customer_id: int) -> None:
    """Inside a unit of work: as `check_invitation`, for a mail of another kind. Refuses: mail_limit."""
    _lock(f"mailbox:{customer_id}")
    match _reached(customer_id, merchant_id, Email.created_at > clock.now() - WINDOW):
        case "business":
            raise Refused("mail_limit", about="business", limit=FROM_ONE_BUSINESS)
        case "all":
            raise Refused("mail_limit", about="all")


def full_mailboxes(merchant_id: int, customer_ids: Sequence[int]) -> set[int]:
    """Inside a unit of work: as `check_mail`, for many customers in two statements. Returns those who get no mail."""
    db.session.execute(_LOCK_MAILBOXES, {"ids": sorted(customer_ids)})
    count, since = func.count(), clock.now() - WINDOW
    mine = Email.to_user_id.in_(customer_ids), Email.state.in_(_ARRIVED), _counted(), Email.created_at > since
    full = or_(count >= IN_ALL, count.filter(Email.merchant_id == merchant_id) >= FROM_ONE_BUSINESS)
    return set(db.session.scalars(select(Email.to_user_id).where(*mine).group_by(Email.to_user_id).having(full)))


def check_address(email: str) -> None:
    """Inside a unit of work: as `check_invitation`, for an invitation to a team, whose reader need not have an account.

    Refuses: mail_limit about mailbox (within a day IN_ALL of these and of the counted mails went to this address).
    """
    key, since = identifiers.email_key(email), clock.now() - WINDOW
    _lock(f"address:{key}")
    invitations = select(func.count()).select_from(TeamInvitation)
    invited = db.session.scalar(invitations.where(TeamInvitation.email_key == key, TeamInvitation.created_at > since))
    holder = select(User.id).where(User.holds_email(email)).scalar_subquery()
    mailed = _count(Email.to_user_id == holder, Email.created_at > since, Email.state.in_(_ARRIVED), _counted())
    if (invited or 0) + mailed >= IN_ALL:
        raise Refused("mail_limit", about="mailbox", limit=IN_ALL)


def has_room(customer_id: int) -> bool:
    """Inside a unit of work: the mailbox got fewer than IN_ALL counted mails within a day."""
    _lock(f"mailbox:{customer_id}")
    mine = Email.to_user_id == customer_id, Email.created_at > clock.now() - WINDOW
    return _count(*mine, Email.state.in_(_ARRIVED), _counted()) < IN_ALL


def wait_until(row: Email) -> datetime | None:
    """The instant at which this mail's mailbox has room again; None when it has room now. Invitations never wait."""
    if row.merchant_id is None or row.to_user_id is None or not _may_wait(row):
        return None
    delivered = Email.state.in_(("sent", "kept")), Email.ended_at > clock.now() - WINDOW
    reached = _reached(row.to_user_id, row.merchant_id, *delivered)
    if not reached:
        return None
    counted = select(Email.ended_at).where(Email.to_user_id == row.to_user_id, _counted(), *delivered)
    if reached == "business":
        counted = counted.where(Email.merchant_id == row.merchant_id)
    bound = FROM_ONE_BUSINESS if reached == "business" else IN_ALL
    ended_at = db.session.scalar(counted.order_by(Email.ended_at.desc()).offset(bound - 1).limit(1))
    return ended_at + WINDOW if ended_at is not None else None


def with_room(rows: Iterable[Email]) -> set[int]:
    """The ids of these mails that need not wait, if they are sent in this order. One statement for all of them."""
    mails = [row for row in rows if row.to_user_id is not None]
    since = clock.now() - WINDOW
    sent = Email.to_user_id.in_({row.to_user_id for row in mails}), Email.state.in_(("sent", "kept"))
    pairs = select(Email.to_user_id, Email.merchant_id, func.count()).where(*sent, Email.ended_at > since, _counted())
    counts: Counter[tuple[int | None, int | None]] = Counter()
    for user_id, merchant_id, count in db.session.execute(pairs.group_by(Email.to_user_id, Email.merchant_id)):
        counts.update({(user_id, merchant_id): count, (user_id, None): count})
    with_room = set()
    for row in mails:
        pair, mailbox = (row.to_user_id, row.merchant_id), (row.to_user_id, None)
        if not _may_wait(row):
            with_room.add(row.id)
        elif counts[pair] < FROM_ONE_BUSINESS and counts[mailbox] < IN_ALL:
            with_room.add(row.id)
            counts.update((pair, mailbox))
    return with_room


def _may_wait(row: Email) -> bool:
    return not (row.merchant_id is None or row.to_user_id is None or row.kind == "invitation" or not counts(row))


def _lock(name: str) -> None:
    """Locks the name until the transaction ends, so that two counts at once can't both find room for the last one."""
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


def counts(row: Email) -> bool:
    """The mail is one that the mailbox did not ask for."""
    return row.kind in COUNTED or row.data.get("link") == "pay" or "unasked" in row.data


def _reached(user_id: int, merchant_id: int, *within: ColumnElement[bool]) -> Literal["", "business", "all"]:
    """Which bound of the mailbox the counted mails of `within` have reached."""
    count = func.count()
    counts = select(count.filter(Email.merchant_id == merchant_id), count).select_from(Email)
    mine = Email.to_user_id == user_id, Email.state.in_(_ARRIVED), _counted(), *within
    from_business, in_all = db.session.execute(counts.where(*mine)).one()
    if from_business >= FROM_ONE_BUSINESS:
        return "business"
    return "all" if in_all >= IN_ALL else ""


def _counted() -> ColumnElement[bool]:
    return or_(Email.kind.in_(COUNTED), Email.data["link"].astext == "pay", Email.data.has_key("unasked"))


def _count(*conditions: ColumnElement[bool]) -> int:
    return db.session.scalar(select(func.count()).select_from(Email).where(*conditions)) or 0


def _limit(merchant_id: int) -> int:
    """The invitations in WINDOW of this business. Customers who claimed their record or paid by themselves know it."""
    paid = (
        select(Payment.customer_id, Payment.link, Payment.gateway_key, Payment.state)
        .where(Payment.merchant_id == merchant_id)
        .order_by(Payment.id.desc())
        .limit(SEARCHED)
        .subquery()
    )
    payers = select(paid.c.customer_id).where(
        paid.c.state == "succeeded", paid.c.gateway_key.is_not(None), paid.c.link.is_distinct_from("pay")
    )
    recent = (
        select(Plan.id, Plan.customer_id)
        .where(Plan.merchant_id == merchant_id)
        .order_by(Plan.id.desc())
        .limit(SEARCHED)
        .subquery()
    )
    claimed = select(recent.c.customer_id).where(
        select(Invitation.id).where(Invitation.plan_id == recent.c.id, Invitation.claimed_at.is_not(None)).exists()
    )
    known = db.session.scalar(select(func.count()).select_from(payers.union(claimed).subquery())) or 0
    return KNOWN_BUSINESS if known >= KNOWN_CUSTOMERS else NEW_BUSINESS
