"""The events for outsiders, each with its random public id and its place in the feed."""

from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.events import Event

PREFIX = "evt_"
"""The beginning of an event's public id."""


class PublicEvent(Model):
    """A row for each event with a public type. The guard `events_published` adds it in the event's commit.

    `number` is its place in the feed, without gaps in the order of commits: services/events.py gives it after the
    commit, so a reader that continues after a number misses no event that was committed late.
    """

    __tablename__ = "public_events"

    event_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("events.id"), primary_key=True, autoincrement=False)
    public_id: Mapped[UUID] = mapped_column(Uuid, server_default=text("gen_random_uuid()"), unique=True)
    merchant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("merchants.id"))
    plan_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("plans.id"))
    type: Mapped[str] = mapped_column(String(40))
    number: Mapped[int | None] = mapped_column(BigInteger, unique=True)

    event: Mapped[Event] = relationship()

    __table_args__ = (
        CheckConstraint("number > 0", name="number"),
        Index(
            "ix_public_events_merchant_id_number",
            "merchant_id",
            "number",
            postgresql_where=text("number IS NOT NULL"),
        ),
        Index(
            "ix_public_events_merchant_id_type_number",
            "merchant_id",
            "type",
            "number",
            postgresql_where=text("number IS NOT NULL"),
        ),
        Index("ix_public_events_plan_id_number", "plan_id", "number", postgresql_where=text("number IS NOT NULL")),
        Index("ix_public_events_unnumbered_event_id", "event_id", postgresql_where=text("number IS NULL")),
    )

    @property
    def name(self) -> str:
        """The public id, as outsiders see it: evt_ and 32 hexadecimal digits."""
        return PREFIX + self.public_id.hex
