"""What the tests of reminders share: looking at a given moment, and what customers then find in their mail."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import time_machine
from sqlalchemy import func, select, update

from portal import jobs
from portal.extensions import db
from portal.models import Merchant, Outbox, Reminder


def moment(text: str, zone: str = "Asia/Riyadh") -> datetime:
    """ "2026-03-04 09:00" on the wall in `zone`, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@contextmanager
def on(text: str, zone: str = "Asia/Riyadh") -> Iterator[time_machine.Traveller]:
    """It is this moment there, and stays so until it is shifted."""
    with time_machine.travel(moment(text, zone), tick=False) as travelling:
        yield travelling


def look() -> int:
    """What the timetable does every minute. Returns how many reminders are new."""
    return jobs.send_due_soon_reminders() + jobs.send_overdue_reminders()


def look_and_send() -> list[str]:
    """Look, send what waits, and return the subjects of the reminders that are new in the outbox."""
    look()
    return deliver()


def deliver() -> list[str]:
    """Send what waits. Returns the subjects of the reminders among it, oldest first."""
    before = set(db.session.scalars(_told().with_only_columns(Outbox.id)))
    db.session.rollback()
    jobs.drain_outbox()
    return [mail.subject or "" for mail in mails() if mail.id not in before]


def mails() -> list[Outbox]:
    """Every reminder that was sent (kept, where there is no mail server), oldest first."""
    db.session.rollback()
    return list(db.session.scalars(_told().order_by(Outbox.id)))


def rules(*states: str) -> list[tuple[int, str]]:
    """(rule, state) of every reminder in one of these states, or of all, by installment and rule."""
    db.session.rollback()
    found = select(Reminder).order_by(Reminder.installment_id, Reminder.rule)
    return [(row.rule, row.state) for row in db.session.scalars(found) if not states or row.state in states]


def posted() -> int:
    """How many reminder mails there are, whatever became of them."""
    db.session.rollback()
    return db.session.scalar(select(func.count(Outbox.id)).where(Outbox.kind == "reminder")) or 0


def remind_on(merchant_id: int, *days: int, hour: int = 9) -> None:
    """The merchant's days and hour, as if chosen long ago."""
    db.session.execute(
        update(Merchant)
        .where(Merchant.user_id == merchant_id)
        .values(reminder_days=sorted(days), sending_hour=hour, reminding_since=None)
    )
    db.session.commit()


def _told():
    return select(Outbox).where(Outbox.kind == "reminder", Outbox.state.in_(("sent", "kept")))
