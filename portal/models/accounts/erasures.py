"""Erasures: which accounts were erased, so that the restore of an older backup can erase them again."""

from sqlalchemy import BigInteger, CheckConstraint, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Model
from portal.models.columns import Instant


class Erasure(Model):
    """An erased account. Its id and the instant of its creation name it: after a restore an id may be used again.

    `email_hash` is an HMAC of the email's key under SECRET_KEY. An older backup may hold what businesses imported about
    the email before its person had an account.
    """

    __tablename__ = "erasures"

    user_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    created_at: Mapped[Instant]
    erased_at: Mapped[Instant]
    email_hash: Mapped[bytes | None] = mapped_column(LargeBinary)

    __table_args__ = (CheckConstraint("octet_length(email_hash) = 32", name="email_hash"),)
