"""What a reminder says, decided at the moment of sending, and what is written down once it is sent."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from typing import Any, Final

from flask import current_app
from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import select, update
from sqlalchemy.orm import joinedload, selectinload

from portal.domain import clock, money
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.models import Email, Installment, Merchant, Mute, Plan, Reminder, User
from portal.services import emails, events
from portal.services.reminders.reminders import KIND
from portal.services.unit_of_work import after_commit, unit_of_work

SHOWN: Final = 30
"""Installments that one mail lists; the sum counts all of them."""


@unit_of_work
def facts(outbox_id: int) -> dict[str, Any] | None:
    """What the mail has to say now, or None when nothing is left to say. Called by who holds the claim on it.

    The first call takes every reminder that waits for this customer and merchant into the mail; later calls, for a
    second try under the same Message-ID, keep to those. Paid, cancelled or muted since: dropped. Installments with a
    payment at the bank are not spoken of; their reminders wait for another day. A mail of a day gone by that was never
    written is left to today's.

    Keys: customer_name, merchant, items (plan_id, plan, description, number, of, due, days, amount, late, automatic,
    pay_url: one of its own, here None; at most SHOWN), more (how many are not listed), total, pay_url, settings_url.
    """
    mail = db.session.get_one(Email, outbox_id, with_for_update=True, populate_existing=True)
    merchant = db.session.get_one(Merchant, mail.merchant_id)
    customer = db.session.get_one(User, mail.to_user_id)
    first_time = "told" not in mail.data
    asked_for = mail.data.get("plan_id")
    if first_time:
        if asked_for is None and mail.data.get("day") != clock.today(merchant.time_zone).isoformat():
            return None
        _take(mail)
    silent = customer.deactivated_at is not None or db.session.get(Mute, (merchant.user_id, customer.id)) is not None
    reminded = [] if silent else _still_wanted(mail, customer)
    open_now = [] if silent else _open(customer.id, merchant.user_id)
    wanted = {reminder.installment_id for reminder in reminded}
    if asked_for is not None:
        wanted |= {row.id for row in due_or_next(row for row in open_now if row.plan_id == asked_for)}
    _drop_the_rest(mail, wanted)
    if not wanted:
        return None
    items = [row for row in open_now if row.id in wanted or row.due_date <= row.plan.today]
    told: dict[str, list[int]] = defaultdict(list)
    for row in items:
        told[str(row.plan_id)].append(row.number)
    mail.data = {**mail.data, "told": told}
    return {
        "customer_name": customer.display_name,
        "merchant": merchant.business_name,
        "items": [_item(row) for row in items[:SHOWN]],
        "more": max(0, len(items) - SHOWN),
        "total": _total(items),
        "pay_url": _url("/home" if len(told) > 1 else f"/plans/{items[0].plan_id}"),
        "settings_url": _url(f"/reminders/off/{off_token(customer.id)}"),
    }


def sent(outbox_id: int) -> None:
    """Inside the transaction that marks the mail sent: its reminders are sent, and each plan's timeline says so."""
    mail = db.session.get_one(Email, outbox_id)
    db.session.execute(
        update(Reminder)
        .where(Reminder.email_id == outbox_id, Reminder.state.in_(("waiting", "superseded")))
        .values(state="sent", sent_at=clock.now())
    )
    for plan_id, numbers in mail.data.get("told", {}).items():
        events.record("reminder.sent", int(plan_id), by=mail.data.get("by"), numbers=numbers)


@unit_of_work
def send_now(plan_id: int, *, merchant_id: int) -> None:
    """Remind the customer of this plan now: of what is due, else of what comes next.

    It is the mail of the day for this customer and merchant, so there is one at most, asked for or not.
    Refuses: not_found; nothing_due (nothing is owed any more); muted; payment_in_flight; already_sent_today.
    """
    plan = Plan.lock(plan_id)
    if plan is None or plan.merchant_id != merchant_id:
        raise NotFound()
    if plan.state != "active":
        raise Refused("nothing_due", "Nothing is owed on this plan any more. No reminder was sent.")
    if plan.muted_at is not None or db.session.get(Mute, (merchant_id, plan.customer_id)) is not None:
        raise Refused("muted", "Reminders are muted here. Turn them on again first. No reminder was sent.")
    rows = [row for row in _open(plan.customer_id, merchant_id) if row.plan_id == plan_id]
    if not rows:
        raise Refused("payment_in_flight", "A payment is being checked with the bank. No reminder was sent.")
    merchant = db.session.get_one(Merchant, merchant_id)
    day = clock.today(merchant.time_zone).isoformat()
    key = f"reminder:{plan.customer_id}:{merchant_id}:{day}"
    data = {"day": day, "plan_id": plan_id, "by": merchant_id}
    posted = emails.post(
        KIND, to_user_id=plan.customer_id, merchant_id=merchant_id, plan_id=plan_id, dedupe_key=key, data=data
    )
    if not posted and not _revive(key, data):
        raise Refused("already_sent_today", "This customer has a reminder from you today already. Try tomorrow.")


