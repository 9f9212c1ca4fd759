"""Passkeys (Web Authentication Level 3), and the challenges that a browser signs with them."""

from typing import Final, Literal, get_args

from sqlalchemy import BigInteger, CheckConstraint, Enum, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Model
from portal.models.columns import Id, Instant, is_one_line

Purpose = Literal["add", "sign_in", "second", "confirm"]
PURPOSES: Final[tuple[Purpose, ...]] = get_args(Purpose)


class Passkey(Model):
    """A passkey of an account: its public key, and the counter by which some authenticators show a copy."""

    __tablename__ = "passkeys"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    credential_id: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[Instant]
    last_used_at: Mapped[Instant | None]

    __table_args__ = (
        CheckConstraint("octet_length(credential_id) BETWEEN 1 AND 1023", name="credential_id"),
        CheckConstraint(f"name <> '' AND {is_one_line('name')}", name="named"),
        CheckConstraint("sign_count >= 0", name="sign_count"),
        Index("ix_passkeys_user_id_id", "user_id", "id"),
    )


class PasskeyChallenge(Model):
    """The random bytes that one browser signs for one purpose, once. A newer challenge replaces the one before.

    `browser_hash` is the SHA-256 of a secret in the browser's cookie. `user_id` is None for a sign-in without a name.
    """

    __tablename__ = "passkey_challenges"

    id: Mapped[Id]
    purpose: Mapped[Purpose] = mapped_column(
        Enum(*PURPOSES, name="purpose", native_enum=False, create_constraint=True, length=7)
    )
    user_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))
    browser_hash: Mapped[bytes] = mapped_column(LargeBinary)
    challenge: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]

    __table_args__ = (
        CheckConstraint("octet_length(browser_hash) = 32", name="browser_hash"),
        CheckConstraint("octet_length(challenge) = 32", name="challenge"),
        CheckConstraint("expires_at > created_at", name="expires"),
        CheckConstraint("(purpose = 'sign_in') = (user_id IS NULL)", name="user"),
        Index("ix_passkey_challenges_expires_at", "expires_at"),
        Index("uq_passkey_challenges_browser_hash_purpose", "browser_hash", "purpose", unique=True),
    )
