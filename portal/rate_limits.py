"""How often somebody may ask: what both doors count together, so that the second door is no second chance.

Counted in Valkey; while that is away, in each process and more strictly, so never without a limit.
"""

import math
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar, cast

from flask import Response, current_app
from limits import parse_many
from limits.storage import MemoryStorage

from portal.access import address
from portal.domain import clock
from portal.extensions import limiter

P = ParamSpec("P")
R = TypeVar("R")

FAILURES: Final = "10 per 15 minutes"
"""Wrong passwords for one account, whoever tries."""
WRITING: Final = ["POST", "PUT", "PATCH", "DELETE"]

Limit = str | Callable[[], str]
Counts = Callable[[Response], bool]


def registering(view: Callable[P, R]) -> Callable[P, R]:
    """RATELIMIT_REGISTER, by address."""
    return counted(setting("ratelimit_register"), "register", address)(view)


def signing_in(view: Callable[P, R]) -> Callable[P, R]:
    """RATELIMIT_LOGIN, by address."""
    return counted(setting("ratelimit_login"), "login", address)(view)


def trying_password(account: Callable[[], str], failed: Counts) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """FAILURES by account: a right password counts for nothing."""
    return counted(FAILURES, "login-failures", account, failed)


def writing(caller: Callable[[], str]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """RATELIMIT_WRITES, by whoever writes."""
    return counted(setting("ratelimit_writes"), "writes", caller)


def counted(
    limit: Limit, scope: str, key: Callable[[], str], counts: Counts | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """What writes, of all that have this scope, by `key`. `counts`: only those with such an answer."""
    wanted = limit if callable(limit) else lambda: limit
    decorator = limiter.shared_limit(
        lambda: _strict(wanted()), scope=scope, key_func=key, methods=WRITING, deduct_when=counts
    )

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        return cast(Callable[P, R], decorator(view))

    return decorate


def setting(name: str) -> Callable[[], str]:
    """The limit under this name in the settings."""

    def read() -> str:
        text: str = getattr(current_app.config["QIST"], name)
        return text

    return read


def seconds_to_wait() -> int:
    """After a refusal: whole seconds until the next try, a second that has begun among them."""
    limit = limiter.current_limit
    if limit is None:
        return 60
    return min(max(1, math.ceil(limit.reset_at - clock.now().timestamp())), limit.limit.get_expiry())


def _strict(text: str) -> str:
    """The limit as it is set, or a fraction of it while every process counts for itself."""
    settings = current_app.config["QIST"]
    if settings.redis_url is None or not isinstance(limiter.limiter.storage, MemoryStorage):
        return text
    share = 2 * settings.web_workers
    return ";".join(
        f"{max(1, item.amount // share)} per {item.multiples} {item.GRANULARITY.name}" for item in parse_many(text)
    )
