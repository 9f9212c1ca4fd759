"""The signed-in person, their hat, and decorators that restrict views to accounts and permissions.

`needs` is the place where pages check a permission by name; portal/domain/permissions.py says which role has it.
"""

from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, cast

from flask import Response, flash, g, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from portal.domain.permissions import Actor, Permission
from portal.errors import Forbidden
from portal.extensions import db
from portal.models import Merchant, User, UserSession
from portal.services.accounts import sessions
from portal.services.security import second_factors
from portal.web import kept_forms
from portal.web.respond import current_page, go, is_htmx, local_path, redirect_whole_page

P = ParamSpec("P")
View = Callable[P, ResponseReturnValue]

FACTOR_PAGES: Final = frozenset({"second_factors", "passkeys", "fresh_sign_ins"})
"""The blueprints that are open to an account which lacks a second factor that it needs."""
START_ENDPOINTS = {"merchant": "dashboard.show", "customer": "home.show", "operator": "operator.show"}


def me() -> User:
    """The signed-in person. Call it only in views with `login_needed` or `needs`."""
    return cast(User, current_user._get_current_object())


def signed_in_user() -> User | None:
    """The signed-in person, or None."""
    return me() if current_user.is_authenticated else None


def my_actor() -> Actor:
    """The signed-in person under the hat of this browser. Call it only where `me` may be called."""
    me()
    return cast(Actor, g.actor)


def my_merchant() -> Merchant:
    """The business of the hat. Raises Forbidden under another hat."""
    merchant_id = my_actor().merchant_id
    if merchant_id is None:
        raise Forbidden()
    return db.session.get_one(Merchant, merchant_id)


def my_session() -> UserSession:
    """The session of this browser. Call it only where `me` may be called."""
    me()
    return cast(UserSession, g.user_session)


def start_page(user: User | None) -> str:
    """The address of the hat's start page, of the page that proves an email, or of the public one."""
    if user is not None and not my_actor().is_proven:
        return url_for("email_proofs.show")
    return url_for(START_ENDPOINTS[my_actor().hat] if user is not None else "public.home")


def lacks_factor() -> bool:
    """Whether the account lacks the second factor that is required, on any page but those that set it up."""
    return request.blueprint not in FACTOR_PAGES and must_turn_factor_on()


def must_turn_factor_on() -> bool:
    """Whether the signed-in account can do nothing before it has a second factor."""
    return second_factors.is_missing(me(), is_member=bool(me().memberships))


def login_needed(view: View[P]) -> View[P]:
    """Redirect an anonymous visitor to the sign-in page, which leads back to the view.

    An account whose email is not proven gets the 403 page that leads to the proof.
    """

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        if signed_in_user() is None:
            return sign_in_first()
        my_actor().require_proof()
        if lacks_factor():
            return go(url_for("second_factors.index"))
        return view(*args, **kwargs)

    return guarded


def login_or_registration_needed(view: View[P]) -> View[P]:
    """Like `login_needed`, and open to accounts whose email is not proven: the pages that prove it."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        if signed_in_user() is None:
            return sign_in_first()
        if lacks_factor():
            return go(url_for("second_factors.index"))
        return view(*args, **kwargs)

    return guarded


def needs(permission: Permission) -> Callable[[View[P]], View[P]]:
    """Like `login_needed`; an actor without the permission gets the 403 page."""

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            if signed_in_user() is None:
                return sign_in_first()
            if lacks_factor():
                return go(url_for("second_factors.index"))
            my_actor().require(permission)
            return view(*args, **kwargs)

        return guarded

    return decorate


def sign_in_first() -> Response:
    """To the sign-in page, which leads back to the current page. For htmx the whole page is replaced (401).

    The form of a POST whose session ended is kept, and comes back to the same account (web/kept_forms.py).
    """
    path = local_path(current_page())
    token = session.get("_user_id")
    if request.method == "POST" and isinstance(token, str):
        flash(_("You were signed out. Nothing was charged."), "warn")
        user_id = sessions.owner_of(token)
        if user_id is not None and path is not None:
            kept_forms.keep(user_id, path)
    url = url_for("sessions.new", next=path)
    return redirect_whole_page(url, 401) if is_htmx() else go(url)
