"""What each kind of mail says, asked at the moment of sending: plain facts, or why it is not wanted any more.

A builder reads rows and returns the variables of templates/mail/<kind>; it may make the link that its mail carries.
"""

from collections.abc import Callable, Sequence
from email.utils import parseaddr
from typing import Any, Final
from urllib.parse import urlsplit

from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload

from portal.domain import clock, money
from portal.domain.wording import DECLINE_REASONS, INTERVALS, MANUAL_METHODS, OWN_CARD_DECLINED, card_ending
from portal.domain.wording import long_day as day
from portal.extensions import db
from portal.gateways.payment import CARDS
from portal.models import Email, Installment, Invitation, Merchant, Payment, PaymentMethod, Plan, Refund, User
from portal.services.accounts import password_resets
from portal.services.mail import reminders
from portal.services.plans import invitations

SCHEDULE_ROWS: Final = 6
"""How many installments an invitation lists."""

Facts = dict[str, Any]


class NoLongerTrue(Exception):
    """This mail is not to be sent any more. The text says why, for the operator."""


def facts_of(row: Email) -> Facts:
    """Everything that the mail's templates need, as of now. Raises Unwanted.

    Besides: `to`, `is_demo` (there is no such mailbox), `reply_to` (the merchant's address, None: nobody's), and
    `secret`, the tokens that may not be kept.

    No transaction may be open that has to go on: making a link commits.
    """
    builder = BUILDERS.get(row.kind)
    if builder is None:
        raise NoLongerTrue(f"Nobody knows what a mail of kind {row.kind} says.")
    recipient = db.session.get_one(User, row.to_user_id)
    facts = builder(row)
    if facts is None:
        raise NoLongerTrue("It was not wanted any more when its time came.")
    if recipient.deactivated_at is not None:
        raise NoLongerTrue("The account is closed.")
    return _common(row, recipient) | facts


def after_sending(row: Email) -> None:
    """Inside the commit that marks a mail as sent (or kept): what else is written down about it."""
    noted = NOTED.get(row.kind)
    if noted is not None:
        noted(row.id)


def _common(row: Email, recipient: User) -> Facts:
    settings = current_app.config["QIST"]
    merchant = _merchant(row.merchant_id) if row.merchant_id is not None else None
    name = recipient.username or ""
    return {
        "to": recipient.email,
        "is_demo": recipient.is_demo,
        "customer_name": name,
        "hello": f"Hello {name}," if name else "Hello,",
        "merchant": merchant.business_name if merchant is not None else None,
        "reply_to": merchant.user.email if merchant is not None else None,
        "sender": parseaddr(settings.mail_from)[0] or "Qist",
        "home_url": settings.public_url,
        "host": urlsplit(settings.public_url).netloc,
        "settings_url": None,
    }


def _receipt(row: Email) -> Facts:
    payment = _payment(row)
    if payment.state != "succeeded":
        raise NoLongerTrue("The payment was taken back since.")
    plan, rows = _plan(payment.plan_id)
    numbers = {installment.id: installment.number for installment in rows}
    remaining = sum(installment.remaining for installment in rows)
    lost = sum(installment.payable for installment in rows) if not remaining and plan.cancelled_at is None else 0
    coming = next((installment for installment in rows if installment.is_open), None)
    return (
        _progress(rows)
        | {
            "amount": money.show(payment.amount, plan.currency),
            "purchase": _purchase(plan),
            "paid_on": day(payment.received_on or clock.local_date(payment.created_at, plan.time_zone)),
            "how": _how(payment),
            "reference": payment.reference or None,
            "parts": [
                (
                    f"Payment {numbers[part.installment_id]} of {plan.num_installments}",
                    money.show(part.amount - part.returned, plan.currency),
                )
                for part in sorted(payment.allocations, key=lambda part: numbers[part.installment_id])
            ],
            "remaining": money.show(remaining, plan.currency) if remaining else None,
            "written_off": money.show(lost, plan.currency) if lost else None,
            "next": {
                "amount": money.show(coming.remaining, plan.currency),
                "date": day(coming.due_date),
                "past": coming.due_date < plan.today,
            }
            if coming is not None
            else None,
        }
        | _door(row, "receipt_url", f"/payments/{payment.id}", below=f"/payments/{payment.id}")
    )


