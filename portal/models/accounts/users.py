"""Accounts: people who can sign in, and invited customers who have not claimed their record yet."""

from typing import TYPE_CHECKING

from flask_login import UserMixin
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    ColumnElement,
    Enum,
    Index,
    Select,
    String,
    Text,
    false,
    literal_column,
    or_,
    select,
    text,
)
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship, validates

from portal.domain import identifiers
from portal.domain.permissions import HATS, Hat
from portal.extensions import Model
from portal.models.columns import Id, Instant

if TYPE_CHECKING:
    from portal.models.accounts.memberships import Membership


class User(Model, UserMixin):  # type: ignore[misc]  # flask-login has no types
    """A person. An invited customer has an email, and no username or password until the record is claimed.

    `registered_as` is the hat that registration chose: where sign-in leads at first. It grants nothing to merchants and
    customers; memberships do. An operator, made on the command line, looks after the installation.

    `email_key` and `username_key` compare emails and usernames (identifiers.py). Setting the email or the username
    sets its key. `early_reminders` is the customer's choice to get reminders before the due date. An account with
    `is_demo` belongs to the demo data and has a public password: it signs in only where Settings.demo_logins_work
    allows it, and no mail is sent to it. The row of an erased person (`erased_at`) stays as a tombstone: deactivated,
    without a username, and with a random placeholder as its email.
    """

    __tablename__ = "users"

    id: Mapped[Id]
    registered_as: Mapped[Hat] = mapped_column(
        Enum(*HATS, name="registered_as", native_enum=False, create_constraint=True)
    )
    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(Text)
    username: Mapped[str | None] = mapped_column(String(150))
    username_key: Mapped[str | None] = mapped_column(Text)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    early_reminders: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    is_demo: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    created_at: Mapped[Instant]
    deactivated_at: Mapped[Instant | None]
    erased_at: Mapped[Instant | None]

    owes: Mapped[bool] = column_property(
        literal_column("EXISTS (SELECT FROM plans WHERE plans.customer_id = users.id)", Boolean), deferred=True
    )
    """The person is the customer of a plan, open or closed."""

    memberships: Mapped[list["Membership"]] = relationship(back_populates="user", order_by="Membership.merchant_id")

    __table_args__ = (
        Index("uq_users_email_key", "email_key", unique=True),
        Index("uq_users_username_key", "username_key", unique=True),
        Index("ix_users_email_key_prefix", "email_key", postgresql_ops={"email_key": "text_pattern_ops"}),
        Index("ix_users_username_key_prefix", "username_key", postgresql_ops={"username_key": "text_pattern_ops"}),
        CheckConstraint("(username IS NULL) = (password_hash IS NULL)", name="claimed_whole"),
        CheckConstraint("username IS NOT NULL OR registered_as = 'customer'", name="only_customers_are_invited"),
        CheckConstraint("position('@' in username) = 0 OR username_key = email_key", name="username_is_no_other_email"),
        CheckConstraint('email_key = lower(email COLLATE "C")', name="email_key"),
        CheckConstraint(
            "(username IS NULL) = (username_key IS NULL)"
            " AND (username ~ '[^ -~]' OR username_key = lower(username COLLATE \"C\"))",
            name="username_key",
        ),
        CheckConstraint(
            "erased_at IS NULL OR (email LIKE 'erased-%@erased.invalid' AND username IS NULL"
            " AND deactivated_at IS NOT NULL)",
            name="erased",
        ),
        CheckConstraint("username <> '' AND position('@' in email) > 1", name="named"),
    )

    @property
    def is_operator(self) -> bool:
        return self.registered_as == "operator"

    @property
    def is_active(self) -> bool:
        return self.deactivated_at is None and self.is_claimed

    @property
    def is_claimed(self) -> bool:
        """The account has a password. False for an invited customer who has not claimed the record."""
        return self.password_hash is not None

    @property
    def is_proven(self) -> bool:
        """The account's owner reads the mail of its email. A claimed account counts as proven."""
        return self.is_claimed

    @property
    def display_name(self) -> str:
        """The name that the other party of a plan sees: the username, or the email of an unclaimed record."""
        return self.username or self.email

    @validates("email", "username")
    def _set_key(self, column: str, value: str | None) -> str | None:
        key = identifiers.email_key if column == "email" else identifiers.username_key
        setattr(self, f"{column}_key", None if value is None else key(value))
        return value

    @staticmethod
    def has_email(typed: str) -> ColumnElement[bool]:
        """Match of an email as it was typed (identifiers.py). False for text that no column can store."""
        return User.email_key == identifiers.email_key(typed) if identifiers.is_storable(typed) else false()

    @staticmethod
    def has_username(typed: str) -> ColumnElement[bool]:
        """Case-insensitive match of a username as it was typed. False for text that no column can store."""
        return User.username_key == identifiers.username_key(typed) if identifiers.is_storable(typed) else false()

    @staticmethod
    def by_login(login: str) -> Select["User"]:
        """The user with this login: an email if it holds an "@", else a username."""
        return select(User).where(User.has_email(login) if "@" in login else User.has_username(login))

    @staticmethod
    def starts_with(text: str) -> ColumnElement[bool]:
        """The email or the username begins with `text`, whatever its case. Uses an index."""
        if not identifiers.is_storable(text):
            return false()
        return or_(
            User.email_key.startswith(identifiers.email_key_prefix(text), autoescape=True),
            User.username_key.startswith(identifiers.key(identifiers.username(text)), autoescape=True),
        )
