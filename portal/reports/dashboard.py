"""What a merchant wants to know first: what came in, what is owed, what is late."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload, selectinload

from portal import clock
from portal.extensions import db
from portal.models import Installment, Merchant, Payment, Plan


@dataclass(frozen=True, slots=True)
class Figures:
    """Totals in one currency: amounts in minor units, counts of installments and plans."""

    currency: str
    collected: int = 0
    outstanding: int = 0
    overdue: int = 0
    overdue_installments: int = 0
    overdue_plans: int = 0
    paid_installments: int = 0
    counted_installments: int = 0

    @property
    def success_rate(self) -> Decimal:
        """Paid installments over all that count, in percent with two digits; 0 when there are none.

        Waived, cancelled and written-off installments do not count.
        """
        if not self.counted_installments:
            return Decimal("0.00")
        rate = Decimal(100 * self.paid_installments) / self.counted_installments
        return rate.quantize(Decimal("0.01"), ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Figures in the home currency first, then any others the merchant's plans were made in."""

    home: Figures
    others: list[Figures]


def figures(merchant: Merchant) -> Dashboard:
    """The merchant's totals, by currency and never added across."""
    now = clock.now()
    owing = Installment.remaining > 0
    paid = Installment.is_paid()
    late = Installment.is_late(now)
    rows = db.session.execute(
        select(
            Installment.currency,
            func.coalesce(func.sum(Installment.paid), 0),
            func.coalesce(func.sum(Installment.remaining), 0),
            func.coalesce(func.sum(Installment.remaining).filter(late), 0),
            func.count().filter(late),
            func.count(Installment.plan_id.distinct()).filter(late),
            func.count().filter(paid),
            func.count().filter(owing | paid),
        )
        .where(Installment.merchant_id == merchant.user_id)
        .group_by(Installment.currency)
        .order_by(Installment.currency)
    ).all()
    by_currency = {row[0]: Figures(row[0], *(int(value) for value in row[1:])) for row in rows}
    home = by_currency.pop(merchant.home_currency, Figures(merchant.home_currency))
    return Dashboard(home, list(by_currency.values()))


def latest_payments(merchant_id: int, limit: int = 8) -> list[Payment]:
    """The newest payments to this merchant, whatever became of them, with their customers."""
    found = select(Payment).where(Payment.merchant_id == merchant_id).order_by(Payment.id.desc()).limit(limit)
    return list(db.session.scalars(found.options(joinedload(Payment.customer), joinedload(Payment.plan))))


def plans_needing_attention(merchant_id: int, limit: int = 8) -> list[Plan]:
    """Overdue plans, the one that has been late for longest first, with customers and installments."""
    found = (
        Plan.of_merchant(merchant_id)
        .where(Plan.has_status("overdue", clock.now()))
        .order_by(Plan.next_late_at, Plan.id)
        .limit(limit)
        .options(joinedload(Plan.customer), selectinload(Plan.installments))
    )
    return list(db.session.scalars(found))


def has_plans(merchant_id: int) -> bool:
    """Whether this merchant ever made a plan."""
    return bool(db.session.scalar(select(select(Plan.id).where(Plan.merchant_id == merchant_id).exists())))
