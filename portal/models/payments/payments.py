"""Payments, and their allocations to installments."""

from datetime import date, datetime
from typing import Any, Literal, get_args

from sqlalchemy import (
    BigInteger,
    BindParameter,
    CheckConstraint,
    ColumnElement,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Select,
    String,
    UniqueConstraint,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, column_property, mapped_column, query_expression, relationship

from portal.extensions import Model, db
from portal.models.accounts.users import User
from portal.models.columns import Currency, Id, Instant, Minor, UserId, pair_name
from portal.models.plans.installments import Installment
from portal.models.plans.invitations import LINK_KINDS, LinkKind
from portal.models.plans.plans import Plan
from portal.models.texts import typed_text

PaymentState = Literal["in_flight", "succeeded", "declined", "reversed", "voided"]
PAYMENT_STATES: tuple[PaymentState, ...] = get_args(PaymentState)
RECEIVED: tuple[PaymentState, ...] = ("succeeded", "reversed", "voided")
"""The states of payments whose money came in, even if some of it went back."""

AllocationState = Literal["held", "applied", "released"]
ALLOCATION_STATES: tuple[AllocationState, ...] = get_args(AllocationState)

RecordedMethod = Literal["cash", "transfer"]
RECORDED_METHODS: tuple[RecordedMethod, ...] = get_args(RecordedMethod)
"""Methods of payments that a merchant records without the gateway."""

PaymentWay = Literal["card", "cash", "transfer"]
PAYMENT_WAYS: tuple[PaymentWay, ...] = get_args(PaymentWay)
"""The kinds of methods that lists of payments and refunds are narrowed to."""

_RECORDED = "method IN ('cash', 'transfer')"


class Payment(Model):
    """One attempt to move money. Its state is `in_flight` until the gateway's outcome is known.

    `gateway_key` is the idempotency key of the charge and of every later look-up of its outcome. `unanswered_at` is the
    instant at which the charge call ended without an outcome. `link` is the kind of the plan's link by which it was
    paid: by the pay link anybody may have paid. A payment that a merchant recorded has no `gateway_key`, but
    `received_on` (local date) and possibly a `reference`, which the merchant typed: "" without one, None once it is
    erased. `value_at` is the instant at which the money counts as received: the gateway's charge time, or the local
    midnight of `received_on`. `refunded` is the sum of succeeded refunds, `refunding` of refunds in flight, and
    `reversed` was taken back by the bank or voided by the merchant: together at most `amount`. `lost` is the amount
    that the bank took back beyond that, and `regained` what came back of it when the dispute was won. All are minor
    units. A payment that `wins_back_id` is the money that the bank gave back of that reversed payment. `external_id`
    and `notes` (column metadata) are the merchant's own, as on plans.
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
    link: Mapped[LinkKind | None] = mapped_column(
        Enum(*LINK_KINDS, name="link", native_enum=False, create_constraint=True)
    )
    gateway_key: Mapped[str | None] = mapped_column(String(64), unique=True)
    gateway_reference: Mapped[str | None] = mapped_column(String(64))
    decline_code: Mapped[str | None] = mapped_column(String(40))
    reference_id: Mapped[int | None] = mapped_column(BigInteger)
    received_on: Mapped[date | None]
    refunded: Mapped[Minor] = mapped_column(default=0, server_default=text("0"))
    refunding: Mapped[Minor] = mapped_column(default=0, server_default=text("0"))
    reversed: Mapped[Minor] = mapped_column(default=0, server_default=text("0"))
    lost: Mapped[Minor] = mapped_column(default=0, server_default=text("0"))
    regained: Mapped[Minor] = mapped_column(default=0, server_default=text("0"))
    wins_back_id: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    created_by: Mapped[UserId]
    created_at: Mapped[Instant]
    unanswered_at: Mapped[Instant | None]
    settled_at: Mapped[Instant | None]
    value_at: Mapped[Instant | None]
    reversed_at: Mapped[Instant | None]
    updated_at: Mapped[Instant] = mapped_column(server_default=text("now()"))
    external_id: Mapped[str | None] = mapped_column(String(100))
    notes: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB, default=dict, server_default=text("'{}'::jsonb"))

    reference: Mapped[str | None] = column_property(typed_text(reference_id))
    pair_name: Mapped[str | None] = column_property(pair_name(merchant_id, customer_id))
    plan: Mapped[Plan] = relationship(foreign_keys=[plan_id])
    customer: Mapped[User] = relationship(primaryjoin="foreign(Payment.customer_id) == User.id", viewonly=True)
    won_back: Mapped["Payment | None"] = relationship(
        primaryjoin="Payment.id == foreign(remote(Payment.wins_back_id))", uselist=False, viewonly=True
    )
    allocations: Mapped[list["Allocation"]] = relationship(
        back_populates="payment", order_by="Allocation.id", foreign_keys="Allocation.payment_id"
    )
    listed_numbers: Mapped[Any] = query_expression()
    """Id of each of `allocations` and number of its installment, in no order, where a list of payments reads them; else
    None.
    """

    __table_args__ = (
        ForeignKeyConstraint(
            ["plan_id", "merchant_id", "customer_id", "currency"],
            ["plans.id", "plans.merchant_id", "plans.customer_id", "plans.currency"],
            name="fk_payments_plan",
            onupdate="CASCADE",
        ),
        ForeignKeyConstraint(["plan_id", "reference_id"], ["texts.plan_id", "texts.id"], name="fk_payments_reference"),
        UniqueConstraint("id", "plan_id"),
        ForeignKeyConstraint(
            ["wins_back_id", "plan_id"], ["payments.id", "payments.plan_id"], name="fk_payments_wins_back"
        ),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("external_id <> '' AND jsonb_typeof(metadata) = 'object'", name="external_id"),
        CheckConstraint("(state = 'in_flight') = (settled_at IS NULL)", name="settled"),
        CheckConstraint("(state = 'declined') = (decline_code IS NOT NULL)", name="decline_code"),
        CheckConstraint(f"({_RECORDED}) = (gateway_key IS NULL)", name="recorded"),
        CheckConstraint(f"({_RECORDED}) = (received_on IS NOT NULL)", name="received_on"),
        CheckConstraint(
            "refunded >= 0 AND refunding >= 0 AND reversed >= 0 AND refunded + refunding + reversed <= amount",
            name="given_back",
        ),
        CheckConstraint(
            "refunded + refunding = 0 OR state IN ('succeeded', 'reversed', 'voided')", name="refunded_after_success"
        ),
        CheckConstraint(
            "(state IN ('reversed', 'voided')) = (reversed_at IS NOT NULL)"
            " AND (state IN ('reversed', 'voided')) = (reversed + lost > 0)",
            name="reversed",
        ),
        CheckConstraint(
            f"(state <> 'voided' OR {_RECORDED}) AND (state <> 'reversed' OR NOT {_RECORDED})", name="taken_back_by"
        ),
        CheckConstraint("lost >= 0 AND (lost = 0 OR state = 'reversed')", name="lost"),
        CheckConstraint("regained BETWEEN 0 AND lost", name="regained"),
        CheckConstraint(
            "wins_back_id <> id AND gateway_key IS NOT NULL AND state IN ('succeeded', 'reversed')"
            " OR wins_back_id IS NULL",
            name="wins_back",
        ),
        CheckConstraint("(state IN ('in_flight', 'declined')) = (value_at IS NULL)", name="value_at"),
        Index("ix_payments_merchant_id_amount_id", "merchant_id", "amount", "id"),
        Index("ix_payments_merchant_id_currency_amount_id", "merchant_id", "currency", "amount", "id"),
        Index("ix_payments_merchant_id_dated_at_id", "merchant_id", text("coalesce(value_at, created_at)"), "id"),
        Index(
            "ix_payments_merchant_id_way_dated_at_id",
            "merchant_id",
            text("(CASE WHEN method IN ('cash', 'transfer') THEN method ELSE 'card' END)"),
            text("coalesce(value_at, created_at)"),
            "id",
        ),
        Index("ix_payments_merchant_id_id", "merchant_id", "id"),
        Index("ix_payments_merchant_id_created_at", "merchant_id", "created_at"),
        Index("ix_payments_merchant_id_updated_at", "merchant_id", "updated_at"),
        Index(
            "ix_payments_described_merchant_id_id",
            "merchant_id",
            "id",
            postgresql_where=text("metadata <> '{}'::jsonb"),
        ),
        Index(
            "uq_payments_merchant_id_external_id",
            "merchant_id",
            "external_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
        Index("ix_payments_customer_id_id", "customer_id", "id"),
        Index("ix_payments_plan_id_id", "plan_id", "id"),
        Index("ix_payments_merchant_id_state_id", "merchant_id", "state", "id"),
        Index(
            "ix_payments_refunded_merchant_id_id",
            "merchant_id",
            "id",
            postgresql_where=text("refunded > 0 OR refunding > 0"),
        ),
        Index("ix_payments_in_flight_created_at", "created_at", postgresql_where=text("state = 'in_flight'")),
    )

    @hybrid_property
    def dated_at(self) -> datetime:
        """The instant by which lists are sorted: when the money came in, else when the payment was begun."""
        return self.value_at or self.created_at

    @dated_at.inplace.expression
    @classmethod
    def _dated_at(cls) -> ColumnElement[datetime]:
        return func.coalesce(cls.value_at, cls.created_at)

    @staticmethod
    def by_way(way: PaymentWay) -> ColumnElement[bool]:
        """The payments by card, or those recorded as cash or as a transfer. An index holds the expression."""
        ways = "CASE WHEN payments.method IN ('cash', 'transfer') THEN payments.method ELSE 'card' END"
        return literal_column(ways, String) == way

    @property
    def is_recorded(self) -> bool:
        """The merchant recorded the payment. The gateway has no charge for it."""
        return self.method in RECORDED_METHODS

    @property
    def installment_numbers(self) -> list[int]:
        """The numbers of the installments to which parts of it go."""
        if self.listed_numbers:
            return [number for _, number in sorted(self.listed_numbers)]
        return [part.installment.number for part in self.allocations]

    @property
    def kept(self) -> int:
        """The amount received, less refunds and reversals, in minor units."""
        return self.amount - self.refunded - self.reversed if self.state in RECEIVED else 0

    @property
    def refundable(self) -> int:
        """The amount that may still be refunded, in minor units. Refunds in flight count against it."""
        return self.kept - self.refunding if self.state == "succeeded" else 0

    @staticmethod
    def of_plan(plan_id: int | BindParameter[int]) -> Select["Payment"]:
        """A plan's payments, newest first."""
        return select(Payment).where(Payment.plan_id == plan_id).order_by(Payment.id.desc())

    @staticmethod
    def in_flight_of_plan(plan_id: int) -> "Payment | None":
        """A payment of this plan whose outcome is not known yet, or None."""
        return db.session.scalar(
            select(Payment).where(Payment.plan_id == plan_id, Payment.state == "in_flight").limit(1)
        )

    @staticmethod
    def waiting(before: datetime) -> Select["Payment"]:
        """Payments in flight that were created at or before this instant, oldest first."""
        return (
            select(Payment)
            .where(Payment.state == "in_flight", Payment.created_at <= before)
            .order_by(Payment.created_at, Payment.id)
        )


class Allocation(Model):
    """The part of a payment that goes to one installment: held while in flight, then applied or released.

    `returned` is the part that does not count as paid: it was reversed or voided, or the charge exceeded the amount
    owed. `recovered` is the part that paid a written-off amount.
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
    recovered: Mapped[Minor] = mapped_column(default=0, server_default=text("0"))

    payment: Mapped[Payment] = relationship(back_populates="allocations")
    installment: Mapped[Installment] = relationship()

    __table_args__ = (
        UniqueConstraint("payment_id", "installment_id"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("returned BETWEEN 0 AND amount AND (returned = 0 OR state = 'applied')", name="returned"),
        CheckConstraint("recovered BETWEEN 0 AND amount AND (recovered = 0 OR state = 'applied')", name="recovered"),
        Index(
            "uq_allocations_held_installment_id", "installment_id", unique=True, postgresql_where=text("state = 'held'")
        ),
        Index("ix_allocations_installment_id", "installment_id"),
    )
