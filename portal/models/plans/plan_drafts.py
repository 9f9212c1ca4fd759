"""Drafts: the plans of a business that waits for an operator's approval."""

from datetime import date
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Enum, ForeignKey, Index, Select, SmallInteger, String, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.domain.schedule import PLAN_INTERVALS, PlanInterval
from portal.extensions import Model
from portal.models.columns import Currency, Id, Instant, Minor, UserId


class PlanDraft(Model):
    """The input of a plan of `total` minor units, which becomes a plan once its business is approved.

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

    __table_args__ = (
        CheckConstraint("(schedule IS NOT NULL) = (interval = 'custom')", name="schedule"),
        CheckConstraint("fault IS NULL OR tried_at IS NOT NULL", name="tried"),
        Index("ix_plan_drafts_merchant_id_id", "merchant_id", "id"),
    )

    @staticmethod
    def of_merchant(merchant_id: int) -> Select["PlanDraft"]:
        """A business's drafts, newest first."""
        return select(PlanDraft).where(PlanDraft.merchant_id == merchant_id).order_by(PlanDraft.id.desc())
