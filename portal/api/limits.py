"""How often a caller may ask. Counted in Valkey; while that is away, in this process and more strictly."""

import math
from collections.abc import Callable
from typing import Final, TypeVar, cast

from flask import Response, current_app, g
from limits import parse_many
from limits.storage import MemoryStorage

from portal import access, clock
from portal.extensions import limiter

V = TypeVar("V", bound=Callable[..., object])

FAILURES: Final = "10 per 15 minutes"
"""Wrong passwords for one account, whoever tries; counted together with those of the sign-in page."""


def registering(view: V) -> V:
    """RATELIMIT_REGISTER, by address."""
    return _shared(_setting("ratelimit_register"), "api-register", access.address)(view)


def signing_in(view: V) -> V:
    """RATELIMIT_LOGIN, by address."""
    return _shared(_setting("ratelimit_login"), "api-login", access.address)(view)


def trying_password(step: V) -> V:
    """FAILURES by the account that `g.login` names: a right password counts for nothing."""
    return _shared(lambda: _strict(FAILURES), "login-failures", lambda: access.account(g.login), _failed)(step)


def writing(view: V) -> V:
    """RATELIMIT_WRITES, by API key, else by account."""
    return _shared(_setting("ratelimit_writes"), "writes", lambda: g.caller.name)(view)


def seconds_to_wait() -> int:
    """After a refusal: whole seconds until the next try."""
    limit = limiter.current_limit
    return 60 if limit is None else max(1, math.ceil(limit.reset_at - clock.now().timestamp()))


def _shared(
    limit: Callable[[], str], scope: str, key: Callable[[], str], counts: Callable[[Response], bool] | None = None
) -> Callable[[V], V]:
    decorator = limiter.shared_limit(limit, scope=scope, key_func=key, deduct_when=counts)

    def decorate(view: V) -> V:
        return cast(V, decorator(view))

    return decorate


def _setting(name: str) -> Callable[[], str]:
    return lambda: _strict(getattr(current_app.config["QIST"], name))


def _strict(text: str) -> str:
    """The limit as it is set, or a fraction of it while every process counts for itself."""
    settings = current_app.config["QIST"]
    if settings.redis_url is None or not isinstance(limiter.limiter.storage, MemoryStorage):
        return text
    share = 2 * settings.web_workers
    return ";".join(
        f"{max(1, item.amount // share)} per {item.multiples} {item.GRANULARITY.name}" for item in parse_many(text)
    )


def _failed(answer: Response) -> bool:
    return answer.status_code == 401
