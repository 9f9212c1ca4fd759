"""Refunds of payments."""

from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import (
    BigInteger,
    BindParameter,
    CheckConstraint,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Select,
    String,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from portal.domain.events import Cause
from portal.extensions import Model
from portal.models.columns import Currency, Id, Instant, Minor
from portal.models.payments.payments import Payment
from portal.models.plans.plans import Plan
from portal.models.texts import typed_text

RefundState = Literal["in_flight", "succeeded", "declined"]
REFUND_STATES: tuple[RefundState, ...] = get_args(RefundState)


class Refund(Model):
    """One attempt to refund a part of one payment. Its state is `in_flight` until the gateway's outcome is known.

    The refunds of one request share a `group_key`. An `excess` refund returns the part of a charge that was no longer
    owed: it has a `cause`, and every other refund a `reason` that the merchant typed (None once it is erased). A refund
    of a recorded payment bypasses the gateway and has no `gateway_key`. `api_key_id` is the API key that requested it;
    `created_by` is the member, or the key's maker. A refund that `awaits_release` was requested while its business was
    deactivated: it is sent once an operator releases it. The refunds of one request have one `external_id`, the
    merchant's own, which a declined refund leaves free.
    """

    __tablename__ = "refunds"

    id: Mapped[Id]
    payment_id: Mapped[int] = mapped_column(BigInteger)
    plan_id: Mapped[int] = mapped_column(BigInteger)
    merchant_id: Mapped[int] = mapped_column(BigInteger)
    customer_id: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[Currency]
    amount: Mapped[Minor]
    state: Mapped[RefundState] = mapped_column(
        Enum(*REFUND_STATES, name="state", native_enum=False, create_constraint=True), default="in_flight"
    )
    reason_id: Mapped[int | None] = mapped_column(BigInteger)
    excess: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    awaits_release: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    group_key: Mapped[str] = mapped_column(String(32))
    gateway_key: Mapped[str | None] = mapped_column(String(64), unique=True)
    gateway_reference: Mapped[str | None] = mapped_column(String(64))
    decline_code: Mapped[str | None] = mapped_column(String(40))
    created_by: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))
    api_key_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("api_keys.id"))
    created_at: Mapped[Instant]
    settled_at: Mapped[Instant | None]
    updated_at: Mapped[Instant] = mapped_column(server_default=text("now()"))
    external_id: Mapped[str | None] = mapped_column(String(100))
    notes: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB, default=dict, server_default=text("'{}'::jsonb"))

    reason: Mapped[str | None] = column_property(typed_text(reason_id))
    payment: Mapped[Payment] = relationship(foreign_keys=[payment_id, plan_id], viewonly=True)
    plan: Mapped[Plan] = relationship(primaryjoin="foreign(Refund.plan_id) == Plan.id", viewonly=True)

    __table_args__ = (
        ForeignKeyConstraint(
            ["plan_id", "merchant_id", "customer_id", "currency"],
            ["plans.id", "plans.merchant_id", "plans.customer_id", "plans.currency"],
            name="fk_refunds_plan",
            onupdate="CASCADE",
        ),
        ForeignKeyConstraint(["payment_id", "plan_id"], ["payments.id", "payments.plan_id"], name="fk_refunds_payment"),
        ForeignKeyConstraint(["plan_id", "reason_id"], ["texts.plan_id", "texts.id"], name="fk_refunds_reason"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("external_id <> '' AND jsonb_typeof(metadata) = 'object'", name="external_id"),
        CheckConstraint("(state = 'in_flight') = (settled_at IS NULL)", name="settled"),
        CheckConstraint("(state = 'declined') = (decline_code IS NOT NULL)", name="decline_code"),
        CheckConstraint("gateway_key IS NOT NULL OR state = 'succeeded'", name="by_hand"),
        Index("ix_refunds_created_by_created_at", "created_by", "created_at"),
        CheckConstraint("NOT awaits_release OR state = 'in_flight'", name="awaits_release"),
        Index("ix_refunds_awaiting_release_id", "id", postgresql_where=text("awaits_release")),
        Index(
            "ix_refunds_described_merchant_id_id",
            "merchant_id",
            "id",
            postgresql_where=text("metadata <> '{}'::jsonb"),
        ),
        Index(
            "uq_refunds_merchant_id_external_id_payment_id",
            "merchant_id",
            "external_id",
            "payment_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL AND state <> 'declined'"),
        ),
        Index("ix_refunds_payment_id", "payment_id"),
        Index("ix_refunds_plan_id_id", "plan_id", "id"),
        Index("ix_refunds_merchant_id_created_at_id", "merchant_id", "created_at", "id"),
        Index("ix_refunds_merchant_id_currency_amount_id", "merchant_id", "currency", "amount", "id"),
        Index("ix_refunds_merchant_id_id", "merchant_id", "id"),
        Index("ix_refunds_merchant_id_updated_at", "merchant_id", "updated_at"),
        Index("ix_refunds_customer_id_id", "customer_id", "id"),
        Index("ix_refunds_group_key", "group_key"),
        Index("ix_refunds_in_flight_created_at", "created_at", postgresql_where=text("state = 'in_flight'")),
    )

    @property
    def cause(self) -> Cause | None:
        """Why the system made this refund; None for a refund by the merchant."""
        return "overcharged" if self.excess else None

    @staticmethod
    def of_plan(plan_id: int | BindParameter[int]) -> Select["Refund"]:
        """A plan's refunds, newest first."""
        return select(Refund).where(Refund.plan_id == plan_id).order_by(Refund.id.desc())

    @staticmethod
    def waiting(before: datetime) -> Select["Refund"]:
        """Refunds at the gateway that were created at or before this instant, oldest first."""
        return (
            select(Refund)
            .where(Refund.state == "in_flight", Refund.created_at <= before, Refund.awaits_release.is_(False))
            .order_by(Refund.created_at, Refund.id)
        )
