"""Invitations to the team of a business, by mail."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    Enum,
    ForeignKey,
    Index,
    LargeBinary,
    Select,
    String,
    Text,
    and_,
    select,
    text,
)
from sqlalchemy.orm import Mapped, contains_eager, mapped_column, relationship, validates

from portal.domain import identifiers
from portal.domain.permissions import ROLES, Role
from portal.extensions import Model
from portal.models.accounts.merchants import Merchant
from portal.models.accounts.users import User
from portal.models.columns import Id, Instant, UserId


class TeamInvitation(Model):
    """An email that is invited to a business in a role. It ends when it is accepted, revoked or replaced.

    `email_key` compares emails (identifiers.py); setting the email sets it. The row holds the SHA-256 of the token,
    which is made when the mail is written (None until then).
    """

    __tablename__ = "team_invitations"

    id: Mapped[Id]
    merchant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("merchants.id"))
    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(Text)
    role: Mapped[Role] = mapped_column(Enum(*ROLES, name="role", native_enum=False, create_constraint=True, length=9))
    token_hash: Mapped[bytes | None] = mapped_column(LargeBinary, unique=True)
    invited_by: Mapped[UserId]
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    ended_at: Mapped[Instant | None]
    accepted_by: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))

    merchant: Mapped[Merchant] = relationship()
    inviter: Mapped[User] = relationship(foreign_keys="TeamInvitation.invited_by")

    __table_args__ = (
        CheckConstraint("octet_length(token_hash) = 32", name="token_hash"),
        CheckConstraint("expires_at > created_at", name="expires"),
        CheckConstraint("accepted_by IS NULL OR ended_at IS NOT NULL", name="accepted"),
        CheckConstraint('email_key = lower(email COLLATE "C")', name="email_key"),
        Index("ix_team_invitations_merchant_id_id", "merchant_id", "id"),
        Index("ix_team_invitations_email_key", "email_key"),
        Index("ix_team_invitations_expires_at", "expires_at"),
        Index(
            "uq_team_invitations_live_merchant_id_email_key",
            "merchant_id",
            "email_key",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    @validates("email")
    def _set_key(self, column: str, value: str) -> str:
        self.email_key = identifiers.email_key(value)
        return value

    @staticmethod
    def is_live(now: datetime) -> ColumnElement[bool]:
        """The invitation has neither ended nor lapsed. `now` is aware."""
        return and_(TeamInvitation.ended_at.is_(None), TeamInvitation.expires_at > now)

    @staticmethod
    def live(now: datetime) -> Select["TeamInvitation"]:
        """The invitations that can be accepted, with business and inviter, oldest first. `now` is aware."""
        return (
            select(TeamInvitation)
            .join(TeamInvitation.merchant)
            .join(TeamInvitation.inviter)
            .options(contains_eager(TeamInvitation.merchant), contains_eager(TeamInvitation.inviter))
            .where(TeamInvitation.is_live(now))
            .order_by(TeamInvitation.id)
        )
