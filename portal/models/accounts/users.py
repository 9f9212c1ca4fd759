"""Accounts: people who can sign in, and invited customers who have not claimed their record yet."""

from typing import TYPE_CHECKING

from sqlalchemy import (
    BindParameter,
    Boolean,
    CheckConstraint,
    ColumnElement,
    Enum,
    Index,
    LargeBinary,
    Select,
    String,
    Text,
    and_,
    false,
    literal_column,
    or_,
    select,
    text,
)
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship, validates

from portal.domain import identifiers, lookalikes
from portal.domain.permissions import HATS, Hat
from portal.extensions import Model
from portal.models.columns import Id, Instant

if TYPE_CHECKING:
    from portal.models.accounts.memberships import Membership

_HOLDS_EMAIL = "email_proven_at IS NOT NULL OR password_hash IS NULL"
_UNPROVEN = "email_proven_at IS NULL AND password_hash IS NOT NULL"
_NO_EMAIL_AS_NAME = "strpos(username_key, '@') = 0"


class User(Model):
    """A person. A record of an invited customer has an email, and no username or password until it is claimed.

    An account is proven once its owner has shown that they read the mail of its email (`email_proven_at`). Proven
    accounts and records hold their email: it is unique among them. A registration that is not proven holds only its
    username.

    `registered_as` is the hat that registration chose: where sign-in leads at first. It grants nothing to merchants and
    customers; memberships do. An operator, made on the command line, looks after the installation.

    `email_key` and `username_key` compare emails and usernames (identifiers.py). Setting the email or the username
    sets its key; the username also its skeleton (lookalikes.py), unless it is the email. `early_reminders` is the
    customer's choice to get reminders before the due date. `language` is the code of the catalogue for the account's
    pages and mails; None until one was chosen. `full_name` and `phone` are the person's own, shown to nobody else.
    `calendar_hash` is the digest of their calendar's secret address.

    An account with `is_demo` belongs to the demo data and has a public password: it signs in only where
    Settings.demo_logins_work allows it, and no mail is sent to it. The row of an erased person (`erased_at`) stays as a
    tombstone: deactivated, without a username, and with a random placeholder as its email.
    """

    __tablename__ = "users"

    id: Mapped[Id]
    registered_as: Mapped[Hat] = mapped_column(
        Enum(*HATS, name="registered_as", native_enum=False, create_constraint=True)
    )
    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(Text)
    email_proven_at: Mapped[Instant | None]
    username: Mapped[str | None] = mapped_column(String(150))
    username_key: Mapped[str | None] = mapped_column(Text)
    username_skeleton: Mapped[str | None] = mapped_column(Text)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    early_reminders: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    language: Mapped[str | None] = mapped_column(String(20))
    full_name: Mapped[str] = mapped_column(String(200), default="", server_default=text("''"))
    phone: Mapped[str] = mapped_column(String(40), default="", server_default=text("''"))
    calendar_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    calendar_made_at: Mapped[Instant | None]
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
        Index("uq_users_email_key", "email_key", unique=True, postgresql_where=text(_HOLDS_EMAIL)),
        Index("uq_users_username_key", "username_key", unique=True, postgresql_where=text(_NO_EMAIL_AS_NAME)),
        Index(
            "ix_users_username_skeleton", "username_skeleton", postgresql_where=text("username_skeleton IS NOT NULL")
        ),
        Index("ix_users_unproven_created_at", "created_at", postgresql_where=text(_UNPROVEN)),
        Index("ix_users_email_key_prefix", "email_key", postgresql_ops={"email_key": "text_pattern_ops"}),
        Index("ix_users_username_key_prefix", "username_key", postgresql_ops={"username_key": "text_pattern_ops"}),
        Index(
            "uq_users_calendar_hash", "calendar_hash", unique=True, postgresql_where=text("calendar_hash IS NOT NULL")
        ),
        CheckConstraint(
            "CASE WHEN calendar_hash IS NULL THEN calendar_made_at IS NULL"
            " ELSE calendar_made_at IS NOT NULL AND octet_length(calendar_hash) = 32 AND deactivated_at IS NULL END",
            name="calendar",
        ),
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
            " AND deactivated_at IS NOT NULL AND full_name = '' AND phone = '')",
            name="erased",
        ),
        CheckConstraint("username <> '' AND position('@' in email) > 1", name="named"),
        CheckConstraint("language ~ '^[A-Za-z]+(_[A-Za-z0-9]+)*$'", name="language"),
        CheckConstraint("email_proven_at IS NULL OR password_hash IS NOT NULL", name="proven"),
    )

    @property
    def is_operator(self) -> bool:
        return self.registered_as == "operator"

    @property
    def is_active(self) -> bool:
        return self.deactivated_at is None and self.is_claimed

    @property
    def is_authenticated(self) -> bool:
        """flask-login's name for a person who is signed in. Its own base class loads the tools of Flask's tests."""
        return self.is_active

    def get_id(self) -> str:
        """The id as flask-login keeps it in the session."""
        return str(self.id)

    @property
    def is_claimed(self) -> bool:
        """The account has a password. False for an invited customer who has not claimed the record."""
        return self.password_hash is not None

    @property
    def is_proven(self) -> bool:
        """The account's owner has proven its email. False for records, too."""
        return self.email_proven_at is not None

    @property
    def display_name(self) -> str:
        """The name that the other party of a plan sees: the username, or the email of an unclaimed record."""
        return self.username or self.email

    @validates("email", "username")
    def _set_key(self, column: str, value: str | None) -> str | None:
        key = identifiers.email_key if column == "email" else identifiers.username_key
        setattr(self, f"{column}_key", None if value is None else key(value))
        if column == "username":
            is_name = value is not None and "@" not in value
            self.username_skeleton = lookalikes.skeleton(value) if is_name and value else None
        return value

    @staticmethod
    def has_email(typed: str) -> ColumnElement[bool]:
        """Match of an email as it was typed (identifiers.py). False for text that no column can store."""
        return User.email_key == identifiers.email_key(typed) if identifiers.is_storable(typed) else false()

    @staticmethod
    def holds_email(typed: str) -> ColumnElement[bool]:
        """The proven account or the record with this email, at most one. A registration holds no email."""
        return User.holds_key(identifiers.email_key(typed)) if identifiers.is_storable(typed) else false()

    @staticmethod
    def holds_key(key: str | BindParameter[str]) -> ColumnElement[bool]:
        """As `holds_email`, by the key of an email (identifiers.py)."""
        return and_(User.email_key == key, or_(User.email_proven_at.is_not(None), User.password_hash.is_(None)))

    @staticmethod
    def is_registration() -> ColumnElement[bool]:
        """A registration whose email is not proven yet."""
        return and_(User.email_proven_at.is_(None), User.password_hash.is_not(None))

    @staticmethod
    def has_username(typed: str) -> ColumnElement[bool]:
        """Case-insensitive match of a username as it was typed. False for text that no column can store.

        False for a username with an "@", which is the account's email: several registrations may have it.
        """
        if not identifiers.is_storable(typed) or "@" in identifiers.username(typed):
            return false()
        return and_(User.username_key == identifiers.username_key(typed), literal_column(_NO_EMAIL_AS_NAME, Boolean))

    @staticmethod
    def by_login(login: str) -> Select["User"]:
        """The user with this login: an email if it holds an "@", else a username.

        Of several with an email: the proven account, else the newest registration, else the record.
        """
        if "@" not in login:
            return select(User).where(User.has_username(login))
        order = (User.email_proven_at.is_not(None).desc(), User.password_hash.is_not(None).desc(), User.id.desc())
        return select(User).where(User.has_email(login)).order_by(*order).limit(1)

    @staticmethod
    def starts_with(text: str) -> ColumnElement[bool]:
        """The email or the username begins with `text`, whatever its case. Uses an index."""
        if not identifiers.is_storable(text):
            return false()
        return or_(
            User.email_key.startswith(identifiers.email_key_prefix(text), autoescape=True),
            User.username_key.startswith(identifiers.key(identifiers.username(text)), autoescape=True),
        )
