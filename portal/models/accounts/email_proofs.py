"""Proofs of emails: a link and a six-digit code in one mail, with which a person shows that they read its mailbox."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    Select,
    SmallInteger,
    String,
    Text,
    select,
    text,
)
from sqlalchemy.orm import Mapped, contains_eager, mapped_column, relationship, validates

from portal.domain import identifiers
from portal.extensions import Model
from portal.models.accounts.users import User
from portal.models.columns import Id, Instant

MAX_WRONG_CODES = 5


class EmailProof(Model):
    """One request for a proof: of the email of a registration, or of the new email of an account.

    Link and code are made with the mail. The row holds the SHA-256 of the link's token, and an HMAC of the code. The
    code is for the browser of `session_id`; without a session, for the API tokens of the account. `has_code` is false
    for a request of a person who is not signed in. `asked_from` is the address of the request.

    The row outlives a registration that is removed, because it counts towards the limits of its email.
    """

    __tablename__ = "email_proofs"

    id: Mapped[Id]
    user_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id", ondelete="SET NULL"))
    session_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("user_sessions.id", ondelete="SET NULL"))
    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(Text)
    has_code: Mapped[bool]
    asked_from: Mapped[str] = mapped_column(String(45))
    token_hash: Mapped[bytes | None] = mapped_column(LargeBinary, unique=True)
    code_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    wrong_codes: Mapped[int] = mapped_column(SmallInteger, default=0, server_default=text("0"))
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    ended_at: Mapped[Instant | None]

    user: Mapped[User | None] = relationship()

    __table_args__ = (
        CheckConstraint("octet_length(token_hash) = 32 AND octet_length(code_hash) = 32", name="digests"),
        CheckConstraint("expires_at > created_at", name="expires"),
        CheckConstraint(f"wrong_codes BETWEEN 0 AND {MAX_WRONG_CODES}", name="wrong_codes"),
        Index("ix_email_proofs_email_key_created_at", "email_key", "created_at"),
        Index("ix_email_proofs_user_id_created_at", "user_id", "created_at"),
        Index("uq_email_proofs_live_user_id", "user_id", unique=True, postgresql_where=text("ended_at IS NULL")),
    )

    @validates("email")
    def _set_key(self, column: str, value: str) -> str:
        self.email_key = identifiers.email_key(value)
        return value

    @staticmethod
    def live(now: datetime) -> Select["EmailProof"]:
        """The proofs that were neither used nor replaced, have not expired, and whose account is not deactivated.

        With their users. `now` is aware.
        """
        return (
            select(EmailProof)
            .join(EmailProof.user)
            .options(contains_eager(EmailProof.user))
            .where(EmailProof.ended_at.is_(None), EmailProof.expires_at > now, User.deactivated_at.is_(None))
        )
