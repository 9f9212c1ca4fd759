"""Drafts: the plans of a business that waits for an operator's approval, and imported plans that were not sent yet."""

from datetime import date
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    Enum,
    ForeignKey,
    Index,
    Select,
    SmallInteger,
    String,
    and_,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.domain.schedule import PLAN_INTERVALS, PlanInterval
from portal.extensions import Model
from portal.models.accounts.merchants import Merchant
from portal.models.columns import Currency, Id, Instant, Minor, UserId


class PlanDraft(Model):
    """The input of a plan of `total` minor units, which becomes a plan once its business is approved.

    A draft of an import (`import_id`, with the `line` of its file) also waits until it is sent: `sent_at` is the
    instant, and `created_by` then the person who sent it.

    No plan, customer, link or mail exists for it until then. If the plan can't be made, `fault` is the code of the
    refusal and `tried_at` the instant; the draft is tried again later. `deposit` is due on the local date of
    `created_at`. `schedule` holds own dates and amounts, as pairs of ISO date and minor units (interval `custom`).
    """

    __tablename__ = "plan_drafts"

    id: Mapped[Id]
    merchant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("merchants.id"))
    created_by: Mapped[UserId]
    customer_email: Mapped[str] = mapped_column(String(254))
    description: Mapped[str] = mapped_column(String(200), default="")
    total: Mapped[Minor]
    currency: Mapped[Currency]
    num_installments: Mapped[int] = mapped_column(SmallInteger)
    interval: Mapped[PlanInterval] = mapped_column(
        Enum(*PLAN_INTERVALS, name="interval", native_enum=False, create_constraint=True)
    )
    start_date: Mapped[date]
    deposit: Mapped[int | None] = mapped_column(BigInteger)
    schedule: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[Instant]
    tried_at: Mapped[Instant | None]
    fault: Mapped[str | None] = mapped_column(String(40))
    external_id: Mapped[str | None] = mapped_column(String(100))
    notes: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB, default=dict, server_default=text("'{}'::jsonb"))
    import_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("imports.id"))
    line: Mapped[int | None]
    sent_at: Mapped[Instant | None]

    __table_args__ = (
        CheckConstraint("(schedule IS NOT NULL) = (interval = 'custom')", name="schedule"),
        CheckConstraint("fault IS NULL OR tried_at IS NOT NULL", name="tried"),
        CheckConstraint("external_id <> ''", name="external_id"),
        CheckConstraint(
            "(import_id IS NULL) = (line IS NULL) AND (sent_at IS NULL OR import_id IS NOT NULL)", name="import"
        ),
        Index("ix_plan_drafts_merchant_id_id", "merchant_id", "id"),
        Index("ix_plan_drafts_import_id_id", "import_id", "id", postgresql_where=text("import_id IS NOT NULL")),
        Index(
            "uq_plan_drafts_merchant_id_external_id",
            "merchant_id",
            "external_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
    )

    @staticmethod
    def of_merchant(merchant_id: int) -> Select["PlanDraft"]:
        """A business's drafts that it typed itself, newest first."""
        typed = PlanDraft.merchant_id == merchant_id, PlanDraft.import_id.is_(None)
        return select(PlanDraft).where(*typed).order_by(PlanDraft.id.desc())

    @staticmethod
    def is_ready() -> ColumnElement[bool]:
        """The draft may become a plan: with its Merchant, an approved business that is neither stopped nor closing."""
        sent = or_(PlanDraft.import_id.is_(None), PlanDraft.sent_at.is_not(None))
        live = Merchant.approved_at.is_not(None), Merchant.deactivated_at.is_(None), Merchant.closing_at.is_(None)
        return and_(sent, *live)