def _payment_declined(row: Email) -> Facts:
    payment = _payment(row)
    plan, rows = _plan(payment.plan_id)
    wanted = {part.installment_id for part in payment.allocations}
    parts = [installment for installment in rows if installment.id in wanted]
    if plan.cancelled_at is not None or not any(part.payable for part in parts):
        raise NoLongerTrue("What it was to pay is not open any more.")
    return (
        _progress(rows)
        | {
            "amount": money.show(payment.amount, plan.currency),
            "purchase": _purchase(plan),
            "tried_on": day(clock.local_date(payment.created_at, plan.time_zone)),
            "reason": DECLINE_REASONS.get(payment.decline_code or "", OWN_CARD_DECLINED),
            "automatic": payment.automatic and any(part.is_open for part in parts),
        }
        | _door(row, "pay_url", f"/plans/{plan.id}")
    )


def _automatic_stopped(row: Email) -> Facts:
    plan, rows = _plan(row.plan_id)
    coming = next((installment for installment in rows if installment.is_open), None)
    if coming is None or plan.automatic_method_id is not None:
        raise NoLongerTrue("Nothing is owed any more, or it was turned on again.")
    return _progress(rows) | {
        "last4": row.data.get("last4"),
        "purchase": _purchase(plan),
        "amount": money.show(coming.remaining, plan.currency),
        "due": day(coming.due_date),
        "past": coming.due_date < plan.today,
        "plan_url": _link(f"/plans/{plan.id}"),
    }


def _plan_completed(row: Email) -> Facts:
    plan, rows = _plan(row.plan_id)
    if plan.state != "completed":
        raise NoLongerTrue("Something is owed again.")
    if any(installment.written_off for installment in rows):
        raise NoLongerTrue("Some of it was written off, so not all of it is paid.")
    return (
        _progress(rows)
        | {
            "purchase": _purchase(plan),
            "paid": money.show(sum(installment.paid for installment in rows), plan.currency),
        }
        | _door(row, "plan_url", f"/plans/{plan.id}")
    )


def _refund(row: Email) -> Facts:
    refund = db.session.get_one(Refund, row.data["refund_id"])
    payment = db.session.get_one(Payment, refund.payment_id)
    if refund.state != "succeeded":
        raise NoLongerTrue("The refund did not happen.")
    plan, _ = _plan(refund.plan_id)
    settled = refund.settled_at or refund.created_at
    return {
        "amount": money.show(refund.amount, plan.currency),
        "purchase": _purchase(plan),
        "how": _how(payment),
        "by_hand": payment.is_recorded,
        "refunded_on": day(clock.local_date(settled, plan.time_zone)),
        "payment_amount": money.show(payment.amount, plan.currency),
        "paid_on": day(payment.received_on or clock.local_date(payment.created_at, plan.time_zone)),
    } | _door(row, "plan_url", f"/plans/{plan.id}")


def _invitation(row: Email) -> Facts:
    """The link of the invitation in the facts. Where its token can't be derived any more, a new link."""
    found = db.session.get_one(Invitation, row.data["invitation_id"], populate_existing=True)
    token = invitations.token_of(found)
    if token is None and db.session.scalar(Invitation.live(found.token_hash, clock.now())) is not None:
        made = invitations.reissue(row.to_user_id, plan_id=found.plan_id)
        token = made[1] if made is not None else None
    if token is None:
        raise NoLongerTrue("Its link was used, revoked or replaced.")
    return _invited(row, found.plan_id, token, again=False)


def _invitation_again(row: Email) -> Facts:
    made = invitations.reissue(row.to_user_id)
    if made is None:
        raise NoLongerTrue("There is no plan that waits for this email.")
    return _invited(row, *made, again=True)


def _invited(row: Email, plan_id: int, token: str, *, again: bool) -> Facts:
    plan, rows = _plan(plan_id)
    invitation = invitations.find(token)
    if invitation is None:
        raise NoLongerTrue("Its link was used, revoked or replaced.")
    count = plan.num_installments
    return _progress(rows) | {
        "merchant": plan.merchant.business_name,
        "reply_to": _merchant(plan.merchant_id).user.email,
        "purchase": _purchase(plan),
        "total": money.show(plan.total, plan.currency),
        "installments": f"{count} payments" if count > 1 else "one payment",
        "interval": INTERVALS[plan.interval] if count > 1 else None,
        "schedule": [
            (day(installment.due_date), money.show(installment.amount, plan.currency))
            for installment in rows[:SCHEDULE_ROWS]
        ],
        "more": max(0, count - SCHEDULE_ROWS),
        "expires": day(clock.local_date(invitation.expires_at, plan.time_zone)),
        "url": _link(f"/invitations/{token}"),
        "again": again,
        "secret": (token,),
    }


