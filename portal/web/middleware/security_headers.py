"""Headers that stand on every answer."""

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
TRANSPORT: Final = "max-age=31536000"


def init_app(app: Flask) -> None:
    app.after_request(add_headers)


def add_headers(answer: Response) -> Response:
    """A view's own choice of one of them stays."""
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    if current_app.config["QIST"].production:
        answer.headers.setdefault("Strict-Transport-Security", TRANSPORT)
    if "Cache-Control" not in answer.headers:
        user = g.get("_login_user")
        if user is not None and not isinstance(user, AnonymousUserMixin):
            answer.headers["Cache-Control"] = "no-store"
        elif answer.mimetype == "text/html":
            answer.headers["Cache-Control"] = "private, no-cache"
    return answer
