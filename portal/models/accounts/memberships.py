"""Memberships: the people of a business, each with one role."""

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Enum, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.domain.permissions import ROLES, Role
from portal.extensions import Model
from portal.models.columns import Instant

if TYPE_CHECKING:
    from portal.models.accounts.merchants import Merchant
    from portal.models.accounts.users import User


class Membership(Model):
    """One person's role in one business. A guard keeps at least one owner in each business."""

    __tablename__ = "memberships"

    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"), primary_key=True, autoincrement=False)
    merchant_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("merchants.id"), primary_key=True, autoincrement=False
    )
    role: Mapped[Role] = mapped_column(Enum(*ROLES, name="role", native_enum=False, create_constraint=True, length=9))
    created_at: Mapped[Instant]

    merchant: Mapped["Merchant"] = relationship()
    user: Mapped["User"] = relationship(viewonly=True)

    __table_args__ = (Index("ix_memberships_merchant_id_role", "merchant_id", "role"),)
