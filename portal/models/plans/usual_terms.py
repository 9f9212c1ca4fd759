"""Usual terms: schedules that a business uses often. The form of a new plan offers them."""

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Enum, ForeignKey, Index, Select, SmallInteger, String, select
from sqlalchemy.orm import Mapped, mapped_column

from portal.domain.schedule import INTERVALS, MAX_INSTALLMENTS, Interval
from portal.extensions import Model
from portal.models.columns import Id, is_one_line

MAX_NAME: Final = 40
"""Code points of a name."""
MAX_FIRST_DAYS: Final = 365
"""Days from today to the first due date, at most."""


class UsualTerms(Model):
    """A name and a schedule without amounts. Terms are in the order of `position`, and of `id` where it is equal.

    The first of `num_installments` is due `first_days` after the day of the plan. With `deposit_percent` that part of
    the total is due at once, and the installments follow it.
    """

    __tablename__ = "usual_terms"

    id: Mapped[Id]
    merchant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("merchants.id"))
    position: Mapped[int] = mapped_column(SmallInteger)
    name: Mapped[str] = mapped_column(String(MAX_NAME))
    num_installments: Mapped[int] = mapped_column(SmallInteger)
    interval: Mapped[Interval] = mapped_column(
        Enum(*INTERVALS, name="interval", native_enum=False, create_constraint=True)
    )
    deposit_percent: Mapped[int | None] = mapped_column(SmallInteger)
    first_days: Mapped[int] = mapped_column(SmallInteger)

    __table_args__ = (
        CheckConstraint(f"name <> '' AND {is_one_line('name')}", name="named"),
        CheckConstraint(f"num_installments BETWEEN 1 AND {MAX_INSTALLMENTS}", name="num_installments"),
        CheckConstraint(f"first_days BETWEEN 0 AND {MAX_FIRST_DAYS}", name="first_days"),
        CheckConstraint(
            "deposit_percent IS NULL OR (deposit_percent BETWEEN 1 AND 99"
            f" AND num_installments < {MAX_INSTALLMENTS} AND first_days > 0)",
            name="deposit",
        ),
        Index("uq_usual_terms_merchant_id_name", "merchant_id", "name", unique=True),
    )

    @staticmethod
    def of_merchant(merchant_id: int) -> Select["UsualTerms"]:
        """The terms of a business, in its order."""
        mine = select(UsualTerms).where(UsualTerms.merchant_id == merchant_id)
        return mine.order_by(UsualTerms.position, UsualTerms.id)
