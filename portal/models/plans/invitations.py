"""Links of a plan: the pay link, which the business sees, and the customer's link, which only their mails carry."""

from datetime import datetime
from typing import Literal, get_args

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    Enum,
    ForeignKey,
    Index,
    LargeBinary,
    Select,
    and_,
    select,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.columns import Id, Instant
from portal.models.plans.plans import Plan

LinkKind = Literal["pay", "customer"]
LINK_KINDS: tuple[LinkKind, ...] = get_args(LinkKind)
LinkEnd = Literal["renewed", "revoked", "corrected"]
LINK_ENDS: tuple[LinkEnd, ...] = get_args(LinkEnd)
"""Why a link was revoked: a newer one took its place, the business ended it, or the plan's email was corrected."""


class Invitation(Model):
    """A link to one plan. Renewing the link revokes the previous one of its kind.

    `kind` "pay": the business sees the link, so it shows the plan and takes payments, no more. "customer": only mails
    to the plan's customer carry the link, so it also claims the record.

    `opened_at` is the first time that a browser opened the customer's link. `claimed_at`: the customer has an account.

    The row holds the SHA-256 of the token and a random seed: token = f(SECRET_KEY, seed), see services/plans.
    """

    __tablename__ = "invitations"

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("plans.id"))
    kind: Mapped[LinkKind] = mapped_column(Enum(*LINK_KINDS, name="kind", native_enum=False, create_constraint=True))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    seed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    opened_at: Mapped[Instant | None]
    revoked_at: Mapped[Instant | None]
    revoked_for: Mapped[LinkEnd | None] = mapped_column(
        Enum(*LINK_ENDS, name="revoked_for", native_enum=False, create_constraint=True)
    )
    claimed_at: Mapped[Instant | None]

    plan: Mapped[Plan] = relationship()

    __table_args__ = (
        CheckConstraint("octet_length(token_hash) = 32", name="token_hash"),
        CheckConstraint("octet_length(seed) = 32", name="seed"),
        CheckConstraint("expires_at > created_at", name="expires"),
        CheckConstraint("revoked_at IS NULL OR claimed_at IS NULL", name="one_end"),
        CheckConstraint("(revoked_at IS NULL) = (revoked_for IS NULL)", name="revoked"),
        CheckConstraint("opened_at IS NULL OR kind = 'customer'", name="opened"),
        Index("ix_invitations_plan_id_id", "plan_id", "id"),
        Index(
            "uq_invitations_live_plan_id_kind",
            "plan_id",
            "kind",
            unique=True,
            postgresql_where=text("revoked_at IS NULL AND claimed_at IS NULL"),
        ),
        Index(
            "ix_invitations_unopened_plan_id",
            "plan_id",
            postgresql_where=text(
                "kind = 'customer' AND opened_at IS NULL AND revoked_at IS NULL AND claimed_at IS NULL"
            ),
        ),
    )

    @staticmethod
    def unopened(before: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
        """SQL: the newest link of the customer, made before this aware instant, that no browser opened."""
        return and_(
            Invitation.kind == "customer",
            Invitation.opened_at.is_(None),
            Invitation.revoked_at.is_(None),
            Invitation.claimed_at.is_(None),
            Invitation.created_at < before,
        )

    @staticmethod
    def live(token_hash: bytes, now: datetime) -> Select["Invitation"]:
        """The invitation with this token, unless it was revoked, claimed or has expired. `now` is aware."""
        return select(Invitation).where(
            Invitation.token_hash == token_hash,
            and_(Invitation.revoked_at.is_(None), Invitation.claimed_at.is_(None), Invitation.expires_at > now),
        )
