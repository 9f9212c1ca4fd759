"""Contention of payments on one plan: a second payment waits up to 3 s for the outcome of the one in flight.

The waiting request holds no connection and no transaction. After the wait the plan is paid, or the payment in flight is
still unknown and the second one is refused.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

import structlog
from sqlalchemy import and_, bindparam, select, update
from sqlalchemy.exc import SQLAlchemyError

from portal.domain import clock
from portal.errors import Busy, Refused
from portal.extensions import db
from portal.models import Installment, Merchant, Payment, Plan
from portal.models.plans.installments import in_order_of_payment
from portal.services import idempotency
from portal.services.unit_of_work import unit_of_work

R = TypeVar("R")

log = structlog.get_logger(__name__)

_POLL_SECONDS: Final = 0.05

ANSWER_DUE_AFTER: Final = timedelta(seconds=3)
"""Age up to which a payment in flight is expected to get its answer, so that waiting for it makes sense."""
SHORT_WAIT_SECONDS: Final = 0.5
"""Any number of requests may wait this long. A longer wait needs one of LONG_WAITS, because it holds a thread."""
LONG_WAITS: Final = threading.BoundedSemaphore(4)
"""Longer waits that this process allows at once."""


class ChargeInProgress(Refused):
    """Another payment of the plan is at the gateway, and its answer is due within seconds."""


_ROWS: Final = (
    select(Installment, Merchant.deactivated_at, Payment.id, Payment.unanswered_at, Payment.created_at)
    .select_from(Installment)
    .join(Merchant, Merchant.id == Installment.merchant_id)
    .outerjoin(Payment, and_(Payment.plan_id == Installment.plan_id, Payment.state == "in_flight"))
    .where(Installment.plan_id == bindparam("plan_id"))
    .order_by(Installment.id)
    .with_for_update(of=Installment, key_share=True)
    .execution_options(populate_existing=True)
)


@dataclass(frozen=True, slots=True)
class InFlight:
    """The deactivation of a locked plan's business, and the plan's payment in flight (None: there is none).

    `is_due`: the answer of that payment is expected within seconds.
    """

    merchant_is_deactivated: bool
    payment_id: int | None
    is_due: bool

    def refuse(self) -> None:
        """Refuses: payment_in_flight (facts: payment_id), as ChargeInProgress while an answer is due."""
        if self.is_due:
            raise ChargeInProgress("payment_in_flight", about="payment", payment_id=self.payment_id)
        if self.payment_id is not None:
            raise Refused("payment_in_flight", about="payment", payment_id=self.payment_id)


def lock_rows(plan: Plan) -> tuple[list[Installment], InFlight]:
    """Lock and re-read the locked plan's installments, in the order in which they are paid, with what is in flight."""
    found = db.session.execute(_ROWS, {"plan_id": plan.id}).all()
    _, deactivated_at, payment_id, unanswered_at, created_at = found[0]
    recent = payment_id is not None and clock.now() - created_at < ANSWER_DUE_AFTER
    in_flight = InFlight(deactivated_at is not None, payment_id, recent and unanswered_at is None)
    return in_order_of_payment({row[0] for row in found}), in_flight


def waiting(attempt: Callable[[], R]) -> R:
    """Call `attempt`, a unit of work, until it returns; repeat it while it raises ChargeInProgress.

    The limit is idempotency.WAIT_SECONDS. A wait over SHORT_WAIT_SECONDS needs one of LONG_WAITS; without one the
    refusal is final.
    """
    began = time.monotonic()
    has_long_wait = False
    try:
        while True:
            try:
                return attempt()
            except ChargeInProgress:
                waited = time.monotonic() - began
                if waited >= idempotency.WAIT_SECONDS:
                    raise
                if waited > SHORT_WAIT_SECONDS and not has_long_wait:
                    has_long_wait = LONG_WAITS.acquire(blocking=False)
                    if not has_long_wait:
                        raise
            time.sleep(_POLL_SECONDS)
    finally:
        if has_long_wait:
            LONG_WAITS.release()


def mark_unanswered(payment_id: int) -> None:
    """Mark a payment whose charge got no answer, so that other requests do not wait for it.

    A failure is logged only: without the mark, the others wait until ANSWER_DUE_AFTER.
    """
    try:
        _mark_unanswered(payment_id)
    except (Busy, SQLAlchemyError):
        log.warning("payment.not_noted", payment_id=payment_id, exc_info=True)


@unit_of_work
def _mark_unanswered(payment_id: int) -> None:
    in_flight = Payment.id == payment_id, Payment.state == "in_flight"
    db.session.execute(update(Payment).where(*in_flight).values(unanswered_at=clock.now()))
