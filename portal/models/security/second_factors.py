"""Second factors: secrets of authenticator apps, recovery codes, and sign-ins that wait for a factor."""

from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, Select, SmallInteger, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.accounts.users import User
from portal.models.columns import Id, Instant

MAX_WRONG_CODES: Final = 5


class TotpSecret(Model):
    """The secret that an account shares with an authenticator app (RFC 6238), at most one for each account.

    `sealed` is encrypted (services/security/sealing.py). Until `confirmed_at` the secret is being set up and protects
    nothing. `last_step` is the time step of the last code that was used: no code of it or of an earlier step works
    again.
    """

    __tablename__ = "totp_secrets"

    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"), primary_key=True, autoincrement=False)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    last_step: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[Instant]
    confirmed_at: Mapped[Instant | None]

    __table_args__ = (CheckConstraint("(confirmed_at IS NULL) = (last_step IS NULL)", name="confirmed"),)


class RecoveryCode(Model):
    """One of the codes that replace a factor once, as its SHA-256."""

    __tablename__ = "recovery_codes"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    code_hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[Instant]
    used_at: Mapped[Instant | None]

    __table_args__ = (
        CheckConstraint("octet_length(code_hash) = 32", name="code_hash"),
        Index("uq_recovery_codes_user_id_code_hash", "user_id", "code_hash", unique=True),
    )


class SignInStep(Model):
    """A sign-in whose password was right and that waits for a factor. The browser's cookie holds its token."""

    __tablename__ = "sign_in_steps"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    wrong_codes: Mapped[int] = mapped_column(SmallInteger, default=0, server_default=text("0"))
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    ended_at: Mapped[Instant | None]

    user: Mapped[User] = relationship()

    __table_args__ = (
        CheckConstraint("expires_at > created_at", name="expires"),
        CheckConstraint("octet_length(token_hash) = 32", name="token_hash"),
        CheckConstraint(f"wrong_codes BETWEEN 0 AND {MAX_WRONG_CODES}", name="wrong_codes"),
        Index("ix_sign_in_steps_expires_at", "expires_at"),
        Index("ix_sign_in_steps_user_id_id", "user_id", "id"),
    )

    @staticmethod
    def live(token_hash: bytes, now: datetime) -> Select["SignInStep"]:
        """The sign-in with this token, unless it has ended or lapsed, or its account is deactivated. `now` is aware."""
        return (
            select(SignInStep)
            .join(SignInStep.user)
            .where(
                SignInStep.token_hash == token_hash,
                SignInStep.ended_at.is_(None),
                SignInStep.expires_at > now,
                User.deactivated_at.is_(None),
            )
        )
