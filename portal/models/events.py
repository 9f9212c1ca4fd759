"""The timeline of a plan: each event with its actor and instant. Append-only."""

from typing import Any, Final

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from portal.domain import events
from portal.extensions import Model
from portal.models.accounts.users import User
from portal.models.columns import Id, Instant
from portal.models.texts import typed_text

PAYLOAD_COLUMNS: Final = ("installment_id", "payment_id", "reason_id")
"""Fields of payloads that are columns of their own, for their foreign keys. `data` holds the other fields."""


class Event(Model):
    """An event of a plan. `actor_id` is None for an event that the system caused.

    `kind` is "noun.participle" and names the class of `payload` (domain/events). `type` is the public type of an event
    for outsiders: a trigger then adds the row of `PublicEvent`. `reason` is the text that the
    actor typed: "" without one, None once it is erased.
    """

    __tablename__ = "events"

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("plans.id"))
    installment_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("installments.id"))
    payment_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("payments.id"))
    actor_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))
    reason_id: Mapped[int | None] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(40))
    type: Mapped[str | None] = mapped_column(String(40))
    data: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default=text("'{}'::jsonb"))
    created_at: Mapped[Instant]

    reason: Mapped[str | None] = column_property(typed_text(reason_id))
    actor: Mapped[User | None] = relationship()

    __table_args__ = (
        ForeignKeyConstraint(["plan_id", "reason_id"], ["texts.plan_id", "texts.id"], name="fk_events_reason"),
        Index("ix_events_plan_id_id", "plan_id", "id"),
        Index(
            "uq_events_late_installment_id",
            "installment_id",
            unique=True,
            postgresql_where=text("kind = 'installment.late'"),
        ),
    )

    @property
    def payload(self) -> events.Payload:
        """The facts of this event. Raises UnknownKind for a kind of a newer version."""
        columns = {name: value for name in PAYLOAD_COLUMNS if (value := getattr(self, name)) is not None}
        return events.read(self.kind, self.data | columns)

    @staticmethod
    def columns_of(payload: events.Payload) -> dict[str, Any]:
        """The columns `kind`, `type`, `data` and PAYLOAD_COLUMNS of an event with this payload."""
        data = events.facts(payload)
        kinds = {"kind": payload.kind, "type": payload.public}
        return {**kinds, **{name: data.pop(name, None) for name in PAYLOAD_COLUMNS}, "data": data}
