"""The ledger: double-entry and append-only. Triggers refuse every UPDATE and DELETE."""

from datetime import date

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    and_,
    case,
    select,
)
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from portal.domain.chart import ACCOUNTS, ENTRY_KINDS, REFUND_KINDS, Account, EntryKind
from portal.domain.events import Cause
from portal.extensions import Model
from portal.models.columns import Currency, Id, Instant, Minor
from portal.models.payments.refunds import Refund
from portal.models.plans.plans import Plan
from portal.models.texts import typed_text


class LedgerEntry(Model):
    """A booking. Its lines sum to zero in each currency (deferred trigger).

    `reason` is the merchant's text: "" without one, None once it is erased. `cause` tells why the system booked it.
    `created_by` is None for a booking by the system. `booked_on` is the local date of the business that the entry
    belongs to, which no later change of its time zone alters. `value_on` is set if the books were closed over that
    date: then `booked_on` is the first open day. `recorded_at` is the instant at which it was written.
    `collected` is by how much it changed what the business has collected, in minor units of `collected_currency`: the
    sum of its lines of money and of losses. Both are None for an entry without such a line.
    """

    __tablename__ = "ledger_entries"

    id: Mapped[Id]
    merchant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("merchants.id"))
    plan_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("plans.id"))
    payment_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("payments.id"))
    refund_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("refunds.id"))
    kind: Mapped[EntryKind] = mapped_column(Enum(*ENTRY_KINDS, name="kind", native_enum=False, create_constraint=True))
    reason_id: Mapped[int | None] = mapped_column(BigInteger)
    created_by: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))
    booked_on: Mapped[date]
    value_on: Mapped[date | None]
    recorded_at: Mapped[Instant]
    collected_currency: Mapped[str | None] = mapped_column(String(3))
    collected: Mapped[int | None] = mapped_column(BigInteger)

    reason: Mapped[str | None] = column_property(typed_text(reason_id))
    cause: Mapped[Cause | None] = column_property(
        case(
            (and_(kind == "reversal", created_by.is_(None)), "taken_back"),
            (
                kind.in_(REFUND_KINDS),
                select(case((Refund.excess, "overcharged")))
                .where(Refund.id == refund_id)
                .correlate_except(Refund)
                .scalar_subquery(),
            ),
        )
    )

    plan: Mapped[Plan] = relationship()
    lines: Mapped[list["LedgerLine"]] = relationship(back_populates="entry", order_by="LedgerLine.id")

    __table_args__ = (
        ForeignKeyConstraint(["plan_id", "reason_id"], ["texts.plan_id", "texts.id"], name="fk_ledger_entries_reason"),
        Index("ix_ledger_entries_plan_id_id", "plan_id", "id"),
        Index("ix_ledger_entries_merchant_id_booked_on_id", "merchant_id", "booked_on", "id"),
        Index(
            "ix_ledger_entries_merchant_id_collected_currency_collected_id",
            "merchant_id",
            "collected_currency",
            "collected",
            "id",
            postgresql_where=(collected.is_not(None)),
        ),
        Index(
            "uq_ledger_entries_payment_id_kind",
            "payment_id",
            "kind",
            unique=True,
            postgresql_where=(payment_id.is_not(None)),
        ),
        CheckConstraint(
            "(kind IN ('payment', 'reversal', 'loss_returned', 'void')) = (payment_id IS NOT NULL)", name="payment"
        ),
        Index(
            "uq_ledger_entries_refund_id_kind",
            "refund_id",
            "kind",
            unique=True,
            postgresql_where=(refund_id.is_not(None)),
        ),
        Index(
            "uq_ledger_entries_refund_outcome",
            "refund_id",
            unique=True,
            postgresql_where=kind.in_(("refund", "refund_declined")),
        ),
        CheckConstraint(
            "(kind IN ('refund_begun', 'refund', 'refund_declined')) = (refund_id IS NOT NULL)", name="refund"
        ),
        CheckConstraint("value_on < booked_on", name="value_on"),
    )


class LedgerLine(Model):
    """A debit (positive) or a credit (negative) of one account, in minor units."""

    __tablename__ = "ledger_lines"

    id: Mapped[Id]
    entry_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("ledger_entries.id"))
    account: Mapped[Account] = mapped_column(Enum(*ACCOUNTS, name="account", native_enum=False, create_constraint=True))
    currency: Mapped[Currency]
    amount: Mapped[Minor]

    entry: Mapped[LedgerEntry] = relationship(back_populates="lines")

    __table_args__ = (
        CheckConstraint("amount <> 0", name="amount"),
        Index("ix_ledger_lines_entry_id", "entry_id"),
    )


class EntryNumber(Model):
    """The number of a ledger entry in the books of its business: from 1, without gaps. Rows are inserted only."""

    __tablename__ = "entry_numbers"

    merchant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("merchants.id"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    entry_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("ledger_entries.id"), unique=True)

    __table_args__ = (CheckConstraint("number > 0", name="number"),)


class AccountName(Model):
    """How a business calls an account from the local date `since` on: its code, its name, its name in exported files.

    A row whose `since` lies in closed books never changes (trigger), so files of a closed period stay as they are.
    """

    __tablename__ = "account_names"

    id: Mapped[Id]
    merchant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("merchants.id"))
    account: Mapped[Account] = mapped_column(Enum(*ACCOUNTS, name="account", native_enum=False, create_constraint=True))
    since: Mapped[date]
    code: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(60))
    export_name: Mapped[str] = mapped_column(String(100))

    __table_args__ = (UniqueConstraint("merchant_id", "account", "since"),)
