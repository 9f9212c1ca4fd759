"""Security headers of every response, static files and refused requests included."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g
from flask_login import AnonymousUserMixin

from portal.config import POLICY, Settings, security_headers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["POLICY", "SecurityHeaders", "init_app"]


class SecurityHeaders:
    """Middleware that adds the headers which the response does not set itself."""

    def __init__(self, application: "WSGIApplication", settings: Settings) -> None:
        self.application, self.headers = application, security_headers(settings)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Callable[[bytes], object]:
            present = {name.lower() for name, _ in headers}
            missing = [(name, value) for name, value in self.headers.items() if name.lower() not in present]
            return start_response(status, [*headers, *missing], *more)

        return self.application(environ, start)


def init_app(app: Flask) -> None:
    app.wsgi_app = SecurityHeaders(app.wsgi_app, app.config["QIST"])  # type: ignore[method-assign]
    app.after_request(set_cache_control)


def set_cache_control(response: Response) -> Response:
    """Pages of a signed-in user are not stored by caches. A view may say otherwise."""
    if "Cache-Control" not in response.headers:
        user = g.get("_login_user")
        if user is not None and not isinstance(user, AnonymousUserMixin):
            response.headers["Cache-Control"] = "no-store"
        elif response.mimetype == "text/html":
            response.headers["Cache-Control"] = "private, no-cache"
    return response
