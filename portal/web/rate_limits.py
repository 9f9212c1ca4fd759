"""Rate limits of pages. Limits that pages and the API share are in portal/rate_limits.py.

Each decorator counts one kind of request, by address or by account. Above the limit: 429 with Retry-After.
"""

from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from flask import Response, current_app, g, request, session, url_for
from flask_login import current_user

from portal import rate_limits
from portal.access import client_address, login_key
from portal.services.accounts import sessions
from portal.services.security import sign_in_codes
from portal.web.respond import go

P = ParamSpec("P")
R = TypeVar("R")

CALLBACKS: Final = "600 per minute"
"""Callbacks of the gateway from one address."""


REFUSED_LOGIN: Final = "refused_login"
"""The cookie key of the name whose sign-in needs a code by mail first."""


def _user_or_address() -> str:
    return f"user:{current_user.id}" if current_user.is_authenticated else client_address()


def _typed_login() -> str:
    return login_key(request.form.get("login", ""))


def _is_known() -> bool:
    browser = request.cookies.get(browser_cookie(), "")
    login = request.form.get("login", "")
    return sessions.knows(login, browser=browser, address=client_address()) or sign_in_codes.allows(login, browser)


def browser_cookie() -> str:
    """The name of the cookie by which an account knows a browser again. It signs nobody in."""
    return "__Host-qist_browser" if current_app.config["SESSION_COOKIE_SECURE"] else "qist_browser"


def count_wrong_password() -> None:
    """Called by the view when the request's password is wrong: only such requests are counted."""
    g.wrong_password = True


def _password_was_wrong(response: Response) -> bool:
    return bool(g.get("wrong_password", False))


def count_wrong_code() -> None:
    """Called by the view when the code of a second factor is wrong: only such requests are counted."""
    g.wrong_code = True


def _code_was_wrong(response: Response) -> bool:
    return bool(g.get("wrong_code", False))


def signing_in(view: Callable[P, R]) -> Callable[P, R]:
    """RATELIMIT_LOGIN by address, and the limits of wrong passwords. A correct password is not counted."""
    limited = rate_limits.trying_password(
        _typed_login, _password_was_wrong, _is_known, _record_refusal, _ask_for_mailed_code
    )
    return rate_limits.signing_in(limited(view))


def trying_mailed_code(view: Callable[P, R]) -> Callable[P, R]:
    """FAILURES by address, for codes by mail before a sign-in."""
    return rate_limits.counted(rate_limits.FAILURES, "mailed-codes", client_address, _code_was_wrong)(view)


def _record_refusal() -> None:
    sessions.record_refusal(request.form.get("login", ""))


def _ask_for_mailed_code() -> Response:
    """To the page that mails a code, for a browser that the account does not know."""
    session[REFUSED_LOGIN] = request.form.get("login", "")[:254]
    return go(url_for("sign_in_codes.new"))


def trying_passkey(view: Callable[P, R]) -> Callable[P, R]:
    """RATELIMIT_LOGIN by address, for challenges and answers of passkeys at sign-in."""
    return rate_limits.counted(rate_limits.setting("ratelimit_login"), "passkeys", client_address)(view)


def trying_code(account: Callable[[], int | None]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """The limits of wrong codes of a second factor. `account` is the id of the account that signs in."""

    def key() -> str:
        user_id = account()
        return client_address() if user_id is None else f"user:{user_id}"

    def is_known() -> bool:
        user_id, browser = account(), request.cookies.get(browser_cookie(), "")
        return user_id is not None and sessions.is_known(user_id, browser=browser, address=client_address())

    return rate_limits.trying_code(key, _code_was_wrong, is_known)


def asking_for_reset(view: Callable[P, R]) -> Callable[P, R]:
    """RATELIMIT_LOGIN by address. The service limits the mails to one account, and refuses nobody for it."""
    return rate_limits.counted(rate_limits.setting("ratelimit_login"), "reset", client_address)(view)


def resetting(view: Callable[P, R]) -> Callable[P, R]:
    """RATELIMIT_REGISTER by address, for passwords set with a mailed link."""
    return rate_limits.counted(rate_limits.setting("ratelimit_register"), "reset-used", client_address)(view)


def proving(view: Callable[P, R]) -> Callable[P, R]:
    """RATELIMIT_REGISTER by address, for proofs of emails."""
    return rate_limits.proving(view)


def checking_password(view: Callable[P, R]) -> Callable[P, R]:
    """FAILURES by the signed-in account, so that an open session does not allow guessing of its password."""
    return rate_limits.counted(rate_limits.FAILURES, "password-failures", _user_or_address, _password_was_wrong)(view)


def writing(view: Callable[P, R]) -> Callable[P, R]:
    """RATELIMIT_WRITES by account; by address for an anonymous visitor."""
    return rate_limits.writing(_user_or_address)(view)


def calling_back(view: Callable[P, R]) -> Callable[P, R]:
    """CALLBACKS by address. The limit applies before the signature is checked."""
    return rate_limits.counted(lambda: CALLBACKS, "callbacks", client_address)(view)
