"""The wind-down of a business that closes: what is still open."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select

from portal.domain import clock
from portal.domain.events import PlanCancelled
from portal.extensions import db
from portal.models import Event, Payment, Plan, Refund

HOLD_DAYS: Final = 180
"""Days after the last payment by card in which a bank may still take it back."""


@dataclass(frozen=True, slots=True)
class WindDown:
    """The numbers of open plans, of payments and refunds in flight, and of void plans of which the business holds money
    that it owes back; `held_until`: HOLD_DAYS after the last payment by card (None without one).
    """

    open_plans: int
    payments: int
    refunds: int
    owed_back: int
    held_until: datetime | None

    @property
    def is_over(self) -> bool:
        """Nothing is open, in flight or owed back, and the days after the last payment by card have passed."""
        held = self.held_until is not None and self.held_until > clock.now()
        return not (self.open_plans or self.payments or self.refunds or self.owed_back or held)


def of_merchant(merchant_id: int) -> WindDown:
    """The counts of everything that is still open at a business."""
    plans = select(func.count()).select_from(Plan).where(Plan.merchant_id == merchant_id, Plan.state == "active")
    in_flight, last = db.session.execute(
        select(
            func.count().filter(Payment.state == "in_flight"),
            func.max(Payment.created_at).filter(
                Payment.gateway_key.is_not(None), Payment.state.in_(("succeeded", "reversed"))
            ),
        ).where(Payment.merchant_id == merchant_id)
    ).one()
    refunds = (
        select(func.count()).select_from(Refund).where(Refund.merchant_id == merchant_id, Refund.state == "in_flight")
    )
    return WindDown(
        db.session.scalar(plans) or 0,
        in_flight,
        db.session.scalar(refunds) or 0,
        _owed_back(merchant_id),
        last + timedelta(days=HOLD_DAYS) if last is not None else None,
    )


def _owed_back(merchant_id: int) -> int:
    """The plans that became void without an act of the business (withdrawn, lapsed, or by an operator's decision) and
    of which it keeps money."""
    void = select(Event.id).where(
        Event.plan_id == Plan.id, Event.kind == PlanCancelled.kind, Event.data["cause"].astext.is_not(None)
    )
    kept = select(func.sum(Payment.amount - Payment.refunded - Payment.reversed)).where(
        Payment.plan_id == Plan.id, Payment.state.in_(("succeeded", "reversed"))
    )
    plans = select(func.count()).select_from(Plan).where(Plan.merchant_id == merchant_id, Plan.state == "cancelled")
    return db.session.scalar(plans.where(void.exists(), kept.scalar_subquery() > 0)) or 0
