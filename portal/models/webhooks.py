"""Webhooks: the endpoints of a business, the deliveries to them, and the attempts of each delivery."""

from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    Enum,
    ForeignKey,
    Index,
    Integer,
    Select,
    SmallInteger,
    String,
    UniqueConstraint,
    Uuid,
    and_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.domain.events import EventType
from portal.extensions import Model
from portal.models.accounts.merchants import Merchant
from portal.models.columns import Id, Instant, UserId
from portal.models.public_events import PublicEvent

PREFIX = "we_"
"""The beginning of an endpoint's public id."""
MAX_URL = 500
EXCERPT = 1024
"""Characters of a receiver's answer that the log keeps."""

DisabledFor = Literal["owner", "gone", "failing"]
DISABLED_FOR: tuple[DisabledFor, ...] = get_args(DisabledFor)
DeliveryState = Literal["waiting", "claimed", "delivered", "failed"]
DELIVERY_STATES: tuple[DeliveryState, ...] = get_args(DeliveryState)
PENDING_DELIVERIES: tuple[DeliveryState, ...] = ("waiting", "claimed")
_PENDING = text("state IN ('waiting', 'claimed')")


class WebhookEndpoint(Model):
    """An address that gets the events of one business. `types` are the types of events that it gets; empty: all.

    `secret` is the ciphertext of its secret (services/webhooks/signing_secrets.py). Until `old_secret_until` the
    previous secret signs, too. `failing_since` is the first failure since the last success. A request without an answer
    pauses the endpoint: nothing is sent before `paused_until`. `unreached` counts the pauses since the last success.
    `disabled_for` says why nothing is sent: its owner turned it off, it answered 410 Gone, or it failed for too long.
    """

    __tablename__ = "webhook_endpoints"

    id: Mapped[Id]
    public_id: Mapped[UUID] = mapped_column(Uuid, server_default=text("gen_random_uuid()"), unique=True)
    merchant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("merchants.id"))
    created_by: Mapped[UserId]
    url: Mapped[str] = mapped_column(String(MAX_URL))
    types: Mapped[list[EventType]] = mapped_column(ARRAY(String(40)), default=list, server_default=text("'{}'"))
    secret: Mapped[str] = mapped_column(String(500))
    old_secret: Mapped[str | None] = mapped_column(String(500))
    old_secret_until: Mapped[Instant | None]
    created_at: Mapped[Instant]
    failing_since: Mapped[Instant | None]
    unreached: Mapped[int] = mapped_column(SmallInteger, default=0, server_default=text("0"))
    paused_until: Mapped[Instant | None]
    disabled_at: Mapped[Instant | None]
    disabled_for: Mapped[DisabledFor | None] = mapped_column(
        Enum(*DISABLED_FOR, name="disabled_for", native_enum=False, create_constraint=True)
    )
    deleted_at: Mapped[Instant | None]

    merchant: Mapped[Merchant] = relationship()

    __table_args__ = (
        CheckConstraint("(disabled_at IS NULL) = (disabled_for IS NULL)", name="disabled"),
        CheckConstraint("(old_secret IS NULL) = (old_secret_until IS NULL)", name="old_secret"),
        CheckConstraint("unreached >= 0", name="unreached"),
        CheckConstraint("url ~ '^https?://[!-~]+$'", name="url"),
        Index(
            "ix_webhook_endpoints_merchant_id_id",
            "merchant_id",
            "id",
            postgresql_where=text("deleted_at IS NULL"),
        ),
    )

    @property
    def name(self) -> str:
        """The public id: we_ and 32 hexadecimal digits."""
        return PREFIX + self.public_id.hex

    @staticmethod
    def of_merchant(merchant_id: int) -> Select["WebhookEndpoint"]:
        """The endpoints of a business, newest first, without deleted ones."""
        mine = WebhookEndpoint.merchant_id == merchant_id, WebhookEndpoint.deleted_at.is_(None)
        return select(WebhookEndpoint).where(*mine).order_by(WebhookEndpoint.id.desc())


class WebhookDelivery(Model):
    """One event for one endpoint. The guard `events_published` adds it in the event's commit.

    - waiting: to be sent at `next_try_at`.
    - claimed: a worker sends it; after `next_try_at` its claim is over.
    - delivered: the endpoint answered 2xx.
    - failed: given up, after `give_up_at` or because the endpoint was disabled.

    `attempts` counts claims; `attempts_before` is the count when it was last sent again by hand.
    """

    __tablename__ = "webhook_deliveries"

    id: Mapped[Id]
    endpoint_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("webhook_endpoints.id"))
    event_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("public_events.event_id"))
    state: Mapped[DeliveryState] = mapped_column(
        Enum(*DELIVERY_STATES, name="state", native_enum=False, create_constraint=True)
    )
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0, server_default=text("0"))
    attempts_before: Mapped[int] = mapped_column(SmallInteger, default=0, server_default=text("0"))
    next_try_at: Mapped[Instant]
    give_up_at: Mapped[Instant]
    created_at: Mapped[Instant]
    ended_at: Mapped[Instant | None]

    endpoint: Mapped[WebhookEndpoint] = relationship()
    event: Mapped[PublicEvent] = relationship()
    log: Mapped[list["WebhookAttempt"]] = relationship(order_by="WebhookAttempt.id", viewonly=True)

    __table_args__ = (
        UniqueConstraint("endpoint_id", "event_id"),
        CheckConstraint("attempts_before BETWEEN 0 AND attempts", name="attempts"),
        CheckConstraint("(state IN ('waiting', 'claimed')) = (ended_at IS NULL)", name="ended"),
        Index("ix_webhook_deliveries_endpoint_id_id", "endpoint_id", "id"),
        Index("ix_webhook_deliveries_event_id", "event_id"),
        Index("ix_webhook_deliveries_ended_at", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
        Index("ix_webhook_deliveries_failed_id", "id", postgresql_where=text("state = 'failed'")),
        Index(
            "ix_webhook_deliveries_pending_endpoint_id_next_try_at",
            "endpoint_id",
            "next_try_at",
            "id",
            postgresql_where=_PENDING,
        ),
    )

    @staticmethod
    def is_due(now: datetime) -> ColumnElement[bool]:
        """To be sent at `now` (aware), or claimed by a worker whose claim is over."""
        return and_(WebhookDelivery.state.in_(PENDING_DELIVERIES), WebhookDelivery.next_try_at <= now)


class WebhookAttempt(Model):
    """One request to an endpoint: its status, or the problem that left it without an answer.

    `excerpt` is the beginning of the answer. It is the receiver's text, so it is blanked when the customer is erased or
    the plan goes to another one.
    """

    __tablename__ = "webhook_attempts"

    id: Mapped[Id]
    delivery_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("webhook_deliveries.id", ondelete="CASCADE"))
    started_at: Mapped[Instant]
    duration_ms: Mapped[int] = mapped_column(Integer)
    status: Mapped[int | None] = mapped_column(SmallInteger)
    problem: Mapped[str | None] = mapped_column(String(20))
    excerpt: Mapped[str] = mapped_column(String(EXCERPT))

    __table_args__ = (
        CheckConstraint("duration_ms >= 0", name="duration_ms"),
        CheckConstraint("status IS NOT NULL OR problem IS NOT NULL", name="outcome"),
        Index("ix_webhook_attempts_delivery_id_id", "delivery_id", "id"),
    )
