"""Who pays a plan while another payment of it is with the gateway waits a moment for what comes of that one.

Nothing is held meanwhile: no connection, no transaction. Then it is paid already, or still being checked.
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

ANSWERED_WITHIN: Final = timedelta(seconds=3)
"""How long the gateway's answer is waited for by somebody else who pays the same plan."""
BRIEFLY: Final = 0.5
"""Seconds for which everybody may wait for it; beyond that only a few, as each waiting request holds a thread."""
places = threading.BoundedSemaphore(4)
"""For those few, in this process."""


class BeingCharged(Refused):
    """Another payment of the plan is with the gateway, which most likely answers in a moment."""


def check(plan_id: int) -> None:
    """Behind the plan's lock. Refuses: payment_in_flight (facts: payment_id), as BeingCharged while that is fresh."""
    waiting = Payment.in_flight_of_plan(plan_id)
    if waiting is None:
        return
    fresh = waiting.unanswered_at is None and clock.now() - waiting.created_at < ANSWERED_WITHIN
    raise (BeingCharged if fresh else Refused)(
        "payment_in_flight",
        "Another payment of this plan is still being checked with the bank. Nothing more was charged.",
        payment_id=waiting.id,
    )


@contextmanager
def waiting(*, never: bool) -> Iterator[Callable[[Refused, float], bool]]:
    """Whether to try again after a refusal and so many seconds of waiting, for `idempotency.retrying`.

    `never`: for a job, which comes again instead.
    """
    placed = False

    def may_wait(refused: Refused, waited: float) -> bool:
        nonlocal placed
        if never or not isinstance(refused, BeingCharged):
            return False
        if waited > BRIEFLY and not placed:
            placed = places.acquire(blocking=False)
            return placed
        return True

    try:
        yield may_wait
    finally:
        if placed:
            places.release()


def note_no_answer(payment_id: int) -> None:
    """Only so that nobody waits for an answer; without the note they wait ANSWERED_WITHIN, and all else stands."""
    try:
        _note_no_answer(payment_id)
    except (Busy, SQLAlchemyError):
        log.warning("payment.not_noted", payment_id=payment_id, exc_info=True)


@unit_of_work
def _note_no_answer(payment_id: int) -> None:
    open_still = Payment.id == payment_id, Payment.state == "in_flight"
    db.session.execute(update(Payment).where(*open_still).values(unanswered_at=clock.now()))
