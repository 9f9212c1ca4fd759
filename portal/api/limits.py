"""How often a caller may ask. Registrations, sign-ins and writes are counted together with those of the pages."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from flask import Response, g

from portal import access
from portal.limits import counted, registering, seconds_to_wait, setting, signing_in
from portal.limits import trying_password as _trying_password
from portal.limits import writing as _writing

__all__ = ["refreshing", "registering", "seconds_to_wait", "signing_in", "trying_password", "writing"]

P = ParamSpec("P")
R = TypeVar("R")


def refreshing(view: Callable[P, R]) -> Callable[P, R]:
    """RATELIMIT_LOGIN, by address, of exchanges alone: who stays signed in uses nobody's tries up."""
    return counted(setting("ratelimit_login"), "refresh", access.address)(view)


def trying_password(step: Callable[P, R]) -> Callable[P, R]:
    """FAILURES by the account that `g.login` names: a right password counts for nothing."""
    return _trying_password(lambda: access.account(g.login), _failed)(step)


def writing(view: Callable[P, R]) -> Callable[P, R]:
    """RATELIMIT_WRITES, by API key, else by account."""
    return _writing(lambda: g.caller.name)(view)


def _failed(answer: Response) -> bool:
    return answer.status_code == 401
