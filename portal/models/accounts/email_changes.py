"""Changes of an account's email, which the old address may undo for a time."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    BindParameter,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    Select,
    String,
    Text,
    false,
    or_,
    select,
    text,
)
from sqlalchemy.orm import Mapped, contains_eager, mapped_column, relationship, validates

from portal.domain import identifiers
from portal.extensions import Model
from portal.models.accounts.users import User
from portal.models.columns import Id, Instant


class EmailChange(Model):
    """A change that took place. Until it ends or expires, the account holds its old email, too.

    The link that undoes it is made with its mail. The row holds the SHA-256 of the link's token.
    """

    __tablename__ = "email_changes"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    old_email: Mapped[str] = mapped_column(String(254))
    old_email_key: Mapped[str] = mapped_column(Text)
    new_email: Mapped[str] = mapped_column(String(254))
    token_hash: Mapped[bytes | None] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    ended_at: Mapped[Instant | None]

    user: Mapped[User] = relationship()

    __table_args__ = (
        CheckConstraint("octet_length(token_hash) = 32", name="token_hash"),
        CheckConstraint("expires_at > created_at", name="expires"),
        Index("uq_email_changes_open_user_id", "user_id", unique=True, postgresql_where=text("ended_at IS NULL")),
        Index(
            "uq_email_changes_open_old_email_key",
            "old_email_key",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    @validates("old_email")
    def _set_key(self, column: str, value: str) -> str:
        self.old_email_key = identifiers.email_key(value)
        return value

    @staticmethod
    def open(now: datetime) -> Select["EmailChange"]:
        """The changes that can still be undone, with their users. `now` is aware."""
        return (
            select(EmailChange)
            .join(EmailChange.user)
            .options(contains_eager(EmailChange.user))
            .where(EmailChange.ended_at.is_(None), EmailChange.expires_at > now)
        )

    @staticmethod
    def holder_of(email: str, now: datetime) -> Select["User"]:
        """The account or record that holds this email as it was typed, an email that was changed included.

        At most one. `now` is aware.
        """
        if not identifiers.is_storable(email):
            return select(User).where(false())
        return EmailChange.holder_of_key(identifiers.email_key(email), now)

    @staticmethod
    def holder_of_key(key: str | BindParameter[str], now: datetime | BindParameter[datetime]) -> Select["User"]:
        """As `holder_of`, by the key of an email (identifiers.py)."""
        changed = select(EmailChange.user_id).where(
            EmailChange.old_email_key == key, EmailChange.ended_at.is_(None), EmailChange.expires_at > now
        )
        return select(User).where(or_(User.holds_key(key), User.id == changed.scalar_subquery()))
