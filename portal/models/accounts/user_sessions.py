"""Signed-in browsers. The cookie holds a token, and the row decides whether the token is valid."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Select,
    String,
    and_,
    case,
    select,
)
from sqlalchemy.orm import Mapped, contains_eager, joinedload, mapped_column, relationship, undefer

from portal.extensions import Model
from portal.models.accounts.memberships import Membership
from portal.models.accounts.users import User
from portal.models.columns import Id, Instant

IDLE: Final = timedelta(days=3)
"""The time without a request after which a session ends."""
OPERATORS_IDLE: Final = timedelta(minutes=30)


class UserSession(Model):
    """One browser of one person, with the hat that they wear there: a business of theirs, or the customer's (None).

    The row holds the SHA-256 of the token, and of the long-lived cookie by which the browser is known again. Signing
    out ends the row, and so do IDLE without a request and `expires_at`. The end of a membership takes its hat off.

    `address` is that of the last use. `confirmed_at` is the last instant at which the password was typed here.
    """

    __tablename__ = "user_sessions"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    merchant_id: Mapped[int | None] = mapped_column(BigInteger)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    user_agent: Mapped[str] = mapped_column(String(200), default="")
    address: Mapped[str] = mapped_column(String(45), default="")
    browser_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[Instant]
    last_used_at: Mapped[Instant]
    confirmed_at: Mapped[Instant]
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
        CheckConstraint("octet_length(browser_hash) = 32", name="browser_hash"),
        Index("ix_user_sessions_expires_at", "expires_at"),
        Index("ix_user_sessions_user_id_id", "user_id", "id"),
    )

    @staticmethod
    def is_live(now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
        """The session has not ended, expired or been idle. Its user is joined. `now` is aware."""
        idle = case((User.registered_as == "operator", now - OPERATORS_IDLE), else_=now - IDLE)
        return and_(UserSession.ended_at.is_(None), UserSession.expires_at > now, UserSession.last_used_at > idle)

    @staticmethod
    def of_user(user_id: int, now: datetime) -> Select["UserSession"]:
        """The live sessions of a user, last used first. `now` is aware."""
        return (
            select(UserSession)
            .join(UserSession.user)
            .where(UserSession.user_id == user_id, UserSession.is_live(now))
            .order_by(UserSession.last_used_at.desc(), UserSession.id.desc())
        )

    @staticmethod
    def live(
        token_hash: bytes | BindParameter[bytes], now: datetime | BindParameter[datetime]
    ) -> Select["UserSession"]:
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
                UserSession.is_live(now),
                User.deactivated_at.is_(None),
            )
        )
