"""Refresh tokens of API clients: one family for each sign-in. Ending the family ends its access tokens too."""

import functools
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Select,
    and_,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Mapped, contains_eager, joinedload, mapped_column, relationship

from portal.extensions import Model
from portal.models.accounts.memberships import Membership
from portal.models.accounts.merchants import Merchant
from portal.models.accounts.users import User
from portal.models.columns import Id, Instant


class TokenFamily(Model):
    """One sign-in over the API under one hat, with every token that was refreshed from it.

    The hat is a business of the user, or the customer's (None). The end of a membership ends its families.
    """

    __tablename__ = "token_families"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    merchant_id: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    ended_at: Mapped[Instant | None]

    user: Mapped[User] = relationship()
    membership: Mapped[Membership | None] = relationship(viewonly=True)

    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "merchant_id"],
            ["memberships.user_id", "memberships.merchant_id"],
            name="fk_token_families_hat",
            ondelete="CASCADE",
        ),
        Index("ix_token_families_user_id_id", "user_id", "id"),
        Index("ix_token_families_expires_at", "expires_at"),
    )

    @staticmethod
    def live(family_id: int, user_id: int, now: datetime) -> Select["TokenFamily"]:
        """The family with its user and the membership of its hat, unless it or the user's account has ended.

        `now` is aware.
        """
        return (
            select(TokenFamily)
            .join(TokenFamily.user)
            .options(
                contains_eager(TokenFamily.user), joinedload(TokenFamily.membership).joinedload(Membership.merchant)
            )
            .where(
                TokenFamily.id == family_id,
                TokenFamily.user_id == user_id,
                TokenFamily.ended_at.is_(None),
                TokenFamily.expires_at > now,
                User.deactivated_at.is_(None),
                User.password_hash.is_not(None),
            )
        )

    @staticmethod
    @functools.cache
    def sign_in() -> Select[Any]:
        """The facts of a request's sign-in, for the parameters `family_id`, `user_id` and `now` (aware), as `live`.

        Columns of the family and the user, the role of its hat, all columns of the hat's business, and all memberships
        of the user by the business's id, each with that id, the business's name and the role. It is a statement of
        tables, which runs without the ORM.
        """
        family, user = TokenFamily.__table__, User.__table__
        hat, business = Membership.__table__, Merchant.__table__
        own, theirs = hat.alias(), business.alias()
        one = func.json_build_array(own.c.merchant_id, theirs.c.business_name, own.c.role)
        memberships = (
            select(func.json_agg(aggregate_order_by(one, own.c.merchant_id), type_=JSON))
            .select_from(own.join(theirs, theirs.c.id == own.c.merchant_id))
            .where(own.c.user_id == family.c.user_id)
            .scalar_subquery()
        )
        of_hat = and_(hat.c.user_id == family.c.user_id, hat.c.merchant_id == family.c.merchant_id)
        accounts = family.join(user, user.c.id == family.c.user_id).outerjoin(hat, of_hat)
        facts = user.c.username, user.c.email, user.c.email_proven_at, user.c.registered_as, hat.c.role
        return (
            select(family.c.created_at.label("signed_in_at"), *facts, memberships.label("memberships"), *business.c)
            .select_from(accounts.outerjoin(business, business.c.id == hat.c.merchant_id))
            .where(
                family.c.id == bindparam("family_id"),
                family.c.user_id == bindparam("user_id"),
                family.c.ended_at.is_(None),
                family.c.expires_at > bindparam("now"),
                user.c.deactivated_at.is_(None),
                user.c.password_hash.is_not(None),
            )
        )


class RefreshToken(Model):
    """A refresh token, by the SHA-256 of its id. `used_at` is the instant of its first exchange."""

    __tablename__ = "refresh_tokens"

    id: Mapped[Id]
    family_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("token_families.id", ondelete="CASCADE"))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[Instant]
    used_at: Mapped[Instant | None]

    __table_args__ = (
        CheckConstraint("octet_length(token_hash) = 32", name="token_hash"),
        Index("ix_refresh_tokens_family_id", "family_id"),
    )