def due_or_next(rows: Iterable[Installment]) -> list[Installment]:
    """Of one plan's open installments by due date: those that are due, else the first that comes."""
    rows = list(rows)
    return [row for row in rows if row.due_date <= row.plan.today] or rows[:1]


def off_token(customer_id: int) -> str:
    """What stands in the link that turns early reminders off without signing in. It allows nothing else."""
    return _signer().dumps(customer_id)


def customer_of(token: str) -> User | None:
    """Whose early reminders this token turns off; None when it is not one of ours."""
    try:
        customer_id = _signer().loads(token)
    except BadSignature:
        return None
    return db.session.get(User, customer_id) if isinstance(customer_id, int) else None


def _revive(key: str, data: dict[str, Any]) -> bool:
    """The day's mail was dropped, because there was nothing left to say: it may be written after all."""
    mail = db.session.scalar(select(Email).where(Email.dedupe_key == key, Email.state == "dropped").with_for_update())
    if mail is None:
        return False
    mail.state, mail.attempts, mail.next_try_at, mail.ended_at, mail.last_error = "waiting", 0, clock.now(), None, None
    mail.data = data
    after_commit(emails.enqueue_drain)
    return True


def _take(mail: Email) -> None:
    """Everything that waits and is in no mail yet becomes part of this one."""
    db.session.execute(
        update(Reminder)
        .where(
            Reminder.customer_id == mail.to_user_id,
            Reminder.merchant_id == mail.merchant_id,
            Reminder.state == "waiting",
            Reminder.email_id.is_(None),
        )
        .values(email_id=mail.id)
    )


def _still_wanted(mail: Email, customer: User) -> list[Reminder]:
    """The mail's reminders whose installment is to be spoken of. Those with a payment under way leave the mail."""
    found = (
        select(Reminder, Installment)
        .join(Installment, Installment.id == Reminder.installment_id)
        .options(joinedload(Installment.plan), selectinload(Installment.held_allocations))
        .where(Reminder.email_id == mail.id, Reminder.state == "waiting")
        .execution_options(populate_existing=True)
    )
    wanted = []
    for reminder, row in db.session.execute(found).all():
        if not row.is_open or row.plan.muted_at is not None or (reminder.rule < 0 and not customer.early_reminders):
            continue
        if row.held_allocations:
            reminder.email_id = None
            continue
        wanted.append(reminder)
    return wanted


def _drop_the_rest(mail: Email, wanted: set[int]) -> None:
    db.session.flush()
    db.session.execute(
        update(Reminder)
        .where(Reminder.email_id == mail.id, Reminder.state == "waiting", Reminder.installment_id.not_in(wanted))
        .values(state="dropped")
        .execution_options(synchronize_session=False)
    )


def _open(customer_id: int, merchant_id: int) -> list[Installment]:
    """What may be spoken of: open, of a plan that is not muted, and no payment under way. By due date."""
    rows = db.session.scalars(
        Installment.of_customer(customer_id)
        .join(Installment.plan)
        .where(Installment.merchant_id == merchant_id, Installment.remaining > 0, Plan.muted_at.is_(None))
        .order_by(Installment.due_date, Installment.id)
        .options(joinedload(Installment.plan), selectinload(Installment.held_allocations))
        .execution_options(populate_existing=True)
    )
    return [row for row in rows if not row.held_allocations]


def _item(row: Installment) -> dict[str, Any]:
    return {
        "plan_id": row.plan_id,
        "plan": f"Plan {row.plan_id}",
        "description": row.plan.description,
        "number": row.number,
        "of": row.plan.num_installments,
        "due": _day(row.due_date),
        "days": (row.plan.today - row.due_date).days,
        "amount": money.show(row.remaining, row.currency),
        "late": row.status == "late",
        "automatic": row.plan.automatic_method_id is not None,
        "pay_url": None,
    }


def _total(rows: Iterable[Installment]) -> str:
    """What remains of these, in each currency."""
    sums: dict[str, int] = defaultdict(int)
    for row in rows:
        sums[row.currency] += row.remaining
    return " and ".join(money.show(amount, currency) for currency, amount in sums.items())


def _day(value: date) -> str:
    return f"{value.day} {value:%B %Y}"


def _url(path: str) -> str:
    base: str = current_app.config["QIST"].public_url
    return base + path


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt="early-reminders")
