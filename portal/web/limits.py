"""How often somebody may try. Counted in Valkey; while it is away, in this process, so never without a limit.

Each decorator counts one kind of request, by address or by account. Over it: 429 with Retry-After.
"""

import ipaddress
import math
from collections.abc import Callable
from typing import Final, TypeVar

from flask import Response, current_app, request
from flask_login import current_user

from portal import clock
from portal.extensions import db, limiter
from portal.models import User

V = TypeVar("V", bound=Callable[..., object])

FAILURES: Final = "10 per 15 minutes"
"""Wrong passwords for one account, whoever tries."""
WRONG: Final = frozenset({401, 422})


def address() -> str:
    """Who asks, by address. An IPv6 network (/64) counts as one: a single home has 2**64 addresses."""
    try:
        found = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False).network_address)
    return str(found)


def account(login: str) -> str:
    """Whose password is tried: one account, whether its username or its email was typed; else what was typed."""
    name = login.strip().lower()[:254]
    user = db.session.scalar(User.by_login(name)) if name and "\x00" not in name else None
    return f"user:{user.id}" if user is not None else f"name:{name}"


def _whoever() -> str:
    return f"user:{current_user.id}" if current_user.is_authenticated else address()


def _typed_login() -> str:
    return account(request.form.get("login", ""))


def _failed(answer: Response) -> bool:
    return answer.status_code in WRONG


def registering(view: V) -> V:
    """RATELIMIT_REGISTER, by address."""
    decorate = limiter.limit(
        lambda: current_app.config["QIST"].ratelimit_register, key_func=address, scope="register", methods=["POST"]
    )
    return decorate(view)


def signing_in(view: V) -> V:
    """RATELIMIT_LOGIN by address, and FAILURES by account; a right password counts for nothing."""
    by_address = limiter.limit(
        lambda: current_app.config["QIST"].ratelimit_login, key_func=address, scope="login", methods=["POST"]
    )
    by_account = limiter.shared_limit(
        FAILURES, scope="login-failures", key_func=_typed_login, methods=["POST"], deduct_when=_failed
    )
    return by_address(by_account(view))


def checking_password(view: V) -> V:
    """FAILURES by the account that is signed in: a browser left open is no way to guess its password."""
    by_account = limiter.shared_limit(
        FAILURES, scope="password-failures", key_func=_whoever, methods=["POST"], deduct_when=_failed
    )
    return by_account(view)


def writing(view: V) -> V:
    """RATELIMIT_WRITES, by account (by address for those who have none)."""
    decorate = limiter.shared_limit(
        lambda: current_app.config["QIST"].ratelimit_writes, scope="writes", key_func=_whoever, methods=["POST"]
    )
    return decorate(view)


def seconds_to_wait() -> int:
    """After a refusal: whole seconds until the next try."""
    limit = limiter.current_limit
    if limit is None:
        return 60
    return max(1, math.ceil(limit.reset_at - clock.now().timestamp()))
