"""Forms that were sent while the password had to be asked for first."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Model
from portal.models.columns import Id, Instant


class KeptForm(Model):
    """A form of one account and one browser: the address of its page and its fields, encrypted.

    `token_hash` is the SHA-256 of a secret in the browser's cookie.
    """

    __tablename__ = "kept_forms"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]

    __table_args__ = (
        CheckConstraint("expires_at > created_at", name="expires"),
        CheckConstraint("octet_length(token_hash) = 32", name="token_hash"),
        Index("ix_kept_forms_expires_at", "expires_at"),
        Index("ix_kept_forms_user_id", "user_id"),
    )
