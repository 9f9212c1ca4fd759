"""Reminders: the decision about each reminder rule of each installment, muted customers, and automatic attempts."""

from datetime import date
from typing import Final, Literal, get_args

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Enum,
    ForeignKey,
    Index,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Model
from portal.models.columns import Id, Instant

ReminderState = Literal["waiting", "sent", "superseded", "dropped"]
REMINDER_STATES: tuple[ReminderState, ...] = get_args(ReminderState)

FIRST_DAY: Final = -60
LAST_DAY: Final = 90
"""The range of reminder days, in signed days from the due date."""
MAX_DAYS: Final = 10
"""The most reminders of one installment."""

_WAITING = text("state = 'waiting'")


class Reminder(Model):
    """One rule of one installment, decided once. `rule` is in signed days from `due_date` (local, the plan's zone).

    - waiting: the next mail from this merchant to this customer includes the reminder.
    - sent: a sent mail included it.
    - superseded: a newer rule of the same installment was due first.
    - dropped: it is not sent (muted, turned off, not owed any more, or due before the plan was created).

    `email_id` is the mail that includes the reminder, set when that mail is first written. `local_day` is the
    merchant's date for which the reminder was last put into a mail.
    """

    __tablename__ = "reminders"

    id: Mapped[Id]
    installment_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("installments.id"))
    rule: Mapped[int] = mapped_column(SmallInteger)
    due_date: Mapped[date]
    plan_id: Mapped[int] = mapped_column(BigInteger)
    merchant_id: Mapped[int] = mapped_column(BigInteger)
    customer_id: Mapped[int] = mapped_column(BigInteger)
    local_day: Mapped[date]
    state: Mapped[ReminderState] = mapped_column(
        Enum(*REMINDER_STATES, name="state", native_enum=False, create_constraint=True), default="waiting"
    )
    email_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("emails.id", ondelete="SET NULL"))
    created_at: Mapped[Instant]
    sent_at: Mapped[Instant | None]

    __table_args__ = (
        UniqueConstraint("installment_id", "rule", "due_date"),
        CheckConstraint(f"rule BETWEEN {FIRST_DAY} AND {LAST_DAY}", name="rule"),
        CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="sent"),
        Index("ix_reminders_waiting_local_day_id", "local_day", "id", postgresql_where=_WAITING),
        Index("ix_reminders_waiting_customer_id_merchant_id", "customer_id", "merchant_id", postgresql_where=_WAITING),
        Index("ix_reminders_email_id", "email_id", postgresql_where=text("email_id IS NOT NULL")),
    )


class Mute(Model):
    """A customer whom this merchant sends no reminders. Deleting the row unmutes the customer."""

    __tablename__ = "mutes"

    merchant_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("merchants.id"), primary_key=True, autoincrement=False
    )
    customer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"), primary_key=True, autoincrement=False)
    created_at: Mapped[Instant]


class AutomaticAttempt(Model):
    """The automatic attempt for one rule of one installment. Its uniqueness prevents a second attempt after a crash.

    `rule` is 0 on the due date, else the day of an overdue reminder. The row is written in the commit that starts the
    payment. For a rule whose day lay before automatic payment was turned on, or before the merchant chose that day, the
    row is written without a payment.
    """

    __tablename__ = "automatic_attempts"

    id: Mapped[Id]
    installment_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("installments.id"))
    rule: Mapped[int] = mapped_column(SmallInteger)
    created_at: Mapped[Instant]

    __table_args__ = (
        UniqueConstraint("installment_id", "rule"),
        CheckConstraint(f"rule BETWEEN 0 AND {LAST_DAY}", name="rule"),
    )
