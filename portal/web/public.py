"""Public pages: the home page with an interactive example of a plan."""

from datetime import date
from typing import Final

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal.web.respond import fragment_or_page

bp = Blueprint("public", __name__)

EXAMPLE_DATES: Final = (date(2026, 11, 1), date(2026, 12, 1), date(2027, 1, 1), date(2027, 2, 1))
"""The due dates of the example. The page shows them without the year."""
ROBOTS: Final = "User-agent: *\nAllow: /$\nAllow: /static/\nDisallow: /\n"


@bp.get("/")
def home() -> Response:
    """The home page. `?paid=` is the state of the example, in a browser without JavaScript."""
    return _example()


@bp.get("/robots.txt")
def robots() -> Response:
    """Search engines list the public home page only."""
    return Response(ROBOTS, mimetype="text/plain")


@bp.get("/favicon.ico")
def favicon() -> ResponseReturnValue:
    """For programs that ask without reading the page's links."""
    return redirect(url_for("static", filename="icons/favicon.ico"))


@bp.get("/apple-touch-icon.png")
def apple_touch_icon() -> ResponseReturnValue:
    """For programs that ask without reading the page's links."""
    return redirect(url_for("static", filename="icons/apple-touch-icon.png"))


@bp.get("/example")
def example() -> Response:
    """The example alone, for htmx."""
    return _example()


def _example() -> Response:
    parameter = request.args.get("paid", "")
    paid = int(parameter) if parameter in ("0", "1", "2", "3", "4") else 1
    just_paid = bool(parameter) and paid > 1
    return fragment_or_page(
        "public/_example.html", "public/home.html", paid=paid, just_paid=just_paid, dates=EXAMPLE_DATES
    )
