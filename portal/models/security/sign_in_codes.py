"""Mailed codes by which a browser may try a password while strangers use the tries of its account up."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, SmallInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Model
from portal.models.columns import Id, Instant
from portal.models.security.second_factors import MAX_WRONG_CODES


class SignInCode(Model):
    """A code that was mailed to an account for one browser, known by its long-lived cookie.

    The code is made when its mail is written; `code_hash` is an HMAC under SECRET_KEY. `asked_from` is the address of
    the request. A row that is used and has no code is a browser that used a reset link.
    """

    __tablename__ = "sign_in_codes"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    browser_hash: Mapped[bytes] = mapped_column(LargeBinary)
    asked_from: Mapped[str] = mapped_column(String(45))
    code_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    wrong_codes: Mapped[int] = mapped_column(SmallInteger, default=0, server_default=text("0"))
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    used_at: Mapped[Instant | None]

    __table_args__ = (
        CheckConstraint("octet_length(browser_hash) = 32 AND octet_length(code_hash) = 32", name="digests"),
        CheckConstraint("expires_at > created_at", name="expires"),
        CheckConstraint(f"wrong_codes BETWEEN 0 AND {MAX_WRONG_CODES}", name="wrong_codes"),
        Index("ix_sign_in_codes_expires_at", "expires_at"),
        Index("ix_sign_in_codes_user_id_created_at", "user_id", "created_at"),
    )
