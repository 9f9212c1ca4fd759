"""Limits as the pages count them: by who somebody is, and by what is tried here only. The rest: portal/rate_limits.py.

Each decorator counts one kind of request, by address or by account. Over it: 429 with Retry-After.
"""

from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from flask import Response, g, request
from flask_login import current_user

from portal import rate_limits
from portal.access import client_address, login_key

P = ParamSpec("P")
R = TypeVar("R")

ASKED: Final = "5 per hour"
"""Links for a forgotten password that one account is mailed, whoever asks."""
CALLBACKS: Final = "600 per minute"
"""Callbacks from one address."""


def _whoever() -> str:
    return f"user:{current_user.id}" if current_user.is_authenticated else client_address()


def _typed_login() -> str:
    return login_key(request.form.get("login", ""))


def count_wrong_password() -> None:
    """The view tells that this request's password was wrong: only those are counted."""
    g.wrong_password = True


def _was_wrong(answer: Response) -> bool:
    return bool(g.get("wrong_password", False))


def signing_in(view: Callable[P, R]) -> Callable[P, R]:
    """RATELIMIT_LOGIN by address, and FAILURES by account; a right password counts for nothing."""
    return rate_limits.signing_in(rate_limits.trying_password(_typed_login, _was_wrong)(view))


def asking_for_reset(view: Callable[P, R]) -> Callable[P, R]:
    """RATELIMIT_LOGIN by address, and ASKED by the account whose mailbox would fill up."""
    by_address = rate_limits.counted(rate_limits.setting("ratelimit_login"), "reset", client_address)
    return by_address(rate_limits.counted(ASKED, "reset-asked", _typed_login)(view))


def resetting(view: Callable[P, R]) -> Callable[P, R]:
    """RATELIMIT_REGISTER, by address, of passwords that are set by a mailed link."""
    return rate_limits.counted(rate_limits.setting("ratelimit_register"), "reset-used", client_address)(view)


def checking_password(view: Callable[P, R]) -> Callable[P, R]:
    """FAILURES by the account that is signed in: a browser left open is no way to guess its password."""
    return rate_limits.counted(rate_limits.FAILURES, "password-failures", _whoever, _was_wrong)(view)


def writing(view: Callable[P, R]) -> Callable[P, R]:
    """RATELIMIT_WRITES, by account (by address for those who have none)."""
    return rate_limits.writing(_whoever)(view)


def calling_back(view: Callable[P, R]) -> Callable[P, R]:
    """CALLBACKS, by address: a gateway that is not ours is turned away before its signature is looked at."""
    return rate_limits.counted(lambda: CALLBACKS, "callbacks", client_address)(view)
