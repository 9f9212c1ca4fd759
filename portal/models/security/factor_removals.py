"""Removals of lost second factors, which an operator asked for."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, Select, select, text
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from portal.extensions import Model
from portal.models.accounts.users import User
from portal.models.columns import Id, Instant


class FactorRemoval(Model):
    """The end of all factors of an account at `due_at`, unless its person stops it by the mailed link until then.

    The link's token is made when its mail is written; `token_hash` is its SHA-256.
    """

    __tablename__ = "factor_removals"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    token_hash: Mapped[bytes | None] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[Instant]
    due_at: Mapped[Instant]
    ended_at: Mapped[Instant | None]

    user: Mapped[User] = relationship()

    __table_args__ = (
        CheckConstraint("due_at > created_at", name="due"),
        CheckConstraint("octet_length(token_hash) = 32", name="token_hash"),
        Index("ix_factor_removals_open_due_at", "due_at", postgresql_where=text("ended_at IS NULL")),
        Index("uq_factor_removals_open_user_id", "user_id", unique=True, postgresql_where=text("ended_at IS NULL")),
    )

    @staticmethod
    def open(token_hash: bytes, now: datetime) -> Select["FactorRemoval"]:
        """The removal with this token, with its user, unless it ended or is due. `now` is aware."""
        return (
            select(FactorRemoval)
            .options(joinedload(FactorRemoval.user))
            .where(
                FactorRemoval.token_hash == token_hash,
                FactorRemoval.ended_at.is_(None),
                FactorRemoval.due_at > now,
            )
        )
