"""Rate limits of the API: writes by caller, and wrong passwords by account. The shared part: portal/rate_limits.py."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from flask import Response, g

from portal import access, rate_limits
from portal.services.accounts import sessions

P = ParamSpec("P")
R = TypeVar("R")


def refreshing(view: Callable[P, R]) -> Callable[P, R]:
    """RATELIMIT_LOGIN by address, in a count of its own, so that exchanges do not use up sign-in attempts."""
    return rate_limits.counted(rate_limits.setting("ratelimit_login"), "refresh", access.client_address)(view)


def trying_password(step: Callable[P, R]) -> Callable[P, R]:
    """The limits of wrong passwords, by `g.login`. A program has no cookie: the account knows it by its address."""
    return rate_limits.trying_password(
        lambda: access.login_key(g.login),
        _failed,
        _is_known,
        lambda: sessions.record_refusal(g.login),
        lambda: None,
    )(step)


def trying_code(step: Callable[P, R]) -> Callable[P, R]:
    """The limits of wrong codes of a second factor, by `g.user_id`. Only answers with `g.wrong_code` count."""
    return rate_limits.trying_code(lambda: f"user:{g.user_id}", _code_was_wrong, _is_known)(step)


def _code_was_wrong(response: Response) -> bool:
    return bool(g.get("wrong_code", False))


def _is_known() -> bool:
    return sessions.knows(g.login, browser="", address=access.client_address())


def writing(view: Callable[P, R]) -> Callable[P, R]:
    """RATELIMIT_WRITES by API key, or by account for access tokens."""
    return rate_limits.writing(lambda: g.caller.name)(view)


def _failed(response: Response) -> bool:
    return response.status_code == 401
