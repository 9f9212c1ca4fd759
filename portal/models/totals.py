"""The sums behind a business's figures. Triggers add a row for each change; services/books/totals.py folds rows.

What a customer owes is one row, which a trigger keeps, so that an index has the order of a list.

The sum over all rows of a key is exact in every snapshot. The rows have no foreign key: triggers copy the business of
an installment or a ledger entry, and a foreign key would lock the business's row in every payment.
"""

from datetime import date

from sqlalchemy import BigInteger, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Model
from portal.models.columns import Currency, Id, Instant, Minor

_FRESH = text("NOT folded")


class DueTotal(Model):
    """Changes of the counted installments of one business, currency, time zone, due date and `late_at`.

    `owed` installments have a remaining amount. `chased` ones may be late: they are also not disputed, and no payment
    in flight covers them. `paid` ones are paid in full, those `on_time` before `late_at`. `given_up` ones were written
    off or cancelled after `late_at`. `paid_amount` is paid of any of them, `lost_amount` was written off, or cancelled
    after `late_at`. `recorded_at` is the instant of the change, in a folded row of the newest one.
    """

    __tablename__ = "due_totals"

    id: Mapped[Id]
    merchant_id: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[Currency]
    time_zone: Mapped[str] = mapped_column(String(64))
    due_date: Mapped[date]
    late_at: Mapped[Instant]
    recorded_at: Mapped[Instant]
    owed: Mapped[int] = mapped_column(BigInteger)
    owed_amount: Mapped[Minor]
    chased: Mapped[int] = mapped_column(BigInteger)
    chased_amount: Mapped[Minor]
    paid: Mapped[int] = mapped_column(BigInteger)
    paid_amount: Mapped[Minor]
    on_time: Mapped[int] = mapped_column(BigInteger)
    given_up: Mapped[int] = mapped_column(BigInteger)
    lost_amount: Mapped[Minor]
    folded: Mapped[bool] = mapped_column(default=False, server_default=text("false"))

    __table_args__ = (
        Index("ix_due_totals_merchant_id", "merchant_id"),
        Index("ix_due_totals_fresh_merchant_id", "merchant_id", postgresql_where=_FRESH),
    )


class CollectedTotal(Model):
    """Money in and out of one business, currency and booking date: payments less refunds, reversals and voids.

    `recorded_at` is the instant of the ledger entry, in a folded row of the newest one.
    """

    __tablename__ = "collected_totals"

    id: Mapped[Id]
    merchant_id: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[Currency]
    booked_on: Mapped[date]
    recorded_at: Mapped[Instant]
    amount: Mapped[Minor]
    folded: Mapped[bool] = mapped_column(default=False, server_default=text("false"))

    __table_args__ = (
        Index("ix_collected_totals_merchant_id", "merchant_id"),
        Index("ix_collected_totals_fresh_merchant_id", "merchant_id", postgresql_where=_FRESH),
    )


class CustomerBalance(Model):
    """The amount that a customer owes a business: what remains of the installments that count.

    Minor units of the home currency, which is fixed once a plan exists and needs no column here. Every customer with a
    plan has a row.
    """

    __tablename__ = "customer_balances"

    merchant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    customer_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    owed: Mapped[Minor]

    __table_args__ = (Index("ix_customer_balances_merchant_id_owed_customer_id", "merchant_id", "owed", "customer_id"),)
