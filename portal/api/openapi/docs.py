"""The OpenAPI document, and Swagger UI over it from our own files."""

from flask import Blueprint, Response, current_app, render_template

from portal.api.openapi import document

bp = Blueprint("api_docs", __name__)


@bp.get("/api/openapi.json", strict_slashes=False)
def openapi() -> Response:
    """The document, made once for every process."""
    made = current_app.extensions.get("openapi")
    if made is None:
        made = current_app.extensions["openapi"] = document.encode(document.build())
    return current_app.response_class(made, headers={"Cache-Control": "no-cache"}, content_type="application/json")


@bp.get("/api/docs/", strict_slashes=False)
@bp.get("/swagger/", strict_slashes=False)
def show() -> str:
    """Read the document, and try it out."""
    return render_template("public/api_docs.html")
