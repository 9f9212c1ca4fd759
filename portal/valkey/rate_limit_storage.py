"""Storage of rate limits for flask-limiter. Importing this module registers its URL schemes."""

from typing import Any, Final

from flask import g, has_app_context
from limits.storage import RedisStorage
from redis.exceptions import RedisError

from portal.domain import clock
from portal.valkey.connections import guarded, request_options

_COUNT: Final = b"""
local count = redis.call("incrby", KEYS[1], ARGV[2])
if count == tonumber(ARGV[2]) then
    redis.call("expire", KEYS[1], ARGV[1])
end
return {count, redis.call("pttl", KEYS[1])}
"""


class RateLimitStorage(RedisStorage):
    """Rate limits, counted in Valkey. While Valkey is away, flask-limiter counts in memory."""

    STORAGE_SCHEME = ["qist+redis", "qist+rediss", "qist+unix"]  # noqa: RUF012 the library's own type
    DEPENDENCIES = {"redis": None}  # noqa: RUF012 without the other client, which the library would load, too

    def __init__(self, uri: str, **options: Any) -> None:
        super().__init__(uri.removeprefix("qist+"), **request_options(), **options)
        self._count = self.get_connection().register_script(_COUNT)

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        with guarded():
            count, milliseconds = self._count([self.prefixed_key(key)], [expiry, amount])
        _counted()[key] = int(count), clock.now().timestamp() + milliseconds / 1000
        return int(count)

    def get(self, key: str) -> int:
        with guarded():
            return super().get(key)

    def get_expiry(self, key: str) -> float:
        with guarded():
            return super().get_expiry(key)

    def check(self) -> bool:
        try:
            with guarded():
                return bool(self.get_connection().ping())
        except (RedisError, OSError):
            return False


def window_of(key: str) -> tuple[int, float] | None:
    """The count of a key, and the timestamp at which it ends, if this request counted it in Valkey; else None."""
    return _counted().get(key)


def _counted() -> dict[str, tuple[int, float]]:
    if not has_app_context():
        return {}
    counted: dict[str, tuple[int, float]] = g.setdefault("counted_limits", {})
    return counted
