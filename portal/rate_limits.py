"""Rate limits that pages and API count together.

Valkey counts them. While it does not answer, each web process counts its own requests, with a lower limit.
"""

import math
from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar, cast

from flask import Flask, Response, current_app, g, request
from flask_limiter import RequestLimit
from limits import RateLimitItemPerMinute, parse_many
from limits.storage import MemoryStorage
from redis.exceptions import RedisError

from portal.access import client_address
from portal.config import JSON_PREFIXES
from portal.domain import clock
from portal.services.accounts import sessions
from portal.valkey.rate_limit_storage import window_of
from portal.web_extensions import limiter

P = ParamSpec("P")
R = TypeVar("R")

FAILURES: Final = "10 per 15 minutes"
"""Wrong passwords for one account from one address."""
ALL_FAILURES: Final = "100 per hour"
"""Wrong passwords for one account, from all addresses that it does not know."""
CODE_FAILURES: Final = "20 per hour"
"""Wrong codes of a second factor for one account, from all addresses that it does not know."""
WRITE_METHODS: Final = ["POST", "PUT", "PATCH", "DELETE"]

_limits: Final[dict[str, Callable[[], str]]] = {}
"""The limit of each scope, by its name."""

Limit = str | Callable[[], str]
Counts = Callable[[Response], bool]


def registering(view: Callable[P, R]) -> Callable[P, R]:
    """Limit by RATELIMIT_REGISTER for each client address."""
    return counted(setting("ratelimit_register"), "register", client_address)(view)


def proving(view: Callable[P, R]) -> Callable[P, R]:
    """Limit by RATELIMIT_REGISTER for each client address. Services count mails and codes by the email, too."""
    return counted(setting("ratelimit_register"), "proofs", client_address)(view)


def signing_in(view: Callable[P, R]) -> Callable[P, R]:
    """Limit by RATELIMIT_LOGIN for each client address. Above it a security event is recorded, at most one a minute."""
    return counted(setting("ratelimit_login"), "login", client_address, above=_record_limit)(view)


