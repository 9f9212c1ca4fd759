"""The reminder mail: its facts at the moment of sending, and the record that it was sent."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from flask_babel import gettext as _
from sqlalchemy import bindparam, select, text
from sqlalchemy.orm import joinedload, selectinload

from portal.domain import clock, money
from portal.domain.events import ReminderSent
from portal.extensions import db, session
from portal.models import Customer, Email, Installment, Merchant, Mute, Plan, Reminder, User
from portal.services import events
from portal.services.mail.facts import Facts, known_plans, link, mail_kind, progress
from portal.services.plans import invitations
from portal.services.reminders import remindable, unsubscribe
from portal.services.unit_of_work import unit_of_work
from portal.wording import dates
from portal.wording.language import in_language
from portal.wording.lazy import lazy_pgettext
from portal.wording.lists import listed

SHOWN: Final = 30
"""Installments that one mail lists. The sum counts all of them."""

_WITH_PAIR: Final = (
    select(Email, Merchant, User, Customer, Mute)
    .select_from(Email)
    .join(Merchant, Merchant.id == Email.merchant_id)
    .join(User, User.id == Email.to_user_id)
    .outerjoin(Customer, (Customer.merchant_id == Merchant.id) & (Customer.user_id == User.id))
    .outerjoin(Mute, (Mute.merchant_id == Merchant.id) & (Mute.customer_id == User.id))
    .where(Email.id.in_(bindparam("email_ids", expanding=True)))
    .order_by(Email.id)
    .with_for_update(of=Email)
    .execution_options(populate_existing=True)
)
_TAKE_WAITING: Final = text(
    "UPDATE reminders SET email_id = mail.id FROM emails AS mail"
    " WHERE mail.id = ANY(:email_ids) AND reminders.customer_id = mail.to_user_id"
    " AND reminders.merchant_id = mail.merchant_id AND reminders.state = 'waiting' AND reminders.email_id IS NULL"
)
_DROP_OTHERS: Final = text(
    "UPDATE reminders SET state = 'dropped' WHERE email_id = ANY(:email_ids) AND state = 'waiting' AND"
    " (email_id, installment_id) NOT IN (SELECT * FROM unnest(CAST(:of AS bigint[]), CAST(:kept AS bigint[])))"
)
_GIVE_BACK: Final = text("UPDATE reminders SET email_id = NULL WHERE email_id = ANY(:email_ids) AND state = 'waiting'")
_MARK_SENT: Final = (
    "reminded# AS (UPDATE reminders SET state = 'sent', sent_at = %s"
    " WHERE email_id = %s AND state IN ('waiting', 'superseded') RETURNING 1),"
    " pair# AS (UPDATE customers SET reminded_at = %s FROM emails WHERE emails.id = %s"
    " AND customers.merchant_id = emails.merchant_id AND customers.user_id = emails.to_user_id"
    " AND (SELECT count(*) FROM reminded#) >= 0)"
)
"""The count makes PostgreSQL update the reminders first, and the row of the customer after them."""


@mail_kind("reminder", lazy_pgettext("kind of mail", "Reminder"))
def reminder(row: Email) -> Facts | None:
    """The reminder's facts."""
    email_id = row.id
    return facts_of_all([email_id])[email_id]


def facts_of_all(email_ids: Sequence[int]) -> dict[int, Facts | None]:
    """The facts of these reminders, each in the language of its reader, in statements whose number does not grow.

    None for a mail that has nothing to say. A customer without an account can't sign in, so theirs carries the plans'
    links, which are made mail by mail. The caller holds the claims on the mails, which go to different pairs of
    customer and merchant.
    """
    return {
        email_id: facts | _invitation_links(facts["without_account"], facts["items"])
        if facts is not None and facts["without_account"] is not None
        else facts
        for email_id, facts in _facts(email_ids).items()
    }


@unit_of_work
def _facts(email_ids: Sequence[int]) -> dict[int, Facts | None]:
    """The mails' facts as of now, or None when one has nothing to say.

    The first call puts every waiting reminder for this customer and merchant into the mail. Later calls, for another
    attempt under the same Message-ID, keep to those. A reminder of a paid, cancelled or muted installment is dropped. A
    reminder of an installment with a payment in flight leaves the mail and waits for another day. A mail of an earlier
    day that was never written is dropped, so that today's mail says it.

    Keys: customer_name, merchant, items (plan_id, plan, description, number, of, due, days, amount, late, automatic,
    pay_url: the item's own link, None here; at most SHOWN), more (items not listed), total, pay_url,
    settings_url, unsubscribe_url (None if no listed payment is due later: the link turns early reminders off only);
    told and by, of the mail's event; without_account, the id of such a customer. With a single item also `progress`.
    """
    mails = [mail for mail in map(_Mail._make, db.session.execute(_WITH_PAIR, {"email_ids": email_ids})) if mail.is_due]
    new = [mail.row.id for mail in mails if mail.is_new]
    if new:
        db.session.execute(_TAKE_WAITING, {"email_ids": new})
    heard = [mail for mail in mails if not mail.is_silent]
    reminders = _deliverable(heard)
    rows_of = remindable.of_pairs({mail.pair for mail in heard})
    items_of: dict[int, list[Installment]] = {}
    kept: list[tuple[int, int]] = []
    for mail in mails:
        rows = rows_of.get(mail.pair, [])
        installment_ids = set(reminders[mail.row.id])
        if mail.is_manual:
            plan_id = mail.row.data.get("plan_id")
            installment_ids |= {
                row.id for row in _due_or_next(row for row in rows if plan_id is None or row.plan_id == plan_id)
            }
        kept += [(mail.row.id, installment_id) for installment_id in installment_ids]
        if installment_ids:
            items_of[mail.row.id] = [row for row in rows if row.id in installment_ids or row.due_date <= row.plan.today]
    _drop_others([mail.row.id for mail in mails], kept)
    shown = [row for items in items_of.values() for row in items[:SHOWN]]
    known = known_plans([row.plan for row in shown])
    schedules = _schedules([items[0].plan_id for items in items_of.values() if len(items) == 1])
    facts: dict[int, Facts | None] = dict.fromkeys(email_ids)
    for mail in mails:
        if items := items_of.get(mail.row.id):
            with in_language(mail.customer.language):
                facts[mail.row.id] = _facts_of(mail, items, known, schedules)
    return facts


