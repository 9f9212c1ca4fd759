"""Whether a worker is at work, by its hash in Valkey."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

SEEN: Final = "seen"
"""Field of a worker's hash: Unix seconds at which the process last said that it runs. RQ does not use it."""
SEEN_EVERY: Final = 4.0
"""Seconds between two of them."""
UNSEEN_AFTER: Final = 16.0
"""Seconds without one after which the process counts as silent: it is frozen, killed or cut off."""
SILENT_AFTER: Final = timedelta(seconds=75)
"""Age of RQ's heartbeat from which a worker counts as silent: its main thread hangs. One is sent every 45 s, and every
10 s in a job."""


def is_silent(fields: Mapping[bytes, bytes], now: datetime) -> bool:
    """Whether the worker with these fields has not reported for too long. `fields` has `last_heartbeat`."""
    heartbeat = datetime.fromisoformat(fields[b"last_heartbeat"].decode())
    seen = fields.get(SEEN.encode())
    is_unseen = seen is not None and now.timestamp() - float(seen) > UNSEEN_AFTER
    return is_unseen or now - heartbeat > SILENT_AFTER


def last_sign(fields: Mapping[bytes, bytes]) -> datetime:
    """The instant of the older of a worker's two signs: what counts is that neither is missing."""
    heartbeat = datetime.fromisoformat(fields[b"last_heartbeat"].decode())
    seen = fields.get(SEEN.encode())
    return min(heartbeat, datetime.fromtimestamp(float(seen), UTC)) if seen is not None else heartbeat
