"""Reports of customers who don't know the shop that made a plan for them."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Select, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.accounts.merchants import Merchant
from portal.models.columns import Id, Instant
from portal.models.plans.invitations import Invitation


class ShopReport(Model):
    """The holder of a customer's link said that they don't know the shop: once for each link.

    `cleared_at`: an operator looked at the shop and found nothing wrong with it.
    """

    __tablename__ = "shop_reports"

    id: Mapped[Id]
    invitation_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("invitations.id"), unique=True)
    plan_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("plans.id"))
    merchant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("merchants.id"))
    created_at: Mapped[Instant]
    cleared_at: Mapped[Instant | None]
    cleared_by: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))

    merchant: Mapped[Merchant] = relationship()
    invitation: Mapped[Invitation] = relationship()

    __table_args__ = (
        CheckConstraint("(cleared_at IS NULL) = (cleared_by IS NULL)", name="cleared"),
        Index("ix_shop_reports_merchant_id_id", "merchant_id", "id"),
        Index("ix_shop_reports_plan_id", "plan_id"),
        Index("ix_shop_reports_open_id", "id", postgresql_where=text("cleared_at IS NULL")),
    )

    @staticmethod
    def open() -> Select["ShopReport"]:
        """The reports that no operator has cleared, oldest first."""
        return select(ShopReport).where(ShopReport.cleared_at.is_(None)).order_by(ShopReport.id)
