"""What anybody may read: what Qist is, and a living example of a plan."""

from flask import Blueprint, Response, request

from portal.web.respond import fragment_or_page

bp = Blueprint("public", __name__)


@bp.get("/")
def home() -> Response:
    """The first page. With ?paid= the example's button was pressed in a browser without JavaScript."""
    return _example()


@bp.get("/example")
def example() -> Response:
    """The example alone; nothing in it is real."""
    return _example()


def _example() -> Response:
    asked = request.args.get("paid", "")
    paid = int(asked) if asked in ("0", "1", "2", "3", "4") else 1
    return fragment_or_page("public/_example.html", "public/home.html", paid=paid, just_paid=bool(asked) and paid > 1)
