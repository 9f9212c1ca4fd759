"""Light, dark, or as the device says: a choice kept in a cookie, for people with and without an account."""

from typing import Final

from flask import Blueprint, Response, current_app, request, url_for

from portal.web.respond import go, local_path

bp = Blueprint("theme", __name__)

THEMES: Final = ("light", "dark")
LASTS: Final = 365 * 24 * 60 * 60


@bp.post("/theme")
def update() -> Response:
    """Anything but light or dark means: as the device says."""
    answer = go(local_path(request.form.get("next")) or url_for("public.home"))
    wanted = request.form.get("theme")
    production = current_app.config["QIST"].production
    if wanted in THEMES:
        answer.set_cookie(_name(), wanted, max_age=LASTS, secure=production, httponly=True, samesite="Lax")
    else:
        answer.delete_cookie(_name(), secure=production, httponly=True, samesite="Lax")
    return answer


def chosen() -> str:
    """ "light", "dark", or "" for the device's own."""
    wanted = request.cookies.get(_name(), "")
    return wanted if wanted in THEMES else ""


def _name() -> str:
    return "__Host-theme" if current_app.config["QIST"].production else "theme"
