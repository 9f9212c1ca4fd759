"""The reminder mail: its facts at the moment of sending, and the record that it was sent."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from flask_babel import gettext as _
from sqlalchemy import bindparam, select, text, update
from sqlalchemy.orm import joinedload, selectinload

from portal.domain import clock, money
from portal.domain.events import ReminderSent
from portal.extensions import db
from portal.models import Customer, Email, Installment, Merchant, Mute, Reminder, User
from portal.services import events
from portal.services.mail.facts import Facts, description, link, mail_kind, plan_of, progress
from portal.services.plans import invitations
from portal.services.reminders import remindable, unsubscribe
from portal.services.unit_of_work import unit_of_work
from portal.wording import dates
from portal.wording.lazy import lazy_pgettext
from portal.wording.lists import listed

SHOWN: Final = 30
"""Installments that one mail lists. The sum counts all of them."""

_OF_PAIR: Final = (
    select(Merchant, User, Customer, Mute)
    .select_from(Merchant)
    .join(User, User.id == bindparam("customer_id"))
    .outerjoin(Customer, (Customer.merchant_id == Merchant.id) & (Customer.user_id == User.id))
    .outerjoin(Mute, (Mute.merchant_id == Merchant.id) & (Mute.customer_id == User.id))
    .where(Merchant.id == bindparam("merchant_id"))
)
_WITH_CUSTOMER: Final = (
    select(Email, User)
    .select_from(Email)
    .join(User, User.id == Email.to_user_id)
    .where(Email.id == bindparam("email_id"))
)
_MARK_SENT: Final = text(
    "WITH pair AS (UPDATE customers SET reminded_at = :now WHERE merchant_id = :merchant_id AND user_id = :customer_id)"
    " UPDATE reminders SET state = 'sent', sent_at = :now"
    " WHERE email_id = :email_id AND state IN ('waiting', 'superseded')"
)
"""PostgreSQL updates the reminders first, and the row of the customer after them."""


@mail_kind("reminder", lazy_pgettext("kind of mail", "Reminder"))
def reminder(row: Email) -> Facts | None:
    """The reminder's facts. A customer without an account can't sign in, so theirs carries the plans' links."""
    email_id = row.id
    mail_facts = facts(email_id)
    if mail_facts is None:
        return None
    if len(mail_facts["items"]) == 1:
        mail_facts |= progress(plan_of(mail_facts["items"][0]["plan_id"])[1])
    mail, customer = db.session.execute(_WITH_CUSTOMER, {"email_id": email_id}).one()
    if not customer.is_claimed:
        mail_facts |= _invitation_links(mail.user_id, mail_facts["items"])
    return mail_facts


@unit_of_work
def facts(email_id: int) -> Facts | None:
    """The mail's facts as of now, or None when it has nothing to say. The caller holds the claim on the mail.

    The first call puts every waiting reminder for this customer and merchant into the mail. Later calls, for another
    attempt under the same Message-ID, keep to those. A reminder of a paid, cancelled or muted installment is dropped. A
    reminder of an installment with a payment in flight leaves the mail and waits for another day. A mail of an earlier
    day that was never written is dropped, so that today's mail says it.

    Keys: customer_name, merchant, items (plan_id, plan, description, number, of, due, days, amount, late, automatic,
    pay_url: the item's own link, None here; at most SHOWN), more (items not listed), total, pay_url,
    settings_url, unsubscribe_url (None if no listed payment is due later: the link turns early reminders off only).
    """
    mail = db.session.get_one(Email, email_id, with_for_update=True, populate_existing=True)
    merchant, customer, pair, mute = db.session.execute(
        _OF_PAIR, {"merchant_id": mail.merchant_id, "customer_id": mail.user_id}
    ).one()
    is_first_call = "told" not in mail.data
    manual_plan_id, is_manual = mail.data.get("plan_id"), "by" in mail.data
    if is_first_call:
        if not is_manual and mail.data.get("day") != clock.today(merchant.time_zone).isoformat():
            return None
        _take_waiting(mail)
    silent = customer.deactivated_at is not None or mute is not None
    reminders = [] if silent else _deliverable(mail, customer)
    rows = [] if silent else remindable.of_customer(customer.id, merchant.id)
    installment_ids = {reminder.installment_id for reminder in reminders}
    if is_manual:
        named = [row for row in rows if manual_plan_id is None or row.plan_id == manual_plan_id]
        installment_ids |= {row.id for row in _due_or_next(named)}
    _drop_others(mail, installment_ids)
    if not installment_ids:
        return None
    items = [row for row in rows if row.id in installment_ids or row.due_date <= row.plan.today]
    numbers: dict[str, list[int]] = defaultdict(list)
    for row in items:
        numbers[str(row.plan_id)].append(row.number)
    mail.data = {**mail.data, "told": numbers}
    off_url = link(f"/reminders/off/{unsubscribe.token_of(customer.id)}")
    return {
        "customer_name": (pair.name if pair is not None else None) or customer.display_name,
        "merchant": merchant.business_name,
        "items": [_item(row) for row in items[:SHOWN]],
        "more": max(0, len(items) - SHOWN),
        "total": _total(items),
        "pay_url": link("/home" if len(numbers) > 1 else f"/plans/{items[0].plan_id}"),
        "settings_url": off_url,
        "unsubscribe_url": off_url if any(row.due_date > row.plan.today for row in items) else None,
    }


