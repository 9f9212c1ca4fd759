"""Contention of payments on one plan: a second payment waits up to 3 s for the outcome of the one in flight.

The waiting request holds no connection and no transaction. After the wait the plan is paid, or the payment in flight is
still unknown and the second one is refused.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from portal.domain import clock
from portal.errors import Busy, Refused
from portal.extensions import db
from portal.models import Payment
from portal.services.unit_of_work import unit_of_work

log = structlog.get_logger(__name__)

ANSWER_DUE_AFTER: Final = timedelta(seconds=3)
"""Age up to which a payment in flight is expected to get its answer, so that waiting for it makes sense."""
SHORT_WAIT_SECONDS: Final = 0.5
"""Any number of requests may wait this long. A longer wait needs one of LONG_WAITS, because it holds a thread."""
LONG_WAITS: Final = threading.BoundedSemaphore(4)
"""Longer waits that this process allows at once."""


class ChargeInProgress(Refused):
    """Another payment of the plan is at the gateway, and its answer is due within seconds."""


def refuse_if_in_flight(plan_id: int) -> None:
    """Call after the plan is locked. Refuses: payment_in_flight (facts: payment_id), as ChargeInProgress while an
    answer is due.
    """
    payment = Payment.in_flight_of_plan(plan_id)
    if payment is None:
        return
    is_due = payment.unanswered_at is None and clock.now() - payment.created_at < ANSWER_DUE_AFTER
    if is_due:
        raise ChargeInProgress("payment_in_flight", about="payment", payment_id=payment.id)
    raise Refused("payment_in_flight", about="payment", payment_id=payment.id)


@contextmanager
def wait_policy(*, never: bool) -> Iterator[Callable[[Refused, float], bool]]:
    """Yield the predicate `may_wait(refusal, seconds waited)` for `idempotency.retrying`.

    `never` is for a job, which runs again instead of waiting.
    """
    has_long_wait = False

    def may_wait(refused: Refused, waited: float) -> bool:
        nonlocal has_long_wait
        if never or not isinstance(refused, ChargeInProgress):
            return False
        if waited > SHORT_WAIT_SECONDS and not has_long_wait:
            has_long_wait = LONG_WAITS.acquire(blocking=False)
            return has_long_wait
        return True

    try:
        yield may_wait
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
