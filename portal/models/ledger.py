"""The ledger: double-entry and append-only. Triggers refuse every UPDATE and DELETE."""

from typing import Literal, get_args

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    and_,
    case,
    select,
)
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from portal.domain.events import Cause
from portal.extensions import Model
from portal.models.columns import Currency, Id, Instant, Minor
from portal.models.payments.refunds import Refund
from portal.models.plans.plans import Plan
from portal.models.texts import typed_text

EntryKind = Literal[
    "plan_opened", "plan_undone", "payment", "refund", "credit", "write_off", "cancellation", "reversal", "void"
]
ENTRY_KINDS: tuple[EntryKind, ...] = get_args(EntryKind)

Account = Literal[
    "receivable", "sales", "cash", "refunds", "credits", "write_offs", "losses", "overpayments", "prepayments"
]
ACCOUNTS: tuple[Account, ...] = get_args(Account)


class LedgerEntry(Model):
    """A booking. Its lines sum to zero in each currency (deferred trigger).

    `reason` is the merchant's text: "" without one, None once it is erased. `cause` tells why the system booked it.
    `created_by` is None for a booking by the system.
    """

    __tablename__ = "ledger_entries"

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("plans.id"))
    payment_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("payments.id"))
    refund_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("refunds.id"), unique=True)
    kind: Mapped[EntryKind] = mapped_column(Enum(*ENTRY_KINDS, name="kind", native_enum=False, create_constraint=True))
    reason_id: Mapped[int | None] = mapped_column(BigInteger)
    created_by: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))
    created_at: Mapped[Instant]

    reason: Mapped[str | None] = column_property(typed_text(reason_id))
    cause: Mapped[Cause | None] = column_property(
        case(
            (and_(kind == "reversal", created_by.is_(None)), "taken_back"),
            (
                kind == "refund",
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
        Index("ix_ledger_entries_created_at_id", "created_at", "id"),
        Index(
            "uq_ledger_entries_payment_id_kind",
            "payment_id",
            "kind",
            unique=True,
            postgresql_where=(payment_id.is_not(None)),
        ),
        CheckConstraint("(kind IN ('payment', 'reversal', 'void')) = (payment_id IS NOT NULL)", name="payment"),
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
