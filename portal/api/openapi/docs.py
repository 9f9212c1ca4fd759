"""The OpenAPI document, and Swagger UI from vendored files."""

import threading
from typing import Final

from flask import Blueprint, Response, current_app, render_template

from portal.api.openapi import document

bp = Blueprint("api_docs", __name__)
BUILDING: Final = threading.Lock()
"""One thread builds the document, which takes about a second, and others wait for it."""


@bp.get("/api/openapi.json", strict_slashes=False)
def openapi() -> Response:
    """The document, built once in each process."""
    with BUILDING:
        encoded = current_app.extensions.get("openapi")
        if encoded is None:
            encoded = current_app.extensions["openapi"] = document.encode(document.build())
    return current_app.response_class(encoded, headers={"Cache-Control": "no-cache"}, content_type="application/json")


@bp.get("/api/docs/", strict_slashes=False)
@bp.get("/swagger/", strict_slashes=False)
def show() -> str:
    """The page with Swagger UI."""
    return render_template("public/api_docs.html")
