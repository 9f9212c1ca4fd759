"""How often somebody may try. Counted in Valkey; while it is away, in this process, so never without a limit.

Each decorator counts one kind of request, by address or by account. Over it: 429 with Retry-After.
"""

from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from flask import Response, current_app, g, request
from flask_login import current_user

from portal import clock
from portal.access import account, address
from portal.extensions import limiter

P = ParamSpec("P")
R = TypeVar("R")

FAILURES: Final = "10 per 15 minutes"
"""Wrong passwords for one account, whoever tries."""
ASKED: Final = "5 per hour"
"""Links for a forgotten password that one account is mailed, whoever asks."""
CALLBACKS: Final = "600 per minute"
"""Callbacks from one address."""


def _whoever() -> str:
    return f"user:{current_user.id}" if current_user.is_authenticated else address()


def _typed_login() -> str:
    return account(request.form.get("login", ""))


def count_wrong_password() -> None:
    """The view tells that this request's password was wrong: only those are counted."""
    g.wrong_password = True


def _was_wrong(answer: Response) -> bool:
    return bool(g.get("wrong_password", False))


def registering(view: Callable[P, R]) -> Callable[P, R]:
    """RATELIMIT_REGISTER, by address."""
    decorate = limiter.limit(
        lambda: current_app.config["QIST"].ratelimit_register, key_func=address, scope="register", methods=["POST"]
    )
    return decorate(view)


def signing_in(view: Callable[P, R]) -> Callable[P, R]:
    """RATELIMIT_LOGIN by address, and FAILURES by account; a right password counts for nothing."""
    by_address = limiter.limit(
        lambda: current_app.config["QIST"].ratelimit_login, key_func=address, scope="login", methods=["POST"]
    )
    by_account = limiter.shared_limit(
        FAILURES, scope="login-failures", key_func=_typed_login, methods=["POST"], deduct_when=_was_wrong
    )
    return by_address(by_account(view))


def asking_for_reset(view: Callable[P, R]) -> Callable[P, R]:
    """RATELIMIT_LOGIN by address, and ASKED by the account whose mailbox would fill up."""
    by_address = limiter.limit(
        lambda: current_app.config["QIST"].ratelimit_login, key_func=address, scope="reset", methods=["POST"]
    )
    by_account = limiter.shared_limit(ASKED, scope="reset-asked", key_func=_typed_login, methods=["POST"])
    return by_address(by_account(view))


def checking_password(view: Callable[P, R]) -> Callable[P, R]:
    """FAILURES by the account that is signed in: a browser left open is no way to guess its password."""
    by_account = limiter.shared_limit(
        FAILURES, scope="password-failures", key_func=_whoever, methods=["POST"], deduct_when=_was_wrong
    )
    return by_account(view)


def writing(view: Callable[P, R]) -> Callable[P, R]:
    """RATELIMIT_WRITES, by account (by address for those who have none)."""
    decorate = limiter.shared_limit(
        lambda: current_app.config["QIST"].ratelimit_writes, scope="writes", key_func=_whoever, methods=["POST"]
    )
    return decorate(view)


def calling_back(view: Callable[P, R]) -> Callable[P, R]:
    """CALLBACKS, by address: a gateway that is not ours is turned away before its signature is looked at."""
    decorate = limiter.limit(lambda: CALLBACKS, key_func=address, scope="callbacks", methods=["POST"])
    return decorate(view)


def seconds_to_wait() -> int:
    """After a refusal: whole seconds until the next try."""
    limit = limiter.current_limit
    if limit is None:
        return 60
    return max(1, int(limit.reset_at - clock.now().timestamp()))
