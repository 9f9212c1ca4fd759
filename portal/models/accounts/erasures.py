"""Erasures: which accounts were erased, so that the restore of an older backup can erase them again."""

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Model
from portal.models.columns import Instant


class Erasure(Model):
    """An erased account. Its id and the instant of its creation name it: after a restore an id may be used again."""

    __tablename__ = "erasures"

    user_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    created_at: Mapped[Instant]
    erased_at: Mapped[Instant]
