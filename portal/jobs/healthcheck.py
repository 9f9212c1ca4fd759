"""Is this machine's web server, worker or scheduler at work? What the containers' health checks ask.

Each is asked about what it does, not whether its process exists: a frozen worker has one too.
"""

import json
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
"""Where RQ lists its workers; each is a hash."""
SILENT_FOR: Final = 90.0
"""Seconds after which a worker that has not reported counts as frozen. An idle one reports every 45."""
PATIENCE: Final = 3.0


def web(settings: Settings) -> str | None:
    """None when requests can be served, otherwise the reason."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 compared, not bound
    address = f"[{host}]" if ":" in host else host
    try:
        urllib.request.urlopen(f"http://{address}:{settings.port}/readyz", timeout=PATIENCE).close()
    except urllib.error.HTTPError as refused:
        with refused:
            return f"not ready: {_problems(refused.read())}"
    except OSError as error:
        return f"does not answer: {error}"
    return None


def worker(settings: Settings) -> str | None:
    """None when a worker of this machine has reported lately, otherwise the reason."""
    with _valkey(settings) as connection, connection.pipeline(transaction=False) as pipe:
        for key in cast("set[bytes]", connection.smembers(WORKERS)):
            pipe.hmget(key, "hostname", "last_heartbeat")
        told: list[list[bytes | None]] = pipe.execute()
    here = [seen.decode() for host, seen in told if seen and host and host.decode() == socket.gethostname()]
    if not here:
        return "no worker of this machine has reported"
    last = max(datetime.fromisoformat(seen) for seen in here)
    silent = (clock.now() - last).total_seconds()
    return f"has not reported for {silent:.0f} s" if silent > SILENT_FOR else None


def scheduler(settings: Settings) -> str | None:
    """None when a scheduler has looked at the clock lately, otherwise the reason."""
    with _valkey(settings) as connection:
        ticked = connection.get(queue.TICK_KEY)
    if ticked is None:
        return "has never ticked"
    silent = clock.now().timestamp() - float(str(ticked, "ascii"))
    return f"has not ticked for {silent:.0f} s" if silent > 3 * queue.TICK_SECONDS else None


ASK: Final[dict[str, Callable[[Settings], str | None]]] = {"web": web, "worker": worker, "scheduler": scheduler}


def ask(what: str, settings: Settings) -> str | None:
    """None when it is at work, otherwise the reason in words. `what` is a name in ASK."""
    try:
        return ASK[what](settings)
    except RedisError as error:
        return f"Valkey does not answer: {error}"


def _valkey(settings: Settings) -> Redis:
    return Redis.from_url(
        settings.redis_url or "", socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=connections.NO_RETRY
    )


def _problems(body: bytes) -> str:
    try:
        return ", ".join(f"{part} {what}" for part, what in json.loads(body)["problems"].items())
    except (ValueError, LookupError, AttributeError, TypeError):
        return "no reason given"
