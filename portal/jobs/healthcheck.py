"""Health checks of this machine's web server, worker and scheduler, for containers.

A check tests the work of a process, not its existence, because a frozen process exists too.
"""

import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from portal import queue
from portal.config import Settings
from portal.domain import clock
from portal.metrics import signs
from portal.valkey import connections, liveness

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
    """None when a worker of this machine has reported recently, otherwise the reason."""
    with _valkey(settings) as connection:
        found = signs.read(connection)
    host = socket.gethostname().encode()
    here = {name: fields for name, fields in found.workers.items() if fields.get(b"hostname") == host}
    if not here:
        return "no worker of this machine has reported"
    if here.keys() - found.silent:
        return None
    last = max(liveness.last_sign(fields) for fields in here.values())
    return f"has not reported for {(clock.now() - last).total_seconds():.0f} s"


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
    if process != "web" and not settings.redis_url:
        return "reports to Valkey: set REDIS_URL, or start qist dev"
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
