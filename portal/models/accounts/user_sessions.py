"""Signed-in browsers. The cookie holds a token, and the row decides whether the token is valid."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Select,
    String,
    select,
)
from sqlalchemy.orm import Mapped, contains_eager, joinedload, mapped_column, relationship, undefer

from portal.extensions import Model
from portal.models.accounts.memberships import Membership
from portal.models.accounts.users import User
from portal.models.columns import Id, Instant


class UserSession(Model):
    """One browser of one person, with the hat that they wear there: a business of theirs, or the customer's (None).

    The row holds the SHA-256 of the token. Signing out ends the row. The end of a membership takes its hat off.
    """

    __tablename__ = "user_sessions"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    merchant_id: Mapped[int | None] = mapped_column(BigInteger)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    user_agent: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    ended_at: Mapped[Instant | None]

    user: Mapped[User] = relationship()

    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "merchant_id"],
            ["memberships.user_id", "memberships.merchant_id"],
            name="fk_user_sessions_hat",
            ondelete="SET NULL (merchant_id)",
        ),
        CheckConstraint("octet_length(token_hash) = 32", name="token_hash"),
        Index("ix_user_sessions_user_id_id", "user_id", "id"),
    )

    @staticmethod
    def live(token_hash: bytes, now: datetime) -> Select["UserSession"]:
        """The session with this token, with its user and their businesses, unless it has ended. `now` is aware."""
        return (
            select(UserSession)
            .join(UserSession.user)
            .options(
                contains_eager(UserSession.user).options(
                    undefer(User.owes), joinedload(User.memberships).joinedload(Membership.merchant)
                )
            )
            .where(
                UserSession.token_hash == token_hash,
                UserSession.ended_at.is_(None),
                UserSession.expires_at > now,
                User.deactivated_at.is_(None),
            )
        )
