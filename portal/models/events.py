"""The timeline of a plan: each event with its actor and instant. Append-only."""

from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.accounts.users import User
from portal.models.columns import Id, Instant


class Event(Model):
    """An event of a plan. `actor_id` is None for an event that the system caused.

    `kind` is "noun.participle". `data` holds the figures for its sentence (amounts in minor units).
    """

    __tablename__ = "events"

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("plans.id"))
    installment_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("installments.id"))
    payment_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("payments.id"))
    actor_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))
    kind: Mapped[str] = mapped_column(String(40))
    data: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default=text("'{}'::jsonb"))
    created_at: Mapped[Instant]

    actor: Mapped[User | None] = relationship()

    __table_args__ = (
        Index("ix_events_plan_id_id", "plan_id", "id"),
        Index(
            "uq_events_late_installment_id",
            "installment_id",
            unique=True,
            postgresql_where=text("kind = 'installment.late'"),
        ),
    )
