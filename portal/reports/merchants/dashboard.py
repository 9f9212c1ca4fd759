"""The merchant's key figures: collected, outstanding and overdue amounts, latest payments, overdue plans."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import Final

from sqlalchemy import Select, select, union_all
from sqlalchemy.orm import joinedload, selectinload

from portal.domain import clock
from portal.extensions import db
from portal.models import Merchant, Payment, Plan
from portal.reports.merchants import totals
from portal.reports.parameters import LIMIT, MERCHANT, NOW

NET = Payment.amount - Payment.refunded - Payment.reversed
"""The amount of a received payment, less refunds and reversals (minor units)."""
_FIRST_PLAN: Final = select(Plan.id).where(Plan.merchant_id == MERCHANT).order_by(Plan.id).limit(1)


@dataclass(frozen=True, slots=True)
class Figures:
    """Totals in one currency: amounts in minor units, counts of installments.

    `collected` is the sum of received payments, less refunds and reversals.
    """

    currency: str
    collected: int = 0
    outstanding: int = 0
    overdue: int = 0
    overdue_installments: int = 0
    paid_installments: int = 0
    counted_installments: int = 0

    @property
    def success_rate(self) -> Decimal:
        """Paid installments as a percentage of counted ones, with two digits. 0 if none counts.

        Waived, cancelled and written-off installments do not count.
        """
        return percent(self.paid_installments, self.counted_installments) or Decimal("0.00")


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The figures in the home currency, and in any other currency of the merchant's plans."""

    home: Figures
    others: list[Figures]


def percent(part: int, whole: int) -> Decimal | None:
    """`part` as a percentage of `whole`, with two digits, rounded half up. None if `whole` is 0."""
    return (Decimal(100 * part) / whole).quantize(Decimal("0.01"), ROUND_HALF_UP) if whole else None


def figures(merchant: Merchant) -> Dashboard:
    """The merchant's totals by currency (minor units), in one statement. Currencies are never added together."""
    by_currency = {}
    for currency, (owed, outstanding, late, overdue, paid, collected) in totals.all_time(merchant).items():
        by_currency[currency] = Figures(currency, collected, outstanding, overdue, late, paid, owed + paid)
    home = by_currency.pop(merchant.home_currency, Figures(merchant.home_currency))
    return Dashboard(home, list(by_currency.values()))


def latest_payments(merchant_id: int, limit: int = 8) -> list[Payment]:
    """The newest payments to this merchant in every state, with their customers and plans."""
    return list(db.session.scalars(_latest_payments(), {"merchant_id": merchant_id, "limit": limit}))


@cache
def _latest_payments() -> Select[Payment]:
    query = select(Payment).where(Payment.merchant_id == MERCHANT).order_by(Payment.id.desc()).limit(LIMIT)
    return query.options(joinedload(Payment.customer), joinedload(Payment.plan))


def plans_needing_attention(merchant_id: int, limit: int = 8) -> list[Plan]:
    """Disputed plans, the newest first, then overdue plans, the longest overdue first: at most `limit` in all.

    They come with customers and installments.
    """
    values = {"merchant_id": merchant_id, "now": clock.now(), "limit": limit}
    return list(db.session.scalars(_needing_attention(), values))


@cache
def _needing_attention() -> Select[Plan]:
    mine = select(Plan.id).where(Plan.merchant_id == MERCHANT)
    disputed = mine.where(Plan.disputed).order_by(Plan.id.desc()).limit(LIMIT)
    overdue = mine.where(Plan.has_status("overdue", NOW)).order_by(Plan.next_late_at, Plan.id).limit(LIMIT)
    chosen = union_all(select(disputed.subquery().c.id), select(overdue.subquery().c.id)).subquery()
    return (
        select(Plan)
        .where(Plan.id.in_(select(chosen.c.id)))
        .order_by(Plan.disputed.desc(), Plan.next_late_at, Plan.id)
        .limit(LIMIT)
        .options(joinedload(Plan.customer), selectinload(Plan.installments))
    )


def has_plans(merchant_id: int) -> bool:
    """The merchant has at least one plan, in any state."""
    return db.session.scalar(_FIRST_PLAN, {"merchant_id": merchant_id}) is not None
