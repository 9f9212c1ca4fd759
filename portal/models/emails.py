"""Mails and their delivery state. The row is written in the commit of the change that the mail reports."""

from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Enum,
    ForeignKey,
    Index,
    Select,
    SmallInteger,
    String,
    Text,
    TextClause,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.accounts.users import User
from portal.models.columns import Id, Instant, UserId
from portal.models.plans.plans import Plan

EmailState = Literal["waiting", "claimed", "sent", "kept", "dead", "dropped"]
EMAIL_STATES: tuple[EmailState, ...] = get_args(EmailState)
PENDING_STATES: tuple[EmailState, ...] = ("waiting", "claimed")
"""The states of mails that are still to be sent."""

_PENDING = "state IN ('waiting', 'claimed')"
_HELD = "state = 'waiting' AND last_error IN ('unreachable', 'login_refused')"
_HOLDS_LINK = "state = 'kept' AND data ? 'holds_link'"


class Email(Model):
    """A mail to one user, or to an address without an account (`to_address`). `dedupe_key` names the fact that the mail
    reports. It is unique.

    - waiting: to be sent from `next_try_at` on.
    - claimed: a worker holds a lease until `next_try_at`. After that any worker may claim the mail.
    - sent: the mail server accepted the mail.
    - kept: no mail server is configured, so the mail can only be read in the outbox.
    - dropped: the mail had become pointless when it was due. `last_error` is the reason.
    - dead: delivery was abandoned. `last_error` is the reason.

    `last_error` is a code, which portal/wording/mail_problems.py words. `error_detail` is the mail server's reply or
    the system's error.

    `attempts` counts claims, so id and attempts together identify a claim.

    A mail to a user has no address: it goes to the recipient's address at the moment of sending. `data` holds plain
    facts and no secret. The token of a link is inserted when the mail is written, and removed from `body` (the text)
    and `html` as soon as the mail is sent. `holds_link` in `data` marks a kept mail whose token stays readable for a
    limited time.
    """

    __tablename__ = "emails"

    id: Mapped[Id]
    dedupe_key: Mapped[str] = mapped_column(String(150), unique=True)
    kind: Mapped[str] = mapped_column(String(40))
    to_user_id: Mapped[UserId | None]
    to_address: Mapped[str | None] = mapped_column(String(254))
    merchant_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("merchants.id"))
    plan_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("plans.id"))
    data: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default=text("'{}'::jsonb"))
    state: Mapped[EmailState] = mapped_column(
        Enum(*EMAIL_STATES, name="state", native_enum=False, create_constraint=True), default="waiting"
    )
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0, server_default=text("0"))
    next_try_at: Mapped[Instant]
    created_at: Mapped[Instant]
    ended_at: Mapped[Instant | None]
    last_error: Mapped[str | None] = mapped_column(String(300))
    error_detail: Mapped[str | None] = mapped_column(String(300))
    message_id: Mapped[str | None] = mapped_column(String(300))
    subject: Mapped[str | None] = mapped_column(String(300))
    body: Mapped[str | None] = mapped_column(Text, deferred=True)
    html: Mapped[str | None] = mapped_column(Text, deferred=True)

    recipient: Mapped[User | None] = relationship()
    plan: Mapped[Plan | None] = relationship()

    __table_args__ = (
        CheckConstraint("dedupe_key ~ '^[A-Za-z0-9_:-]+$'", name="dedupe_key"),
        CheckConstraint(f"({_PENDING}) = (ended_at IS NULL)", name="ended"),
        CheckConstraint(
            "state NOT IN ('sent', 'kept') OR (message_id IS NOT NULL AND subject IS NOT NULL)", name="sent"
        ),
        CheckConstraint("state NOT IN ('dead', 'dropped') OR last_error IS NOT NULL", name="reason"),
        CheckConstraint("(to_user_id IS NULL) <> (to_address IS NULL)", name="one_recipient"),
        CheckConstraint("attempts >= 0 AND jsonb_typeof(data) = 'object'", name="data"),
        Index("ix_emails_pending_next_try_at", "next_try_at", "id", postgresql_where=text(_PENDING)),
        Index("ix_emails_pending_created_at", "created_at", postgresql_where=text(_PENDING)),
        Index("ix_emails_to_user_id_created_at", "to_user_id", "created_at"),
        Index(
            "ix_emails_invitations_merchant_id_created_at",
            "merchant_id",
            "created_at",
            postgresql_where=text("kind = 'invitation'"),
        ),
        Index("ix_emails_held_next_try_at", "next_try_at", postgresql_where=text(_HELD)),
        Index("ix_emails_dead_id", "id", postgresql_where=text("state = 'dead'")),
        Index("ix_emails_holding_link_ended_at", "ended_at", postgresql_where=text(_HOLDS_LINK)),
        Index("ix_emails_not_yours_ended_at", "ended_at", postgresql_where=text("kind = 'plan_not_yours'")),
        Index("ix_emails_ended_at", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
    )

    @property
    def user_id(self) -> int:
        """The recipient's id. Raises LookupError for a mail to an address."""
        if self.to_user_id is None:
            raise LookupError(f"mail {self.id} goes to an address")
        return self.to_user_id

    def is_claimed(self, attempt: int) -> bool:
        """Whether the claim with this number holds."""
        return self.state == "claimed" and self.attempts == attempt

    @property
    def address(self) -> str:
        """The address that the mail goes to, as of now."""
        return self.to_address or (self.recipient.email if self.recipient is not None else "")

    @staticmethod
    def held() -> TextClause:
        """A mail that waits because the mail server is away. The text equals the predicate of its index."""
        return text(_HELD)

    @staticmethod
    def holds_link() -> TextClause:
        """A kept mail that still contains a token. The text equals the predicate of its index."""
        return text(_HOLDS_LINK)

    @staticmethod
    def due(now: datetime) -> Select["Email"]:
        """Mails that may be claimed at `now`, oldest first: waiting ones, and those with an expired claim."""
        return (
            select(Email)
            .where(Email.state.in_(PENDING_STATES), Email.next_try_at <= now)
            .order_by(Email.next_try_at, Email.id)
        )
