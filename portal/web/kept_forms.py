"""Typed input survives a sign-in: the form of a POST that could not be carried out comes back filled.

A POST whose session ended, or is not fresh enough, keeps its form (`keep`). The GET of the form's page brings it back
once (`bring_back`); the person presses the button again. So does a POST from a page of a session that this browser
signed out of in another tab: the cookie remembers the session's account and its CSRF token (`left_behind`).
"""

from typing import Any, Final

from flask import Flask, flash, g, request, session
from flask_babel import gettext as _
from flask_login import current_user
from flask_wtf.csrf import validate_csrf
from werkzeug.datastructures import MultiDict
from wtforms import ValidationError

from portal.services.security import kept_forms
from portal.web.respond import is_htmx
from portal.web_extensions import csrf

TOKEN: Final = "kept_form"  # noqa: S105
"""The cookie key of the token of a kept form."""
LEFT: Final = "left_user"
LEFT_CSRF: Final = "left_csrf_token"
"""The cookie keys of the account whose session this browser left last, and of that session's CSRF token."""
NOT_KEPT: Final = frozenset({"csrf_token", "key", "next", "method", "payment_method"})
"""Fields that their page makes anew, and what stands for a card."""
PARTS_NOT_KEPT: Final = ("password", "code", "card", "token", "credential", "secret", "shown")
"""Parts of the names of further fields that are not kept."""


def init_app(app: Flask) -> None:
    app.before_request(bring_back)


def keep(user_id: int, path: str) -> None:
    """Keep the form of this POST for the page `path`."""
    fields = [(name, value) for name, value in request.form.items(multi=True) if _is_kept(name)]
    session[TOKEN] = kept_forms.keep(user_id, path, fields)


def has_input() -> bool:
    """Whether this POST has a field that would be kept."""
    return any(_is_kept(name) for name in request.form)


def left_behind(user_id: int | None) -> dict[str, Any]:
    """The keys of the cookie that outlive this session of `user_id`. None: those that outlived the one before."""
    if user_id is None or "csrf_token" not in session:
        return {key: session[key] for key in (LEFT, LEFT_CSRF) if key in session}
    return {LEFT: user_id, LEFT_CSRF: session["csrf_token"]}


def owner_of_left_page() -> int | None:
    """The account of this POST's page, if the page is of the session that this browser left last, by its CSRF token."""
    try:
        validate_csrf(csrf.form_token(), token_key=LEFT_CSRF)
    except ValidationError:
        return None
    user_id = session.get(LEFT)
    return user_id if isinstance(user_id, int) else None


def path_of() -> str | None:
    """The page of this browser's kept form."""
    token = session.get(TOKEN)
    return kept_forms.path_of(token) if isinstance(token, str) else None


def bring_back() -> None:
    """Before a request: on the page of the kept form, fill its forms with what was typed."""
    token = session.get(TOKEN)
    if not isinstance(token, str) or request.method != "GET" or is_htmx() or request.endpoint in (None, "static"):
        return
    if not current_user.is_authenticated:
        return
    path = request.full_path if request.query_string else request.path
    fields = kept_forms.take(token, current_user.id, path)
    if fields is None:
        return
    session.pop(TOKEN)
    if fields:
        g.kept_fields = MultiDict(fields)
        flash(_("What you typed is here again. Nothing was sent: look at the form and press its button."), "info")


def _is_kept(name: str) -> bool:
    return name not in NOT_KEPT and not any(part in name for part in PARTS_NOT_KEPT)
