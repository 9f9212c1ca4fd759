"""Remember when `qist check` ran last and what it found, for the metrics."""

from collections.abc import Iterable
from typing import Any

from flask import current_app
from redis.exceptions import RedisError

from portal import queue
from portal.domain import clock
from portal.valkey import connections


def remember(counts: Iterable[int]) -> None:
    """Keep this instant and the number of broken rows in Valkey. Without Valkey it is not kept."""
    url = current_app.config["QIST"].redis_url
    if not url:
        return
    found: dict[Any, Any] = {"at": str(clock.now().timestamp()), "broken": str(sum(counts))}
    try:
        connections.for_requests(url).hset(queue.CHECK_KEY, mapping=found)
    except (RedisError, OSError):
        return