def _password_reset(row: Email) -> Facts:
    if row.created_at < clock.now() - password_resets.MAX_REQUEST_AGE:
        raise NoLongerTrue("It was asked for too long ago.")
    token = password_resets.make(row.to_user_id)
    if token is None:
        raise NoLongerTrue("This account has no password to reset.")
    return {"url": _link(f"/password-resets/{token}"), "secret": (token,)}


def _reminder(row: Email) -> Facts | None:
    """Somebody who has no account yet can't sign in to pay: theirs are the plans' links."""
    facts = reminders.facts(row.id)
    if facts is None:
        return None
    if len(facts["items"]) == 1:
        facts |= _progress(_plan(facts["items"][0]["plan_id"])[1])
    if not db.session.get_one(User, row.to_user_id).is_claimed:
        facts |= _pay_by_invitation(row.to_user_id, facts["items"])
    return facts


def _pay_by_invitation(customer_id: int, items: list[Facts]) -> Facts:
    """A link opens one plan, so of several each item has its plan's where there is one. Nothing when there is none."""
    plan_ids = list(dict.fromkeys(item["plan_id"] for item in items))
    tokens = invitations.reissue_all(customer_id, plan_ids)
    if not tokens:
        return {}
    urls = {plan_id: _link(f"/invitations/{token}") for plan_id, token in tokens.items()}
    found: Facts = {"pay_url": urls.get(plan_ids[0]), "secret": tuple(tokens.values())}
    if len(plan_ids) > 1:
        found |= {"pay_url": None, "items": [item | {"pay_url": urls.get(item["plan_id"])} for item in items]}
    return found


def _door(row: Email, name: str, path: str, *, below: str = "") -> Facts:
    """The address under `name`: a page's path; for whoever can't sign in, what is `below` their plan's link."""
    if not db.session.get_one(User, row.to_user_id).is_claimed:
        link = invitations.reissue(row.to_user_id, plan_id=row.plan_id)
        if link is not None:
            return {name: _link(f"/invitations/{link[1]}{below}"), "secret": (link[1],)}
    return {name: _link(path)}


def _progress(rows: Sequence[Installment]) -> Facts:
    """The segments and their words."""
    states = [installment.status for installment in rows]
    late = states.count("late")
    words = f"{states.count('paid')} of {len(states)} paid"
    return {"states": states, "words": f"{words}, {late} late" if late else words}


def _merchant(merchant_id: int) -> Merchant:
    return db.session.scalars(
        select(Merchant).options(joinedload(Merchant.user)).where(Merchant.user_id == merchant_id)
    ).one()


def _payment(row: Email) -> Payment:
    found = select(Payment).options(selectinload(Payment.allocations)).where(Payment.id == row.data["payment_id"])
    return db.session.scalars(found).one()


def _plan(plan_id: int | None) -> tuple[Plan, list[Installment]]:
    plan = db.session.get_one(
        Plan, plan_id, options=[joinedload(Plan.merchant), selectinload(Plan.installments)], populate_existing=True
    )
    return plan, list(plan.installments)


def _purchase(plan: Plan) -> str:
    return plan.description or "your purchase"


def _how(payment: Payment) -> str:
    """ "Visa ending in 4242", "Cash" """
    if payment.method in MANUAL_METHODS:
        return MANUAL_METHODS[payment.method]
    card = next((card for card in CARDS if card.token == payment.method), None)
    found = card or db.session.scalar(select(PaymentMethod).where(PaymentMethod.token == payment.method))
    return card_ending(found.brand, found.last4) if found is not None else "Card"


def _link(path: str) -> str:
    return f"{current_app.config['QIST'].public_url}{path}"


BUILDERS: Final[dict[str, Callable[[Email], Facts | None]]] = {
    "automatic_stopped": _automatic_stopped,
    "invitation": _invitation,
    "invitation_again": _invitation_again,
    "password_reset": _password_reset,
    "payment_declined": _payment_declined,
    "plan_completed": _plan_completed,
    "receipt": _receipt,
    "refund": _refund,
    "reminder": _reminder,
}
NOTED: Final[dict[str, Callable[[int], None]]] = {"reminder": reminders.sent}
"""Told the mail's id."""
TEMPLATES: Final = {"invitation_again": "invitation"}
"""The templates of a kind, where they are another's."""
