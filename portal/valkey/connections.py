"""Connections to Valkey for each kind of process, and the circuit breaker of web requests."""

import functools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog
from redis import Redis
from redis.backoff import ConstantBackoff, NoBackoff
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError
from redis.retry import Retry

from portal.config import Settings

log = structlog.get_logger(__name__)

TIMEOUT: Final = 0.25
"""Seconds that a web request waits for Valkey. A broken connection is retried once, a timeout is not."""
SCHEDULER_TIMEOUT: Final = 5
"""Seconds that the scheduler waits for Valkey: one loop."""
NO_RETRY: Final = Retry(NoBackoff(), retries=0)
PAUSE: Final = 30.0
"""Seconds for which the circuit breaker stays open after Valkey did not answer."""


class CircuitBreaker:
    """Circuit breaker: when this process may try Valkey again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0

    def is_open(self) -> bool:
        """True during a pause. After it, False for one request, which tries Valkey while the others still see True."""
        if not self._until:
            return False
        with self._lock:
            now = time.monotonic()
            if now < self._until:
                return True
            self._until = now + 4 * TIMEOUT
            return False

    def open(self) -> None:
        """Begin a pause."""
        with self._lock:
            self._until = time.monotonic() + PAUSE

    def close(self) -> None:
        """End the pause: Valkey answered."""
        self._until = 0.0


breaker = CircuitBreaker()


class CircuitOpen(RedisError):
    """Valkey did not answer less than PAUSE seconds ago, so this process does not call it."""


@contextmanager
def guarded() -> Iterator[None]:
    """Guard a web request's use of Valkey. Raises CircuitOpen during a pause; a failure inside begins a pause."""
    if breaker.is_open():
        raise CircuitOpen("Valkey did not answer a moment ago")
    try:
        yield
    except (RedisError, OSError) as error:
        breaker.open()
        log.warning("valkey.away", error=str(error), pause_seconds=PAUSE)
        raise
    breaker.close()


def request_options() -> dict[str, Any]:
    """Connection options of web requests and the rate limiter. redis-py's defaults wait minutes and try 4 times."""
    return {
        "socket_timeout": TIMEOUT,
        "socket_connect_timeout": TIMEOUT,
        "retry": Retry(ConstantBackoff(0.02), retries=1, supported_errors=(NoConnection,)),
    }


@functools.cache
def for_requests(url: str) -> Redis:
    """A connection for web requests, with TIMEOUT."""
    return Redis.from_url(url, **request_options())


def for_workers(url: str) -> Redis:
    """A connection for workers, which block on Valkey for as long as RQ sets."""
    return Redis.from_url(url, socket_connect_timeout=5, health_check_interval=30)


def for_scheduler(url: str) -> Redis:
    """A connection for the scheduler, with SCHEDULER_TIMEOUT and without retries: the next loop tries again."""
    return Redis.from_url(
        url, socket_timeout=SCHEDULER_TIMEOUT, socket_connect_timeout=SCHEDULER_TIMEOUT, retry=NO_RETRY
    )


def valkey_url(settings: Settings) -> str:
    """The URL of Valkey. Raises SystemExit with a message when none is set."""
    if not settings.redis_url:
        raise SystemExit("REDIS_URL is not set, and no `qist dev` runs with this QIST_HOME.")
    return settings.redis_url