def sent(email_id: int) -> None:
    """Inside the unit of work that marks the mail sent: mark its reminders sent, and record each plan's event."""
    mail = db.session.get_one(Email, email_id)
    pair = {"merchant_id": mail.merchant_id, "customer_id": mail.user_id}
    db.session.execute(_MARK_SENT, {"email_id": email_id, "now": clock.now()} | pair)
    for plan_id, numbers in mail.data.get("told", {}).items():
        events.record(ReminderSent(numbers=tuple(numbers)), plan_id=int(plan_id), by=mail.data.get("by"))


def _invitation_links(customer_id: int, items: list[Facts]) -> Facts:
    """The plans' invitation links. A link opens one plan, so with several plans each item gets its plan's link."""
    plan_ids = list(dict.fromkeys(item["plan_id"] for item in items))
    tokens = invitations.reissue_all(customer_id, plan_ids)
    if not tokens:
        return {}
    urls = {plan_id: link(f"/invitations/{token}") for plan_id, token in tokens.items()}
    links: Facts = {"pay_url": urls.get(plan_ids[0]), "secret": tuple(tokens.values())}
    if len(plan_ids) > 1:
        links |= {"pay_url": None, "items": [item | {"pay_url": urls.get(item["plan_id"])} for item in items]}
    return links


def _due_or_next(installments: Iterable[Installment]) -> list[Installment]:
    """The due ones of a plan's open installments, or the next one when none is due. In the order of due dates."""
    rows = list(installments)
    return [row for row in rows if row.due_date <= row.plan.today] or rows[:1]


def _take_waiting(mail: Email) -> None:
    """Put every waiting reminder that is in no mail yet into this one."""
    db.session.execute(
        update(Reminder)
        .where(
            Reminder.customer_id == mail.user_id,
            Reminder.merchant_id == mail.merchant_id,
            Reminder.state == "waiting",
            Reminder.email_id.is_(None),
        )
        .values(email_id=mail.id)
    )


def _deliverable(mail: Email, customer: User) -> list[Reminder]:
    """The mail's reminders that may be delivered. A reminder with a payment in flight leaves the mail."""
    query = (
        select(Reminder, Installment)
        .join(Installment, Installment.id == Reminder.installment_id)
        .options(joinedload(Installment.plan), selectinload(Installment.held_allocations))
        .where(Reminder.email_id == mail.id, Reminder.state == "waiting")
        .execution_options(populate_existing=True)
    )
    reminders = []
    for reminder, row in db.session.execute(query).all():
        if (
            not row.is_chased
            or row.plan.muted_at is not None
            or row.plan.reported_at is not None
            or (reminder.rule < 0 and not customer.early_reminders)
        ):
            continue
        if row.held_allocations:
            reminder.email_id = None
            continue
        reminders.append(reminder)
    return reminders


def _drop_others(mail: Email, installment_ids: set[int]) -> None:
    """Drop the mail's waiting reminders of any other installment."""
    db.session.flush()
    db.session.execute(
        update(Reminder)
        .where(
            Reminder.email_id == mail.id,
            Reminder.state == "waiting",
            Reminder.installment_id.not_in(installment_ids),
        )
        .values(state="dropped")
        .execution_options(synchronize_session=False)
    )


def _item(row: Installment) -> dict[str, Any]:
    return {
        "plan_id": row.plan_id,
        "plan": _("Plan %(number)s", number=row.plan_id),
        "description": description(row.plan),
        "number": row.number,
        "of": row.plan.num_installments,
        "due": dates.long_day(row.due_date),
        "days": (row.plan.today - row.due_date).days,
        "amount": money.show(row.remaining, row.currency),
        "late": row.status == "late",
        "automatic": row.plan.automatic_method_id is not None,
        "pay_url": None,
    }


def _total(rows: Iterable[Installment]) -> str:
    """The remaining amounts of these installments, summed for each currency."""
    sums: dict[str, int] = defaultdict(int)
    for row in rows:
        sums[row.currency] += row.remaining
    return listed(money.show(amount, currency) for currency, amount in sums.items())
