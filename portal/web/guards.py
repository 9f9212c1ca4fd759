"""Who may open a page: decorators for views."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, cast

from flask import Response, g, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import access
from portal.errors import Forbidden
from portal.models import Merchant, User, UserSession
from portal.web.respond import current_page, go, is_htmx, leave, local_path

P = ParamSpec("P")
View = Callable[P, ResponseReturnValue]

STARTS = {"merchant": "dashboard.show", "customer": "home.show", "operator": "operator.show"}


def me() -> User:
    """The account that is signed in here. Only where `login_needed` or `role_needed` stands above the view."""
    return cast(User, current_user._get_current_object())


def somebody() -> User | None:
    """The account that is signed in here, if any."""
    return me() if current_user.is_authenticated else None


def my_merchant() -> Merchant:
    """The settings of the merchant who is signed in here. Raises Forbidden for everybody else."""
    merchant = me().merchant
    if merchant is None:
        raise Forbidden()
    return merchant


def my_session() -> UserSession:
    """This browser's session."""
    me()
    return cast(UserSession, g.user_session)


def start_of(user: User | None) -> str:
    """The page that this person begins at."""
    return url_for(STARTS[user.role] if user is not None else "public.home")


def login_needed(view: View[P]) -> View[P]:
    """Anonymous people are sent to the sign-in page and come back afterwards."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        if somebody() is None:
            return sign_in_first()
        return view(*args, **kwargs)

    return guarded


def role_needed(*roles: str) -> Callable[[View[P]], View[P]]:
    """Like `login_needed`, and everybody else gets the 403 page."""

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            if somebody() is None:
                return sign_in_first()
            access.require(me(), *roles)
            return view(*args, **kwargs)

        return guarded

    return decorate


def sign_in_first() -> Response:
    """To the sign-in page and, after it, back to the page that asked. Inside htmx the whole page goes there (401)."""
    url = url_for("sessions.new", next=local_path(current_page()))
    return leave(url, 401) if is_htmx() else go(url)
