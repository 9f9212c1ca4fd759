"""Health checks of this machine's web server, worker and scheduler, for containers.

A check tests the work of a process, not its existence, because a frozen process exists too.
"""

import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime
from typing import Final, cast

from redis import Redis
from redis.exceptions import RedisError

from portal import queue
from portal.config import Settings
from portal.domain import clock
from portal.valkey import connections

WORKERS: Final = "rq:workers"
"""Key of RQ's set of workers; each member is the key of a hash."""
MAX_SILENCE_SECONDS: Final = 90.0
"""Seconds without a heartbeat after which a worker counts as frozen. An idle worker sends one every 45."""
TIMEOUT_SECONDS: Final = 3.0
"""Timeout of each request and connection."""


def web(settings: Settings) -> str | None:
    """None when requests can be served, otherwise the reason."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 compared, not bound
    address = f"[{host}]" if ":" in host else host
    try:
        urllib.request.urlopen(f"http://{address}:{settings.port}/readyz", timeout=TIMEOUT_SECONDS).close()
    except urllib.error.HTTPError as refused:
        refused.close()
        return "not ready: qist status says why"
    except OSError as error:
        return f"does not answer: {error}"
    return None


def worker(settings: Settings) -> str | None:
    """None when a worker of this machine has sent a heartbeat recently, otherwise the reason."""
    with _valkey(settings) as connection, connection.pipeline(transaction=False) as pipe:
        for key in cast("set[bytes]", connection.smembers(WORKERS)):
            pipe.hmget(key, "hostname", "last_heartbeat")
        rows: list[list[bytes | None]] = pipe.execute()
    name = socket.gethostname()
    heartbeats = [beat.decode() for host, beat in rows if beat and host and host.decode() == name]
    if not heartbeats:
        return "no worker of this machine has reported"
    last = max(datetime.fromisoformat(heartbeat) for heartbeat in heartbeats)
    silent = (clock.now() - last).total_seconds()
    return f"has not reported for {silent:.0f} s" if silent > MAX_SILENCE_SECONDS else None


def scheduler(settings: Settings) -> str | None:
    """None when a scheduler has written its tick recently, otherwise the reason."""
    with _valkey(settings) as connection:
        tick = connection.get(queue.TICK_KEY)
    if tick is None:
        return "has never ticked"
    silent = clock.now().timestamp() - float(str(tick, "ascii"))
    return f"has not ticked for {silent:.0f} s" if silent > 3 * queue.TICK_SECONDS else None


CHECKS: Final[dict[str, Callable[[Settings], str | None]]] = {"web": web, "worker": worker, "scheduler": scheduler}


def check(process: str, settings: Settings) -> str | None:
    """None when the process is at work, otherwise the reason. `process` is a name in CHECKS."""
    try:
        return CHECKS[process](settings)
    except RedisError as error:
        return f"Valkey does not answer: {error}"


def _valkey(settings: Settings) -> Redis:
    return Redis.from_url(
        settings.redis_url or "",
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=connections.NO_RETRY,
    )
