"""API keys, with which a merchant's server signs in."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    Enum,
    ForeignKey,
    Index,
    LargeBinary,
    Select,
    String,
    and_,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, contains_eager, joinedload, mapped_column, relationship

from portal.domain import clock, money
from portal.domain.permissions import GIVEN_TO_KEYS, ROLES, Permission, Role
from portal.extensions import Model
from portal.models.accounts.memberships import Membership
from portal.models.accounts.merchants import Merchant
from portal.models.accounts.users import User
from portal.models.columns import Id, Instant, UserId, is_one_line

_GIVEN = ", ".join(f"'{permission}'" for permission in GIVEN_TO_KEYS)


class ApiKey(Model):
    """A named key of one business. The row holds the SHA-256 of the secret, and the `prefix` that lists show.

    Every key may read, and do what its `permissions` name, as far as `maker_role`, its maker's role when it was made,
    and their present role allow. `refund_limit` bounds its refunds on one local day of the business, in minor
    units of the home currency. The key outlives a maker who leaves the business.
    """

    __tablename__ = "api_keys"

    id: Mapped[Id]
    merchant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("merchants.id"))
    created_by: Mapped[UserId]
    maker_role: Mapped[Role] = mapped_column(
        Enum(*ROLES, name="maker_role", native_enum=False, create_constraint=True, length=9)
    )
    name: Mapped[str] = mapped_column(String(200))
    prefix: Mapped[str] = mapped_column(String(16), unique=True)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    permissions: Mapped[list[Permission]] = mapped_column(ARRAY(String(20)), default=list, server_default=text("'{}'"))
    refund_limit: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant | None]
    last_used_at: Mapped[Instant | None]
    last_used_from: Mapped[str] = mapped_column(String(45), default="", server_default=text("''"))
    revoked_at: Mapped[Instant | None]

    maker: Mapped[User] = relationship()
    merchant: Mapped[Merchant] = relationship()
    membership: Mapped[Membership | None] = relationship(
        primaryjoin="and_(foreign(ApiKey.created_by) == Membership.user_id, "
        "foreign(ApiKey.merchant_id) == Membership.merchant_id)",
        viewonly=True,
    )

    __table_args__ = (
        CheckConstraint("octet_length(secret_hash) = 32", name="secret_hash"),
        CheckConstraint(f"name <> '' AND {is_one_line('name')}", name="named"),
        CheckConstraint("expires_at > created_at", name="expires"),
        CheckConstraint(f"permissions <@ ARRAY[{_GIVEN}]::varchar[]", name="permissions"),
        CheckConstraint(f"refund_limit BETWEEN 0 AND {money.MAX_MINOR}", name="refund_limit"),
        Index("ix_api_keys_merchant_id_id", "merchant_id", "id"),
    )

    @property
    def state(self) -> str:
        """active, expired or revoked, at the present instant."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= clock.now() else "active"

    @staticmethod
    def is_live(now: datetime) -> ColumnElement[bool]:
        """The key is neither revoked nor expired. `now` is aware."""
        return and_(ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now))

    @staticmethod
    def live(prefix: str, now: datetime) -> Select["ApiKey"]:
        """The key with this prefix, its maker and their present membership, if key and maker are active.

        `now` is aware.
        """
        return (
            select(ApiKey)
            .join(ApiKey.maker)
            .options(contains_eager(ApiKey.maker), joinedload(ApiKey.merchant), joinedload(ApiKey.membership))
            .where(ApiKey.prefix == prefix, ApiKey.is_live(now), User.deactivated_at.is_(None))
        )

    @staticmethod
    def of_merchant(merchant_id: int) -> Select["ApiKey"]:
        """A merchant's keys, newest first."""
        return select(ApiKey).where(ApiKey.merchant_id == merchant_id).order_by(ApiKey.id.desc())
