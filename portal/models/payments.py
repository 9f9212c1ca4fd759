"""Payments, and which installments each of them pays."""

from datetime import datetime
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
from portal.models.columns import Currency, Id, Instant, Minor, UserId
from portal.models.installments import Installment
from portal.models.plans import Plan
from portal.models.users import User

PaymentState = Literal["in_flight", "succeeded", "declined"]
PAYMENT_STATES: tuple[PaymentState, ...] = get_args(PaymentState)

AllocationState = Literal["held", "applied", "released"]
ALLOCATION_STATES: tuple[AllocationState, ...] = get_args(AllocationState)


class Payment(Model):
    """One attempt to move money. `in_flight` until the gateway's answer is known, however long that takes.

    `gateway_key` is the one name under which the gateway is asked to charge, and asked again what became of it.
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
    gateway_key: Mapped[str] = mapped_column(String(64), unique=True)
    gateway_reference: Mapped[str | None] = mapped_column(String(64))
    decline_code: Mapped[str | None] = mapped_column(String(40))
    created_by: Mapped[UserId]
    created_at: Mapped[Instant]
    settled_at: Mapped[Instant | None]

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
        Index("ix_payments_merchant_id_id", "merchant_id", "id"),
        Index("ix_payments_customer_id_id", "customer_id", "id"),
        Index("ix_payments_plan_id_id", "plan_id", "id"),
        Index("ix_payments_in_flight_created_at", "created_at", postgresql_where=text("state = 'in_flight'")),
    )

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
    """How much of a payment goes to which installment: held while in flight, then applied or released."""

    __tablename__ = "allocations"

    id: Mapped[Id]
    payment_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("payments.id"))
    installment_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("installments.id"))
    amount: Mapped[Minor]
    state: Mapped[AllocationState] = mapped_column(
        Enum(*ALLOCATION_STATES, name="state", native_enum=False, create_constraint=True), default="held"
    )

    payment: Mapped[Payment] = relationship(back_populates="allocations")
    installment: Mapped[Installment] = relationship()

    __table_args__ = (
        UniqueConstraint("payment_id", "installment_id"),
        CheckConstraint("amount > 0", name="amount"),
        Index(
            "uq_allocations_held_installment_id", "installment_id", unique=True, postgresql_where=text("state = 'held'")
        ),
        Index("ix_allocations_installment_id", "installment_id"),
    )
