"""The colour theme: light, dark or the device's own. A cookie stores it, with or without an account."""

from typing import Final

from flask import Blueprint, Response, current_app, request, url_for

from portal.web.respond import go, local_path

bp = Blueprint("theme", __name__)

THEMES: Final = ("light", "dark")
COOKIE_SECONDS: Final = 365 * 24 * 60 * 60


@bp.post("/theme")
def update() -> Response:
    """Set the theme. Any value but "light" and "dark" selects the device's own."""
    response = go(local_path(request.form.get("next")) or url_for("public.home"))
    theme = request.form.get("theme")
    production = current_app.config["QIST"].production
    if theme in THEMES:
        response.set_cookie(
            _cookie_name(), theme, max_age=COOKIE_SECONDS, secure=production, httponly=True, samesite="Lax"
        )
    else:
        response.delete_cookie(_cookie_name(), secure=production, httponly=True, samesite="Lax")
    return response


def current_theme() -> str:
    """ "light", "dark", or "" for the device's own."""
    theme = request.cookies.get(_cookie_name(), "")
    return theme if theme in THEMES else ""


def _cookie_name() -> str:
    return "__Host-theme" if current_app.config["QIST"].production else "theme"
