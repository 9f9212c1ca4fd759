"""People who can sign in, and customers who were invited and have not claimed their record yet."""

from typing import TYPE_CHECKING, Literal, get_args

from flask_login import UserMixin
from sqlalchemy import CheckConstraint, ColumnElement, Enum, Index, Select, String, false, func, or_, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.columns import Id, Instant

if TYPE_CHECKING:
    from portal.models.merchants import Merchant

Role = Literal["merchant", "customer", "operator"]
ROLES: tuple[Role, ...] = get_args(Role)


class User(Model, UserMixin):  # type: ignore[misc]  # flask-login has no types
    """An account. An invited customer has an email and nothing to sign in with until the record is claimed.

    `early_reminders`: a customer may turn those before the due day off.
    """

    __tablename__ = "users"

    id: Mapped[Id]
    role: Mapped[Role] = mapped_column(Enum(*ROLES, name="role", native_enum=False, create_constraint=True))
    email: Mapped[str] = mapped_column(String(254))
    username: Mapped[str | None] = mapped_column(String(150))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    early_reminders: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    created_at: Mapped[Instant]
    deactivated_at: Mapped[Instant | None]

    merchant: Mapped["Merchant | None"] = relationship(back_populates="user", lazy="select")

    __table_args__ = (
        Index("uq_users_email_lower", func.lower(email), unique=True),
        Index("uq_users_username_lower", func.lower(username), unique=True),
        Index(
            "ix_users_email_lower_prefix",
            func.lower(email).label("email_lower"),
            postgresql_ops={"email_lower": "text_pattern_ops"},
        ),
        Index(
            "ix_users_username_lower_prefix",
            func.lower(username).label("username_lower"),
            postgresql_ops={"username_lower": "text_pattern_ops"},
        ),
        CheckConstraint("(username IS NULL) = (password_hash IS NULL)", name="claimed_whole"),
        CheckConstraint("username IS NOT NULL OR role = 'customer'", name="only_customers_are_invited"),
        CheckConstraint(
            "position('@' in username) = 0 OR lower(username) = lower(email)", name="username_is_no_other_email"
        ),
        CheckConstraint("username <> '' AND position('@' in email) > 1", name="named"),
    )

    @property
    def is_active(self) -> bool:
        return self.deactivated_at is None and self.is_claimed

    @property
    def is_claimed(self) -> bool:
        """False for an invited customer who has not set a password yet."""
        return self.password_hash is not None

    @property
    def display_name(self) -> str:
        """What other people on the same plan see: the username, or the email of a record not claimed yet."""
        return self.username or self.email

    @staticmethod
    def has_email(email: str) -> ColumnElement[bool]:
        """Same email, whatever its case. Nobody has one that can't be stored (NUL, half a surrogate pair)."""
        return func.lower(User.email) == func.lower(email) if email.isprintable() else false()

    @staticmethod
    def has_username(username: str) -> ColumnElement[bool]:
        """Same username, whatever its case. Nobody has one that can't be stored."""
        return func.lower(User.username) == func.lower(username) if username.isprintable() else false()

    @staticmethod
    def by_login(login: str) -> Select["User"]:
        """Who signs in under this name: an email when it holds an "@", else a username."""
        return select(User).where(User.has_email(login) if "@" in login else User.has_username(login))

    @staticmethod
    def starts_with(text: str) -> ColumnElement[bool]:
        """Email or username begins with `text`, whatever its case; on an index."""
        if not text.isprintable():
            return false()
        prefix = text.lower()
        return or_(
            func.lower(User.email).startswith(prefix, autoescape=True),
            func.lower(User.username).startswith(prefix, autoescape=True),
        )
