"""Flask extensions of requests, created unbound; app.py binds them to the application.

A worker needs none of them.
"""

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode

from flask import Flask, Request, Response, g, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager
from flask_wtf import CSRFProtect
from flask_wtf.csrf import generate_csrf
from htmx_flask import Htmx

from portal.config import JSON_PREFIXES


class MaskedCSRF(CSRFProtect):  # type: ignore[misc]  # flask-wtf has no types
    """CSRF protection whose token reads otherwise in each answer.

    A token that stays the same in compressed pages which reflect input can be guessed by their lengths (BREACH).
    """

    def init_app(self, app: Flask) -> None:
        super().init_app(app)
        app.jinja_env.globals["csrf_token"] = masked_csrf_token
        app.context_processor(lambda: {"csrf_token": masked_csrf_token})

    def form_token(self) -> str | None:
        """The CSRF token of this request's form, unmasked."""
        return self._get_csrf_token()

    def _get_csrf_token(self) -> str | None:
        masked = super()._get_csrf_token()
        return _unmasked(masked) if masked else None


def masked_csrf_token() -> str:
    """The session's CSRF token under a mask of this answer."""
    token = generate_csrf()
    kept: tuple[str, str] | None = g.get("csrf_masked")
    if kept is None or kept[0] != token:
        mask = secrets.token_bytes(len(token))
        kept = token, urlsafe_b64encode(mask + _xor(token.encode(), mask)).decode()
        g.csrf_masked = kept
    return kept[1]


def _unmasked(masked: str) -> str | None:
    try:
        raw = urlsafe_b64decode(masked.encode())
        half = len(raw) // 2
        return _xor(raw[half:], raw[:half]).decode()
    except ValueError:
        return None


def _xor(text: bytes, mask: bytes) -> bytes:
    if len(text) != len(mask):
        raise ValueError("of another length")
    return (int.from_bytes(text) ^ int.from_bytes(mask)).to_bytes(len(text))


class CookieSessions(SecureCookieSessionInterface):
    """Flask's sessions. A request without cookies, such as each of the API, has an empty one at once.

    The API ignores cookies, so its answers don't vary by them.
    """

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if "HTTP_COOKIE" not in request.environ:
            return self.session_class()
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        is_api = f"{request.path}/".startswith(JSON_PREFIXES) and request.endpoint != "api_docs.show"
        if session or session.modified or not is_api:
            super().save_session(app, session, response)


login = LoginManager()
csrf = MaskedCSRF()
limiter = Limiter(key_func=get_remote_address)
htmx = Htmx()
