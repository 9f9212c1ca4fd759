"""The signed-in user, and decorators that restrict views to accounts and roles."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, cast

from flask import Response, g, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import access
from portal.errors import Forbidden
from portal.models import Merchant, User, UserSession
from portal.web.respond import current_page, go, is_htmx, local_path, redirect_whole_page

P = ParamSpec("P")
View = Callable[P, ResponseReturnValue]

START_ENDPOINTS = {"merchant": "dashboard.show", "customer": "home.show", "operator": "operator.show"}


def me() -> User:
    """The signed-in user. Call it only in views with `login_needed` or `role_needed`."""
    return cast(User, current_user._get_current_object())


def signed_in_user() -> User | None:
    """The signed-in user, or None."""
    return me() if current_user.is_authenticated else None


def my_merchant() -> Merchant:
    """The signed-in merchant. Raises Forbidden for other roles."""
    merchant = me().merchant
    if merchant is None:
        raise Forbidden()
    return merchant


def my_session() -> UserSession:
    """The session of this browser. Call it only where `me` may be called."""
    me()
    return cast(UserSession, g.user_session)


def start_page(user: User | None) -> str:
    """The address of the role's start page, or of the public one."""
    return url_for(START_ENDPOINTS[user.role] if user is not None else "public.home")


def login_needed(view: View[P]) -> View[P]:
    """Redirect an anonymous visitor to the sign-in page, which leads back to the view."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        if signed_in_user() is None:
            return sign_in_first()
        return view(*args, **kwargs)

    return guarded


def role_needed(*roles: str) -> Callable[[View[P]], View[P]]:
    """Like `login_needed`; a user of another role gets the 403 page."""

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            if signed_in_user() is None:
                return sign_in_first()
            access.require(me(), *roles)
            return view(*args, **kwargs)

        return guarded

    return decorate


def sign_in_first() -> Response:
    """To the sign-in page, which leads back to the current page. For htmx the whole page is replaced (401)."""
    url = url_for("sessions.new", next=local_path(current_page()))
    return redirect_whole_page(url, 401) if is_htmx() else go(url)
