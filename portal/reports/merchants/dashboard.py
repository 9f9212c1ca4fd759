"""What a merchant wants to know first: what came in, what is owed, what is late."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sqlalchemy import Select, func, select, text
from sqlalchemy.orm import joinedload, selectinload

from portal.domain import clock
from portal.extensions import db
from portal.models import Installment, Merchant, Payment, Plan
from portal.reports.payments.payments import RECEIVED

NET = Payment.amount - Payment.refunded - Payment.reversed
"""What stayed of a payment whose money came in."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Totals in one currency: amounts in minor units, counts of installments and plans.

    `collected` is what stayed of the payments: less what was refunded and what the bank took back.
    """

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
        return percent(self.paid_installments, self.counted_installments) or Decimal("0.00")


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Figures in the home currency first, then any others the merchant's plans were made in."""

    home: Figures
    others: list[Figures]


def percent(part: int, whole: int) -> Decimal | None:
    """`part` of `whole` in percent with two digits; None of nothing."""
    return (Decimal(100 * part) / whole).quantize(Decimal("0.01"), ROUND_HALF_UP) if whole else None


def figures(merchant: Merchant) -> Dashboard:
    """The merchant's totals, by currency and never added across."""
    now, mine = clock.now(), Installment.merchant_id == merchant.user_id
    late = Installment.is_late(now)
    totals: tuple[Select[*tuple[Any, ...]], ...] = (
        select(
            Installment.currency,
            func.sum(Installment.remaining).label("outstanding"),
            func.coalesce(func.sum(Installment.remaining).filter(late), 0).label("overdue"),
            func.count().filter(late).label("overdue_installments"),
            func.count().label("open_installments"),
        ).where(mine, Installment.remaining > 0),
        select(Installment.currency, func.count().label("paid_installments")).where(mine, Installment.is_paid()),
        select(Plan.currency, func.count().label("overdue_plans")).where(
            Plan.merchant_id == merchant.user_id, Plan.has_status("overdue", now)
        ),
        select(Payment.currency, func.sum(NET).label("collected")).where(
            Payment.merchant_id == merchant.user_id, Payment.state.in_(RECEIVED)
        ),
    )
    found: dict[str, dict[str, int]] = {}
    for total in totals:
        for row in db.session.execute(total.group_by(text("1"))).mappings():
            counted = {name: int(value) for name, value in row.items() if name != "currency"}
            found.setdefault(row["currency"], {}).update(counted)
    by_currency = {}
    for currency, values in sorted(found.items()):
        counts = values.pop("open_installments", 0) + values.get("paid_installments", 0)
        by_currency[currency] = Figures(currency, counted_installments=counts, **values)
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
