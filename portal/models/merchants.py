"""A merchant's settings."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.columns import Currency, Instant
from portal.models.users import User


class Merchant(Model):
    """What a merchant chose for itself. The home currency is fixed (trigger) once a plan exists."""

    __tablename__ = "merchants"

    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"), primary_key=True, autoincrement=False)
    business_name: Mapped[str] = mapped_column(String(120))
    home_currency: Mapped[Currency]
    time_zone: Mapped[str] = mapped_column(String(64))
    grace_days: Mapped[int] = mapped_column(SmallInteger, default=0)
    updated_at: Mapped[Instant]

    user: Mapped[User] = relationship(back_populates="merchant")

    __table_args__ = (
        CheckConstraint("grace_days BETWEEN 0 AND 30", name="grace_days"),
        CheckConstraint("business_name <> ''", name="named"),
        CheckConstraint("home_currency ~ '^[A-Z]{3}$'", name="currency"),
    )
