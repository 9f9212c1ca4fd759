"""Links for a forgotten password."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, Select, SmallInteger, select, text
from sqlalchemy.orm import Mapped, contains_eager, mapped_column, relationship

from portal.extensions import Model
from portal.models.accounts.users import User
from portal.models.columns import Id, Instant

MAX_PLACES = 5


class PasswordReset(Model):
    """A link for one user, created with its mail. The row holds the SHA-256 of the token. The link works once.

    An account has at most MAX_PLACES links that work, each in a place of its own.
    """

    __tablename__ = "password_resets"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    place: Mapped[int] = mapped_column(SmallInteger, default=1, server_default=text("1"))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    ended_at: Mapped[Instant | None]

    user: Mapped[User] = relationship()

    __table_args__ = (
        CheckConstraint("octet_length(token_hash) = 32", name="token_hash"),
        CheckConstraint("expires_at > created_at", name="expires"),
        CheckConstraint(f"place BETWEEN 1 AND {MAX_PLACES}", name="place"),
        Index(
            "uq_password_resets_live_user_id_place",
            "user_id",
            "place",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_password_resets_expires_at", "expires_at"),
    )

    @staticmethod
    def live(token_hash: bytes, now: datetime) -> Select["PasswordReset"]:
        """The reset with this token, with its user, unless it was used, replaced or has expired. `now` is aware."""
        return (
            select(PasswordReset)
            .join(PasswordReset.user)
            .options(contains_eager(PasswordReset.user))
            .where(
                PasswordReset.token_hash == token_hash,
                PasswordReset.ended_at.is_(None),
                PasswordReset.expires_at > now,
                User.deactivated_at.is_(None),
                User.password_hash.is_not(None),
            )
        )