def trying_password(
    account: Callable[[], str],
    failed: Counts,
    is_known: Callable[[], bool],
    refused: Callable[[], None],
    refused_everywhere: Callable[[], Response | None],
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Limit by FAILURES for each account and address, and by ALL_FAILURES for each account.

    `refused` is called for a request above a limit, and `refused_everywhere` for one above ALL_FAILURES: its response,
    if any, is the answer.

    Only responses for which `failed` is true count. A request for which `is_known` is true, from a browser or an
    address that the account knows, neither counts towards ALL_FAILURES nor is stopped by it: strangers can't lock the
    owner out.
    """

    def everywhere() -> Response | None:
        refused()
        return refused_everywhere()

    from_here = counted(FAILURES, "login-failures", lambda: f"{account()} {client_address()}", failed, above=refused)
    from_anywhere = counted(ALL_FAILURES, "all-login-failures", account, failed, exempt=is_known, above=everywhere)

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        return from_anywhere(from_here(view))

    return decorate


def trying_code(
    account: Callable[[], str], failed: Counts, is_known: Callable[[], bool]
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Limit by FAILURES for each account and address, and by CODE_FAILURES for each account.

    Counts as `trying_password` does, in counts of its own.
    """
    from_here = counted(FAILURES, "code-failures", lambda: f"{account()} {client_address()}", failed)
    from_anywhere = counted(CODE_FAILURES, "all-code-failures", account, failed, exempt=is_known)

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        return from_anywhere(from_here(view))

    return decorate


def writing(caller: Callable[[], str]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Limit by RATELIMIT_WRITES for each caller."""
    return counted(setting("ratelimit_writes"), "writes", caller)


def counted(
    limit: Limit,
    scope: str,
    key: Callable[[], str],
    counts: Counts | None = None,
    *,
    exempt: Callable[[], bool] | None = None,
    above: Callable[[], Response | None] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Limit writes by `key`, over all views of a `scope`. With `counts`, only the responses that it accepts count.

    Requests for which `exempt` is true are not limited and don't count. `above` is called for each refused request;
    its response, if any, is the answer in place of 429.
    """
    current_limit = limit if callable(limit) else lambda: limit
    _limits[scope] = current_limit
    decorator = limiter.shared_limit(
        lambda: _effective(current_limit()),
        scope=scope,
        key_func=key,
        methods=WRITE_METHODS,
        deduct_when=counts,
        exempt_when=exempt,
        on_breach=(lambda _: above()) if above is not None else None,
    )

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def noted(*args: P.args, **kwargs: P.kwargs) -> R:
            _note()
            return view(*args, **kwargs)

        return cast(Callable[P, R], decorator(noted))

    return decorate


def init_app(app: Flask) -> None:
    """Add the fields RateLimit and RateLimit-Policy to answers of the API.

    Called before the limiter's `init_app`: functions after a request run in reverse order, so the limiter has counted.
    """
    app.after_request(_add_fields)


def setting(name: str) -> Callable[[], str]:
    """A function that reads the limit `name` from the settings of the current application."""

    def read() -> str:
        text: str = getattr(current_app.config["QIST"], name)
        return text

    return read


def seconds_to_wait() -> int:
    """Whole seconds until the exceeded limit resets, rounded up: the value of Retry-After (RFC 9110)."""
    limit = limiter.current_limit
    if limit is None:
        return 60
    return _seconds_to_reset(limit)


def _record_limit() -> None:
    item, key = RateLimitItemPerMinute(1), ("qist", client_address(), "login-recorded")
    if limiter.limiter.hit(item, *key):
        sessions.record_limit()


def _note() -> None:
    """Remember the limits that were looked at just now. A later check of the same request forgets them."""
    g.setdefault("rate_limits", {}).update({limit.key: limit for limit in limiter.current_limits})


def _add_fields(response: Response) -> Response:
    """The fields of draft-ietf-httpapi-ratelimit-headers-10, a member for each limit of this request.

    `q` requests in `w` seconds; `r` remain, until `t` seconds from now. There are none while Valkey is away.
    """
    if not f"{request.path}/".startswith(JSON_PREFIXES) or not limiter.enabled:
        return response
    _note()
    limits = list(g.rate_limits.values())
    if not limits or (current_app.config["QIST"].redis_url and isinstance(limiter.limiter.storage, MemoryStorage)):
        return response
    try:
        left = [0 if limit.breached else _remaining(limit) for limit in limits]
        seconds = [_seconds_to_reset(limit) for limit in limits]
    except (RedisError, OSError):
        return response
    names = [_name(limit) for limit in limits]
    policies = [
        f'"{name}";q={limit.limit.amount};w={limit.limit.get_expiry()}'
        for name, limit in zip(names, limits, strict=True)
    ]
    rest = [f'"{name}";r={number};t={wait}' for name, number, wait in zip(names, left, seconds, strict=True)]
    response.headers["RateLimit-Policy"] = ", ".join(policies)
    response.headers["RateLimit"] = ", ".join(rest)
    return response


def _name(limit: RequestLimit) -> str:
    """The scope of the limit; with its period, if the scope has several."""
    scope = limit.request_args[-1]
    return f"{scope}-{limit.limit.GRANULARITY.name}" if len(parse_many(_limits[scope]())) > 1 else scope


def _seconds_to_reset(limit: RequestLimit) -> int:
    expiry: int = limit.limit.get_expiry()
    window = window_of(limit.key)
    reset_at = limit.reset_at if window is None else int(window[1] + 1)
    return min(max(1, math.ceil(reset_at - clock.now().timestamp())), expiry)


def _remaining(limit: RequestLimit) -> int:
    window = window_of(limit.key)
    return max(0, limit.remaining if window is None else limit.limit.amount - window[0])


def _effective(text: str) -> str:
    """The limit as set, or a fraction of it while every process counts its own requests."""
    settings = current_app.config["QIST"]
    if settings.redis_url is None or not isinstance(limiter.limiter.storage, MemoryStorage):
        return text
    share = 2 * settings.web_workers
    return ";".join(
        f"{max(1, item.amount // share)} per {item.multiples} {item.GRANULARITY.name}" for item in parse_many(text)
    )
