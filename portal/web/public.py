"""Public pages: the home page and its interactive example of a plan."""

from flask import Blueprint, Response, request

from portal.web.respond import fragment_or_page

bp = Blueprint("public", __name__)


@bp.get("/")
def home() -> Response:
    """The home page. Browsers without JavaScript send ?paid= when the example's button is pressed."""
    return _example()


@bp.get("/example")
def example() -> Response:
    """The example alone. It reads and writes no rows."""
    return _example()


def _example() -> Response:
    value = request.args.get("paid", "")
    paid = int(value) if value in ("0", "1", "2", "3", "4") else 1
    return fragment_or_page("public/_example.html", "public/home.html", paid=paid, just_paid=bool(value) and paid > 1)
