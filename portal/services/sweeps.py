"""The loop of a sweep: a job that takes many rows one by one, within a budget of seconds."""

import random
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")


def sweep(ids: Sequence[T], step: Callable[[T], object], *, budget: float, event: str, field: str) -> int:
    """Call `step` with each id in order, from a random start and around. Returns how many steps it began.

    Always starting at the oldest would starve the rest when a few plans stay locked. No step begins after `budget`
    seconds. An exception of one step is logged as `event`, with the id as `field`, and the loop goes on.
    """
    start = random.randrange(len(ids)) if ids else 0  # noqa: S311 spreads work, hides nothing
    begun, stop = 0, time.monotonic() + budget
    for row_id in [*ids[start:], *ids[:start]]:
        if time.monotonic() > stop:
            break
        try:
            step(row_id)
        except Exception:
            log.exception(event, **{field: row_id})
        begun += 1
    return begun
