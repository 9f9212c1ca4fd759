"""Security headers of every response."""

from typing import Final

from flask import Flask, Response, current_app, g
from flask_login import AnonymousUserMixin

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
STRICT_TRANSPORT: Final = "max-age=31536000"


def init_app(app: Flask) -> None:
    app.after_request(add_headers)


def add_headers(response: Response) -> Response:
    """Add the headers that the view did not set itself. Pages of a signed-in user are not stored by caches."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if current_app.config["QIST"].production:
        response.headers.setdefault("Strict-Transport-Security", STRICT_TRANSPORT)
    if "Cache-Control" not in response.headers:
        user = g.get("_login_user")
        if user is not None and not isinstance(user, AnonymousUserMixin):
            response.headers["Cache-Control"] = "no-store"
        elif response.mimetype == "text/html":
            response.headers["Cache-Control"] = "private, no-cache"
    return response
