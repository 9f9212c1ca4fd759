"""The ledger: double entry, append-only (triggers refuse every UPDATE and DELETE)."""

from typing import Literal, get_args

from sqlalchemy import BigInteger, CheckConstraint, Enum, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.columns import Currency, Id, Instant, Minor
from portal.models.plans import Plan

EntryKind = Literal["plan_opened", "payment"]
ENTRY_KINDS: tuple[EntryKind, ...] = get_args(EntryKind)

Account = Literal["receivable", "sales", "cash"]
ACCOUNTS: tuple[Account, ...] = get_args(Account)


class LedgerEntry(Model):
    """One thing that happened to money. Its lines sum to zero in each currency (deferred trigger)."""

    __tablename__ = "ledger_entries"

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("plans.id"))
    payment_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("payments.id"))
    kind: Mapped[EntryKind] = mapped_column(Enum(*ENTRY_KINDS, name="kind", native_enum=False, create_constraint=True))
    created_at: Mapped[Instant]

    plan: Mapped[Plan] = relationship()
    lines: Mapped[list["LedgerLine"]] = relationship(back_populates="entry", order_by="LedgerLine.id")

    __table_args__ = (
        Index("ix_ledger_entries_plan_id_id", "plan_id", "id"),
        Index(
            "uq_ledger_entries_payment_id_kind",
            "payment_id",
            "kind",
            unique=True,
            postgresql_where=(payment_id.is_not(None)),
        ),
        CheckConstraint("(kind = 'plan_opened') = (payment_id IS NULL)", name="payment"),
    )


class LedgerLine(Model):
    """A debit (positive) or credit (negative) of one account, in minor units."""

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
