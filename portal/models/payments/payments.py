"""Payments, and which installments each of them pays."""

from datetime import date, datetime
from typing import Literal, get_args

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Select,
    String,
    UniqueConstraint,
    select,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model, db
from portal.models.accounts.users import User
from portal.models.columns import Currency, Id, Instant, Minor, UserId
from portal.models.plans.installments import Installment
from portal.models.plans.plans import Plan

PaymentState = Literal["in_flight", "succeeded", "declined", "reversed"]
PAYMENT_STATES: tuple[PaymentState, ...] = get_args(PaymentState)

AllocationState = Literal["held", "applied", "released"]
ALLOCATION_STATES: tuple[AllocationState, ...] = get_args(AllocationState)

RecordedMethod = Literal["cash", "transfer"]
RECORDED_METHODS: tuple[RecordedMethod, ...] = get_args(RecordedMethod)
"""How money comes in without the gateway: a merchant writes it down."""

_RECORDED = "method IN ('cash', 'transfer')"


class Payment(Model):
    """One attempt to move money. `in_flight` until the gateway's answer is known, however long that takes.

    `gateway_key` is the one name under which the gateway is asked to charge, and asked again what became of it;
    `unanswered_at` is when the charge ended without an answer. Money
    that a merchant recorded has none, but a day on which it came and perhaps a reference. `refunded` went back by
    refunds, `refunding` is on its way back, `reversed` was taken back by the bank: together never more than `amount`.
    """

    __tablename__ = "payments"

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(BigInteger)
    merchant_id: Mapped[int] = mapped_column(BigInteger)
    customer_id: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[Currency]
    amount: Mapped[Minor]
    state: Mapped[PaymentState] = mapped_column(
        Enum(*PAYMENT_STATES, name="state", native_enum=False, create_constraint=True), default="in_flight"
    )
    method: Mapped[str] = mapped_column(String(64))
    automatic: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    gateway_key: Mapped[str | None] = mapped_column(String(64), unique=True)
    gateway_reference: Mapped[str | None] = mapped_column(String(64))
    decline_code: Mapped[str | None] = mapped_column(String(40))
    reference: Mapped[str] = mapped_column(String(120), default="", server_default="")
    received_on: Mapped[date | None]
    refunded: Mapped[Minor] = mapped_column(default=0, server_default=text("0"))
    refunding: Mapped[Minor] = mapped_column(default=0, server_default=text("0"))
    reversed: Mapped[Minor] = mapped_column(default=0, server_default=text("0"))
    created_by: Mapped[UserId]
    created_at: Mapped[Instant]
    unanswered_at: Mapped[Instant | None]
    settled_at: Mapped[Instant | None]
    reversed_at: Mapped[Instant | None]

    plan: Mapped[Plan] = relationship(foreign_keys=[plan_id])
    customer: Mapped[User] = relationship(primaryjoin="foreign(Payment.customer_id) == User.id", viewonly=True)
    allocations: Mapped[list["Allocation"]] = relationship(
        back_populates="payment", order_by="Allocation.id", foreign_keys="Allocation.payment_id"
    )

    __table_args__ = (
        ForeignKeyConstraint(
            ["plan_id", "merchant_id", "customer_id", "currency"],
            ["plans.id", "plans.merchant_id", "plans.customer_id", "plans.currency"],
            name="fk_payments_plan",
        ),
        UniqueConstraint("id", "plan_id"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("(state = 'in_flight') = (settled_at IS NULL)", name="settled"),
        CheckConstraint("(state = 'declined') = (decline_code IS NOT NULL)", name="decline_code"),
        CheckConstraint(f"({_RECORDED}) = (gateway_key IS NULL)", name="recorded"),
        CheckConstraint(f"({_RECORDED}) = (received_on IS NOT NULL)", name="received_on"),
        CheckConstraint(
            "refunded >= 0 AND refunding >= 0 AND reversed >= 0 AND refunded + refunding + reversed <= amount",
            name="given_back",
        ),
        CheckConstraint(
            "refunded + refunding = 0 OR state IN ('succeeded', 'reversed')", name="refunded_after_success"
        ),
        CheckConstraint(
            "(state = 'reversed') = (reversed_at IS NOT NULL) AND (state = 'reversed') = (reversed > 0)",
            name="reversed",
        ),
        Index("ix_payments_merchant_id_id", "merchant_id", "id"),
        Index("ix_payments_customer_id_id", "customer_id", "id"),
        Index("ix_payments_plan_id_id", "plan_id", "id"),
        Index("ix_payments_merchant_id_state_id", "merchant_id", "state", "id"),
        Index(
            "ix_payments_received_merchant_id_settled_at_id",
            "merchant_id",
            "settled_at",
            "id",
            postgresql_include=["currency", "amount", "refunded", "reversed", "plan_id"],
            postgresql_where=text("state IN ('succeeded', 'reversed')"),
        ),
        Index(
            "ix_payments_refunded_merchant_id_id",
            "merchant_id",
            "id",
            postgresql_where=text("refunded > 0 OR refunding > 0"),
        ),
        Index("ix_payments_in_flight_created_at", "created_at", postgresql_where=text("state = 'in_flight'")),
    )

    @property
    def is_recorded(self) -> bool:
        """A merchant wrote it down; the gateway knows nothing of it."""
        return self.method in RECORDED_METHODS

    @property
    def kept(self) -> int:
        """What of it stayed: minor units that came in and did not go back."""
        return self.amount - self.refunded - self.reversed if self.state in ("succeeded", "reversed") else 0

    @property
    def refundable(self) -> int:
        """What may still be given back, in minor units; what is on its way back counts against it."""
        return self.kept - self.refunding if self.state == "succeeded" else 0

    @staticmethod
    def of_plan(plan_id: int) -> Select["Payment"]:
        """Newest first."""
        return select(Payment).where(Payment.plan_id == plan_id).order_by(Payment.id.desc())

    @staticmethod
    def in_flight_of_plan(plan_id: int) -> "Payment | None":
        """A payment of this plan whose outcome is not known yet, if there is one."""
        return db.session.scalar(
            select(Payment).where(Payment.plan_id == plan_id, Payment.state == "in_flight").limit(1)
        )

    @staticmethod
    def waiting(before: datetime) -> Select["Payment"]:
        """Payments in flight since before this instant, oldest first."""
        return (
            select(Payment)
            .where(Payment.state == "in_flight", Payment.created_at <= before)
            .order_by(Payment.created_at, Payment.id)
        )


class Allocation(Model):
    """How much of a payment goes to which installment: held while in flight, then applied or released.

    `returned` is the part that no longer counts as paid: the bank took it back, or less was owed than had been charged.
    """

    __tablename__ = "allocations"

    id: Mapped[Id]
    payment_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("payments.id"))
    installment_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("installments.id"))
    amount: Mapped[Minor]
    state: Mapped[AllocationState] = mapped_column(
        Enum(*ALLOCATION_STATES, name="state", native_enum=False, create_constraint=True), default="held"
    )

    returned: Mapped[Minor] = mapped_column(default=0, server_default=text("0"))

    payment: Mapped[Payment] = relationship(back_populates="allocations")
    installment: Mapped[Installment] = relationship()

    __table_args__ = (
        UniqueConstraint("payment_id", "installment_id"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("returned BETWEEN 0 AND amount AND (returned = 0 OR state = 'applied')", name="returned"),
        Index(
            "uq_allocations_held_installment_id", "installment_id", unique=True, postgresql_where=text("state = 'held'")
        ),
        Index("ix_allocations_installment_id", "installment_id"),
    )