class _Mail(NamedTuple):
    """A reminder's row, locked, with its business and its customer."""

    row: Email
    merchant: Merchant
    customer: User
    name: Customer | None
    mute: Mute | None

    @property
    def pair(self) -> remindable.Pair:
        return self.customer.id, self.merchant.id

    @property
    def is_new(self) -> bool:
        return "told" not in self.row.data

    @property
    def is_manual(self) -> bool:
        return "by" in self.row.data

    @property
    def is_due(self) -> bool:
        today = clock.today(self.merchant.time_zone).isoformat()
        return not self.is_new or self.is_manual or self.row.data.get("day") == today

    @property
    def is_silent(self) -> bool:
        return self.customer.deactivated_at is not None or self.mute is not None


def _facts_of(mail: _Mail, items: list[Installment], known: set[int], schedules: dict[int, list[Installment]]) -> Facts:
    """The facts of a mail about these installments. Notes in its row what it tells."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for row in items:
        numbers[str(row.plan_id)].append(row.number)
    mail.row.data = {**mail.row.data, "told": numbers}
    off_url = link(f"/reminders/off/{unsubscribe.token_of(mail.customer.id)}")
    facts = {
        "customer_name": (mail.name.name if mail.name is not None else None) or mail.customer.display_name,
        "merchant": mail.merchant.business_name,
        "items": [_item(row, row.plan_id in known) for row in items[:SHOWN]],
        "more": max(0, len(items) - SHOWN),
        "total": _total(items),
        "pay_url": link("/home" if len(numbers) > 1 else f"/plans/{items[0].plan_id}"),
        "settings_url": off_url,
        "unsubscribe_url": off_url if any(row.due_date > row.plan.today for row in items) else None,
        "told": dict(numbers),
        "by": mail.row.data.get("by"),
        "without_account": None if mail.customer.is_claimed else mail.customer.id,
    }
    return facts | progress(schedules[items[0].plan_id]) if len(items) == 1 else facts


def sent(email_id: int, facts: Facts) -> None:
    """Inside the unit of work that marks the mail sent: mark its reminders sent, and record each plan's event."""
    now = clock.now()
    session().queue.add_part(_MARK_SENT, (now, email_id, now, email_id))
    for plan_id, numbers in facts["told"].items():
        events.record(ReminderSent(numbers=tuple(numbers)), plan_id=int(plan_id), by=facts["by"])


def give_back(mails: Sequence[Email]) -> None:
    """Inside a unit of work: these locked mails were never tried. What they were to tell waits for another one."""
    told = [mail for mail in mails if "told" in mail.data]
    for mail in told:
        mail.data = {name: value for name, value in mail.data.items() if name != "told"}
    if told:
        db.session.execute(_GIVE_BACK, {"email_ids": [mail.id for mail in told]})


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


def _deliverable(mails: Sequence[_Mail]) -> dict[int | None, list[int]]:
    """By mail, the installments of its reminders that may be delivered.

    A reminder with a payment in flight leaves the mail.
    """
    found: dict[int | None, list[int]] = defaultdict(list)
    if not mails:
        return found
    early: dict[int | None, bool] = {mail.row.id: mail.customer.early_reminders for mail in mails}
    query = (
        select(Reminder, Installment, Reminder.email_id)
        .join(Installment, Installment.id == Reminder.installment_id)
        .options(joinedload(Installment.plan))
        .where(Reminder.email_id.in_(early), Reminder.state == "waiting")
        .execution_options(populate_existing=True)
    )
    for reminder, row, email_id in db.session.execute(query).all():
        if (
            not row.is_chased
            or row.plan.muted_at is not None
            or row.plan.reported_at is not None
            or (reminder.rule < 0 and not early[email_id])
        ):
            continue
        if row.held:
            reminder.email_id = None
            continue
        found[email_id].append(row.id)
    return found


def _drop_others(email_ids: Sequence[int], kept: Sequence[tuple[int, int]]) -> None:
    """Drop these mails' waiting reminders but `kept`, pairs of mail and installment."""
    db.session.flush()
    of, installment_ids = [email_id for email_id, _ in kept], [installment_id for _, installment_id in kept]
    if email_ids:
        db.session.execute(_DROP_OTHERS, {"email_ids": list(email_ids), "of": of, "kept": installment_ids})


def _schedules(plan_ids: Sequence[int]) -> dict[int, list[Installment]]:
    """All installments of each of these plans, in the order of their due dates."""
    plans = select(Plan).where(Plan.id.in_(plan_ids)).options(selectinload(Plan.installments))
    return {plan.id: list(plan.installments) for plan in db.session.scalars(plans)} if plan_ids else {}


def _item(row: Installment, is_known: bool) -> dict[str, Any]:
    return {
        "plan_id": row.plan_id,
        "plan": _("Plan %(number)s", number=row.plan_id),
        "description": row.plan.description if is_known else "",
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
