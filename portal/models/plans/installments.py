"""Installments: due dates, amounts and what remains of them."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Literal, get_args

from sqlalchemy import (
    BigInteger,
    BindParameter,
    CheckConstraint,
    ColumnElement,
    Computed,
    ForeignKeyConstraint,
    Index,
    Select,
    SmallInteger,
    and_,
    case,
    or_,
    select,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship
from sqlalchemy.orm.attributes import set_committed_value

from portal.domain import clock
from portal.extensions import Model, db
from portal.models.columns import Currency, Id, Instant, Minor
from portal.models.plans.plans import Plan

InstallmentStatus = Literal["pending", "late", "paid", "waived", "replaced", "cancelled", "written_off"]
INSTALLMENT_STATUSES: tuple[InstallmentStatus, ...] = get_args(InstallmentStatus)

_OPEN = text("remaining > 0 AND counted")


class Installment(Model):
    """One part of a plan. A trigger fixes amount, number and dates. `paid`, `credited`, `written_off`, `moved` change.

    `moved` went to new installments by a rescheduling; of a `replaced` installment, all of it. `moved_at` is the
    instant of the last rescheduling that took a part of it, `added_at` of the one that added the installment.

    An unpaid installment is late from the local date `late_on`. `late_at` is the instant at which that date begins in
    the plan's time zone. Both are fixed with the schedule, so lateness is one comparison. `credited_at` is the instant
    of the last credit, `written_off_at` of the last write-off; `paid_at` is described in services/plans/paid_at.py.
    Merchant, customer, currency,
    `counted` and `disputed` repeat those of the plan (foreign key with ON UPDATE CASCADE), so that lists and sums need
    no join. `held` is the amount of the payment in flight; a trigger keeps it (guards/payments/installments_held.sql).
    An amount is *owed* while it remains and is counted; it is *chased* while it is owed and not disputed; it *may be
    late* while it is chased and no payment in flight covers it.
    """

    __tablename__ = "installments"

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(BigInteger)
    merchant_id: Mapped[int] = mapped_column(BigInteger)
    customer_id: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[Currency]
    number: Mapped[int] = mapped_column(SmallInteger)
    due_date: Mapped[date]
    late_on: Mapped[date]
    late_at: Mapped[Instant]
    amount: Mapped[Minor]
    paid: Mapped[Minor] = mapped_column(default=0)
    credited: Mapped[Minor] = mapped_column(default=0)
    written_off: Mapped[Minor] = mapped_column(default=0)
    moved: Mapped[Minor] = mapped_column(default=0, server_default=text("0"))
    moved_at: Mapped[Instant | None]
    added_at: Mapped[Instant | None]
    remaining: Mapped[int] = mapped_column(
        BigInteger, Computed("amount - paid - credited - written_off - moved", persisted=True)
    )
    paid_at: Mapped[Instant | None]
    credited_at: Mapped[Instant | None]
    written_off_at: Mapped[Instant | None]
    cancelled_at: Mapped[Instant | None]
    counted: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    disputed: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    held: Mapped[Minor] = mapped_column(default=0, server_default=text("0"))

    plan: Mapped[Plan] = relationship(primaryjoin="Installment.plan_id == Plan.id", foreign_keys=[plan_id])

    __table_args__ = (
        ForeignKeyConstraint(
            ["plan_id", "merchant_id", "customer_id", "currency", "counted", "disputed"],
            [
                "plans.id",
                "plans.merchant_id",
                "plans.customer_id",
                "plans.currency",
                "plans.counted",
                "plans.disputed",
            ],
            name="fk_installments_plan",
            onupdate="CASCADE",
        ),
        Index(
            "uq_installments_plan_id_number",
            "plan_id",
            "number",
            unique=True,
            postgresql_where=text("moved < amount"),
        ),
        Index("ix_installments_plan_id_id", "plan_id", "id"),
        CheckConstraint("moved >= 0 AND (moved > 0) = (moved_at IS NOT NULL)", name="moved"),
        CheckConstraint("number BETWEEN 1 AND 60", name="number"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("paid >= 0", name="paid"),
        CheckConstraint("held >= 0", name="held"),
        CheckConstraint("credited >= 0", name="credited"),
        CheckConstraint("written_off >= 0", name="written_off"),
        CheckConstraint("remaining >= 0", name="remaining"),
        CheckConstraint("late_on > due_date", name="late_after_due"),
        CheckConstraint("due_date BETWEEN '2000-01-01' AND '2199-12-31'", name="due_date"),
        CheckConstraint("cancelled_at IS NULL OR remaining = 0", name="cancelled_owes_nothing"),
        Index("ix_installments_merchant_id_currency_amount_id", "merchant_id", "currency", "amount", "id"),
        Index(
            "ix_installments_merchant_id_due_date_id",
            "merchant_id",
            "due_date",
            "id",
            postgresql_include=["currency", "paid", "remaining", "counted"],
        ),
        Index("ix_installments_customer_id_due_date_id", "customer_id", "due_date", "id"),
        Index(
            "ix_installments_open_merchant_id_due_date_id",
            "merchant_id",
            "due_date",
            "id",
            postgresql_include=[
                *("currency", "remaining", "late_at", "added_at", "customer_id", "plan_id", "disputed", "held")
            ],
            postgresql_where=_OPEN,
        ),
        Index(
            "ix_installments_given_up_merchant_id_due_date_id",
            "merchant_id",
            "due_date",
            "id",
            postgresql_where=text(
                "counted AND (cancelled_at IS NOT NULL OR written_off > 0 OR credited_at IS NOT NULL "
                "OR moved_at IS NOT NULL)"
            ),
        ),
        Index("ix_installments_open_customer_id_due_date", "customer_id", "due_date", "id", postgresql_where=_OPEN),
        Index("ix_installments_open_due_date_id", "due_date", "id", postgresql_where=_OPEN),
    )

    @property
    def status(self) -> InstallmentStatus:
        """pending, late, paid, waived, cancelled or written_off, at the present instant."""
        left = self.left
        if left > 0:
            may_be_late = self.counted and not self.disputed and (self.held or 0) < left
            return "late" if may_be_late and self.late_at <= clock.now() else "pending"
        return settled_status(self.cancelled_at, self.written_off, self.moved or 0, self.amount, self.paid)

    @property
    def is_open(self) -> bool:
        """A part of the amount is still owed."""
        return self.left > 0

    @property
    def is_chased(self) -> bool:
        """A part of the amount is owed and may be late, reminded of and collected automatically."""
        return self.left > 0 and self.counted and not self.disputed

    @property
    def may_be_late(self) -> bool:
        """The amount is chased, and no payment in flight covers what is left. It is late from `late_at` on."""
        return self.is_chased and (self.held or 0) < self.left

    @property
    def payable(self) -> int:
        """The amount that may be paid, in minor units: the remaining one, or the written-off one (a recovery)."""
        return self.left or (self.written_off if self.cancelled_at is None else 0)

    @property
    def left(self) -> int:
        """`remaining` in minor units, computed from the other columns. It is right between a change and its flush."""
        return self.amount - self.paid - self.credited - self.written_off - (self.moved or 0)

    def days_past_due(self, today: date) -> int:
        """Days from the due date to `today` (both local). 0 until the due date has passed."""
        return max(0, (today - self.due_date) // timedelta(days=1))

    @staticmethod
    def is_late(now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
        """The same rule as `status == "late"`, in SQL. `now` is aware."""
        return and_(Installment.chased(), Installment.held < Installment.remaining, Installment.late_at <= now)

    @staticmethod
    def follow_held(parts: Iterable[tuple["Installment", int]]) -> None:
        """`held` of these rows of the session is what the trigger writes with their allocations."""
        for row, amount in parts:
            set_committed_value(row, "held", amount)

    @staticmethod
    def is_live() -> ColumnElement[bool]:
        """No rescheduling replaced it whole."""
        return Installment.moved < Installment.amount

    @staticmethod
    def was_added_by(instant: datetime) -> ColumnElement[bool]:
        """No rescheduling added it at this instant (aware) or later."""
        return or_(Installment.added_at.is_(None), Installment.added_at < instant)

    @staticmethod
    def owed() -> ColumnElement[bool]:
        """An amount remains, and the plan counts: what sums of outstanding amounts add up."""
        return and_(Installment.remaining > 0, Installment.counted)

    @staticmethod
    def chased() -> ColumnElement[bool]:
        """The same rule as `is_chased`, in SQL."""
        return and_(Installment.owed(), ~Installment.disputed)

    @staticmethod
    def is_paid() -> ColumnElement[bool]:
        """The same rule as `status == "paid"`, in SQL."""
        return and_(
            Installment.remaining == 0,
            Installment.paid > 0,
            Installment.written_off == 0,
            Installment.cancelled_at.is_(None),
        )

    @staticmethod
    def has_status(status: str, now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
        """The same rules as `status`, in SQL, with "open" for what is owed. `now` is aware."""
        settled = and_(Installment.remaining == 0, Installment.cancelled_at.is_(None))
        rules: dict[str, ColumnElement[bool]] = {
            "open": Installment.owed(),
            "pending": and_(Installment.remaining > 0, ~Installment.is_late(now)),
            "late": Installment.is_late(now),
            "paid": Installment.is_paid(),
            "waived": and_(settled, Installment.is_live(), Installment.paid == 0, Installment.written_off == 0),
            "replaced": ~Installment.is_live(),
            "cancelled": Installment.cancelled_at.is_not(None),
            "written_off": and_(settled, Installment.written_off > 0),
        }
        return rules[status]

    @staticmethod
    def status_at(now: datetime | BindParameter[datetime]) -> ColumnElement[str]:
        """`status` at this instant (aware), in SQL."""
        statuses: tuple[InstallmentStatus, ...] = ("late", "pending", "cancelled", "written_off", "replaced", "paid")
        return case(*((Installment.has_status(status, now), status) for status in statuses), else_="waived")

    @staticmethod
    def of_customer(customer_id: int | BindParameter[int]) -> Select["Installment"]:
        return select(Installment).where(Installment.customer_id == customer_id)

    @staticmethod
    def of_merchant(merchant_id: int) -> Select["Installment"]:
        return select(Installment).where(Installment.merchant_id == merchant_id)

    @staticmethod
    def lock_of_plan(plan_id: int) -> list["Installment"]:
        """Lock and re-read all installments of a plan. The caller holds the lock of the plan's row.

        They are in the order in which they are paid: by due date.
        """
        rows = list(
            db.session.scalars(
                select(Installment)
                .where(Installment.plan_id == plan_id)
                .order_by(Installment.id)
                .with_for_update(key_share=True)
                .execution_options(populate_existing=True)
            )
        )
        return in_order_of_payment(rows)


def in_order_of_payment(rows: Iterable[Installment]) -> list[Installment]:
    """The rows by due date."""
    return sorted(rows, key=lambda row: (row.due_date, row.id))


def settled_status(
    cancelled_at: datetime | None, written_off: int, moved: int, amount: int, paid: int
) -> InstallmentStatus:
    """The status of an installment of which nothing remains. Amounts are minor units."""
    if cancelled_at is not None:
        return "cancelled"
    if written_off > 0:
        return "written_off"
    if moved == amount:
        return "replaced"
    return "paid" if paid > 0 else "waived"
