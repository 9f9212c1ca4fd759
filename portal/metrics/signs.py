"""The signs of life of the scheduler and the workers, read once for all who tell of them.

The metrics, /readyz, `qist status`, `qist doctor` and the operator's page say the same, because each asks here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from redis import Redis

from portal import queue
from portal.domain import clock
from portal.valkey.liveness import is_silent

WORKERS: Final = "rq:workers"
"""Key of RQ's set of workers; each member is the key of a hash."""


@dataclass(frozen=True, slots=True)
class Signs:
    """The signs in Valkey. `workers` has the fields of those that have not ended, by name; `silent` names some."""

    ticked_at: datetime | None
    ticking: bool
    workers: Mapping[str, Mapping[bytes, bytes]]
    silent: frozenset[str]

    @property
    def alive(self) -> int:
        return len(self.workers) - len(self.silent)

    @property
    def problems(self) -> dict[str, str]:
        """The parts that do not work, with a code: `not_ticking`, and `no_worker` or `worker_silent`."""
        found = {} if self.ticking else {"scheduler": "not_ticking"}
        if not self.alive:
            found["workers"] = "no_worker"
        elif self.silent:
            found["workers"] = "worker_silent"
        return found


def read(valkey: Redis) -> Signs:
    """Read them in two round trips. A worker that is silent for one to two minutes is forgotten by Valkey."""
    with valkey.pipeline(transaction=False) as pipe:
        pipe.get(queue.TICK_KEY)
        pipe.smembers(WORKERS)
        tick, keys = pipe.execute()
    keys = sorted(keys)
    with valkey.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.hgetall(key)
        hashes: list[Any] = pipe.execute()
    now = clock.now()
    workers = {
        key.decode().removeprefix("rq:worker:"): fields
        for key, fields in zip(keys, hashes, strict=True)
        if b"last_heartbeat" in fields and b"death" not in fields
    }
    ticked_at = datetime.fromtimestamp(float(tick), UTC) if tick else None
    return Signs(
        ticked_at=ticked_at,
        ticking=ticked_at is not None and now - ticked_at <= timedelta(seconds=3 * queue.TICK_SECONDS),
        workers=workers,
        silent=frozenset(name for name, fields in workers.items() if is_silent(fields, now)),
    )
