"""The wind-down of a business that closes: what is still open."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select

from portal.domain import clock
from portal.extensions import db
from portal.models import Payment, Plan, Refund

HOLD_DAYS: Final = 180
"""Days after the last payment by card in which a bank may still take it back."""


@dataclass(frozen=True, slots=True)
class WindDown:
    """The numbers of open plans, and of payments and refunds in flight; `held_until`: HOLD_DAYS after the last payment
    by card (None without one).
    """

    open_plans: int
    payments: int
    refunds: int
    held_until: datetime | None

    @property
    def is_over(self) -> bool:
        """Nothing is open or in flight, and the days after the last payment by card have passed."""
        held = self.held_until is not None and self.held_until > clock.now()
        return not (self.open_plans or self.payments or self.refunds or held)


def of_merchant(merchant_id: int) -> WindDown:
    """What is still open at a business."""
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
        last + timedelta(days=HOLD_DAYS) if last is not None else None,
    )
