"""People who can sign in, and customers who were invited and have not claimed their record yet."""

from typing import TYPE_CHECKING, Literal, get_args

from flask_login import UserMixin
from sqlalchemy import CheckConstraint, ColumnElement, Enum, Index, Select, String, Text, false, or_, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from portal.domain import identifiers
from portal.extensions import Model
from portal.models.columns import Id, Instant

if TYPE_CHECKING:
    from portal.models.accounts.merchants import Merchant

Role = Literal["merchant", "customer", "operator"]
ROLES: tuple[Role, ...] = get_args(Role)

_ASCII = "{0} ~ '[^ -~]' OR {0}_key = lower({0} COLLATE \"C\")"
"""Of plain letters the database knows the key as well."""


class User(Model, UserMixin):  # type: ignore[misc]  # flask-login has no types
    """An account. An invited customer has an email and nothing to sign in with until the record is claimed.

    `email_key` and `username_key` are what is the same whatever the case (names.py); they follow what they are keys of.
    `early_reminders`: a customer may turn those before the due day off. `is_demo`: made by the demo data, so its
    password is public; it signs in where Settings.demo_logins_work says so, and no mail leaves for it.
    """

    __tablename__ = "users"

    id: Mapped[Id]
    role: Mapped[Role] = mapped_column(Enum(*ROLES, name="role", native_enum=False, create_constraint=True))
    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(Text)
    username: Mapped[str | None] = mapped_column(String(150))
    username_key: Mapped[str | None] = mapped_column(Text)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    early_reminders: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    is_demo: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    created_at: Mapped[Instant]
    deactivated_at: Mapped[Instant | None]

    merchant: Mapped["Merchant | None"] = relationship(back_populates="user", lazy="select")

    __table_args__ = (
        Index("uq_users_email_key", "email_key", unique=True),
        Index("uq_users_username_key", "username_key", unique=True),
        Index("ix_users_email_key_prefix", "email_key", postgresql_ops={"email_key": "text_pattern_ops"}),
        Index("ix_users_username_key_prefix", "username_key", postgresql_ops={"username_key": "text_pattern_ops"}),
        CheckConstraint("(username IS NULL) = (password_hash IS NULL)", name="claimed_whole"),
        CheckConstraint("username IS NOT NULL OR role = 'customer'", name="only_customers_are_invited"),
        CheckConstraint("position('@' in username) = 0 OR username_key = email_key", name="username_is_no_other_email"),
        CheckConstraint(_ASCII.format("email"), name="email_key"),
        CheckConstraint(
            f"(username IS NULL) = (username_key IS NULL) AND ({_ASCII.format('username')})", name="username_key"
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

    @validates("email", "username")
    def _follow(self, column: str, value: str | None) -> str | None:
        setattr(self, f"{column}_key", None if value is None else identifiers.key(value))
        return value

    @staticmethod
    def has_email(typed: str) -> ColumnElement[bool]:
        """Same email, whatever its case, as somebody typed it. Nobody has one that can't be stored."""
        return User.email_key == identifiers.email_key(typed) if identifiers.is_storable(typed) else false()

    @staticmethod
    def has_username(typed: str) -> ColumnElement[bool]:
        """Same username, whatever its case, as somebody typed it. Nobody has one that can't be stored."""
        return User.username_key == identifiers.username_key(typed) if identifiers.is_storable(typed) else false()

    @staticmethod
    def by_login(login: str) -> Select["User"]:
        """Who signs in under this name: an email when it holds an "@", else a username."""
        return select(User).where(User.has_email(login) if "@" in login else User.has_username(login))

    @staticmethod
    def starts_with(text: str) -> ColumnElement[bool]:
        """Email or username begins with `text`, whatever its case; on an index."""
        if not identifiers.is_storable(text):
            return false()
        return or_(
            User.email_key.startswith(identifiers.key(text), autoescape=True),
            User.username_key.startswith(identifiers.username_key(text), autoescape=True),
        )
