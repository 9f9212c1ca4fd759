"""Challenges for passkeys, which static/js/passkeys.js fetches."""

import secrets
from typing import Final

from flask import Response, session

from portal.models.security.passkeys import Purpose
from portal.services.security import passkeys

BROWSER: Final = "passkeys"
"""The cookie key of the secret to which challenges are bound."""


def browser() -> str:
    """The secret of this browser, to which its challenges are bound."""
    if not isinstance(session.get(BROWSER), str):
        session[BROWSER] = secrets.token_urlsafe(24)
    return str(session[BROWSER])


def challenge(purpose: Purpose, user_id: int | None) -> Response:
    """The options of a new challenge as JSON."""
    response = Response(passkeys.options(purpose, browser(), user_id), mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
