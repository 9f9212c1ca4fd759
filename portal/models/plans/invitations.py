"""Invitation links, with which a customer sees a plan and claims the account."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, Select, and_, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.columns import Id, Instant
from portal.models.plans.plans import Plan


class Invitation(Model):
    """A link to one plan. Renewing the link revokes the previous one.

    The row holds the SHA-256 of the token and a random seed: token = f(SECRET_KEY, seed), see services/plans.
    """

    __tablename__ = "invitations"

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("plans.id"))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    seed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    revoked_at: Mapped[Instant | None]
    claimed_at: Mapped[Instant | None]

    plan: Mapped[Plan] = relationship()

    __table_args__ = (
        CheckConstraint("octet_length(token_hash) = 32", name="token_hash"),
        CheckConstraint("octet_length(seed) = 32", name="seed"),
        CheckConstraint("expires_at > created_at", name="expires"),
        CheckConstraint("revoked_at IS NULL OR claimed_at IS NULL", name="one_end"),
        Index("ix_invitations_plan_id_id", "plan_id", "id"),
        Index(
            "uq_invitations_live_plan_id",
            "plan_id",
            unique=True,
            postgresql_where=text("revoked_at IS NULL AND claimed_at IS NULL"),
        ),
    )

    @staticmethod
    def live(token_hash: bytes, now: datetime) -> Select["Invitation"]:
        """The invitation with this token, unless it was revoked, claimed or has expired. `now` is aware."""
        return select(Invitation).where(
            Invitation.token_hash == token_hash,
            and_(Invitation.revoked_at.is_(None), Invitation.claimed_at.is_(None), Invitation.expires_at > now),
        )
