"""Forget what is past its time. Every kind has its own rule (`purge`); here is who goes on until nothing is left."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from portal.services import idempotency
from portal.services.accounts import password_resets, tokens
from portal.services.mail import delivery
from portal.services.unit_of_work import MAX_SECONDS

log = structlog.get_logger(__name__)

CHUNK: Final = 10_000
"""Rows that one statement deletes, or takes the links out of."""
BUDGET: Final = 60.0
"""Seconds after which the rest is left to the next hour."""
LONGEST_STEP: Final = MAX_SECONDS
KINDS: Final[dict[str, Callable[[int], int]]] = {
    "idempotency_keys": idempotency.purge,
    "token_families": tokens.purge,
    "mails": delivery.purge,
    "password_resets": password_resets.purge,
}


def purge_expired() -> int:
    """Delete everything that is past its time, CHUNK rows of each kind in turn. Returns how many rows
    that was.

    Begins none after BUDGET seconds. A kind that fails is logged, left to the next hour, and keeps no other waiting.
    """
    gone, stop = 0, time.monotonic() + BUDGET
    left = deque(KINDS)
    while left and time.monotonic() < stop:
        name = left.popleft()
        count = _try(name, KINDS[name])
        gone += count
        if count >= CHUNK:
            left.append(name)
    return gone


def _try(name: str, purge: Callable[[int], int]) -> int:
    try:
        return purge(CHUNK)
    except Exception:
        log.exception("purge.failed", kind=name)
        return 0
