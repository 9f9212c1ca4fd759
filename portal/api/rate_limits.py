"""Rate limits of the API: by caller, and by a wrong password. The shared part: portal/rate_limits.py."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from flask import Response, g

from portal import access, rate_limits

P = ParamSpec("P")
R = TypeVar("R")


def refreshing(view: Callable[P, R]) -> Callable[P, R]:
    """RATELIMIT_LOGIN, by address, of exchanges alone: who stays signed in uses nobody's tries up."""
    return rate_limits.counted(rate_limits.setting("ratelimit_login"), "refresh", access.client_address)(view)


def trying_password(step: Callable[P, R]) -> Callable[P, R]:
    """FAILURES by the account that `g.login` names: a right password counts for nothing."""
    return rate_limits.trying_password(lambda: access.login_key(g.login), _failed)(step)


def writing(view: Callable[P, R]) -> Callable[P, R]:
    """RATELIMIT_WRITES, by API key, else by account."""
    return rate_limits.writing(lambda: g.caller.name)(view)


def _failed(answer: Response) -> bool:
    return answer.status_code == 401
