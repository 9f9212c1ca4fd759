"""Reminders: which rule of which installment was decided, and what became of it."""

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
"""Signed days from the due date between which a merchant may remind."""
MAX_DAYS: Final = 10
"""How many reminders an installment may have."""
DEFAULT_DAYS: Final = (-3, 0, 1, 7, 14)

_WAITING = text("state = 'waiting'")


class Reminder(Model):
    """One rule of one installment, decided once: `rule` is in signed days from `due_date` (local, the plan's zone).

    waiting: to be told by the next mail to this customer from this merchant. sent: told. superseded: a newer rule of
    the same installment came first. dropped: not wanted any more, or never (muted, turned off, from before the plan).
    `email_id` is the mail that it is part of, set when that mail is written for the first time; `local_day` the
    merchant's date on which it is, or was last, put into a mail.
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
    """This merchant reminds this customer of nothing, until it is taken back."""

    __tablename__ = "mutes"

    merchant_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("merchants.user_id"), primary_key=True, autoincrement=False
    )
    customer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"), primary_key=True, autoincrement=False)
    created_at: Mapped[Instant]


class AutomaticAttempt(Model):
    """One rule of one installment on which its plan was collected automatically; never twice, whatever crashes.

    `rule` is 0 on the due day, else the days of an overdue reminder. Written in the commit that starts the payment; or
    without one, for a rule whose day lay before collecting was turned on or before the merchant chose that day.
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
