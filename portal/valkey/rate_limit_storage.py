"""Storage of rate limits for flask-limiter. Importing this module registers its URL schemes."""

from typing import Any

from limits.storage import RedisStorage
from redis.exceptions import RedisError

from portal.valkey.connections import guarded, request_options


class RateLimitStorage(RedisStorage):
    """Rate limits, counted in Valkey. While Valkey is away, flask-limiter counts in memory."""

    STORAGE_SCHEME = ["qist+redis", "qist+rediss", "qist+unix"]  # noqa: RUF012 the library's own type

    def __init__(self, uri: str, **options: Any) -> None:
        super().__init__(uri.removeprefix("qist+"), **request_options(), **options)

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        with guarded():
            return super().incr(key, expiry, amount)

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
