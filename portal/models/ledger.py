"""The ledger: double-entry and append-only. Triggers refuse every UPDATE and DELETE."""

from typing import Literal, get_args

from sqlalchemy import BigInteger, CheckConstraint, Enum, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.columns import Currency, Id, Instant, Minor
from portal.models.plans.plans import Plan

EntryKind = Literal["plan_opened", "payment", "refund", "credit", "write_off", "cancellation", "reversal"]
ENTRY_KINDS: tuple[EntryKind, ...] = get_args(EntryKind)

Account = Literal["receivable", "sales", "cash", "refunds", "credits", "write_offs", "reversals", "overpayments"]
ACCOUNTS: tuple[Account, ...] = get_args(Account)


class LedgerEntry(Model):
    """A booking. Its lines sum to zero in each currency (deferred trigger).

    `reason` is the merchant's text. `created_by` is None for a booking by the system.
    """

    __tablename__ = "ledger_entries"

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("plans.id"))
    payment_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("payments.id"))
    refund_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("refunds.id"), unique=True)
    kind: Mapped[EntryKind] = mapped_column(Enum(*ENTRY_KINDS, name="kind", native_enum=False, create_constraint=True))
    reason: Mapped[str] = mapped_column(String(200), default="", server_default="")
    created_by: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))
    created_at: Mapped[Instant]

    plan: Mapped[Plan] = relationship()
    lines: Mapped[list["LedgerLine"]] = relationship(back_populates="entry", order_by="LedgerLine.id")

    __table_args__ = (
        Index("ix_ledger_entries_plan_id_id", "plan_id", "id"),
        Index("ix_ledger_entries_created_at_id", "created_at", "id"),
        Index(
            "uq_ledger_entries_payment_id_kind",
            "payment_id",
            "kind",
            unique=True,
            postgresql_where=(payment_id.is_not(None)),
        ),
        CheckConstraint("(kind IN ('payment', 'reversal')) = (payment_id IS NOT NULL)", name="payment"),
        CheckConstraint("(kind = 'refund') = (refund_id IS NOT NULL)", name="refund"),
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
