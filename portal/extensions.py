"""Flask extensions, created unbound; app.py binds them to the application."""

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING

from flask import Flask, g
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from flask_wtf.csrf import generate_csrf
from htmx_flask import Htmx
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class MaskedCSRF(CSRFProtect):  # type: ignore[misc]  # flask-wtf has no types
    """CSRF protection whose token reads otherwise in each answer.

    A token that stays the same in compressed pages which reflect input can be guessed by their lengths (BREACH).
    """

    def init_app(self, app: Flask) -> None:
        super().init_app(app)
        app.jinja_env.globals["csrf_token"] = masked_csrf_token
        app.context_processor(lambda: {"csrf_token": masked_csrf_token})

    def _get_csrf_token(self) -> str | None:
        masked = super()._get_csrf_token()
        return _unmasked(masked) if masked else None


def masked_csrf_token() -> str:
    """The session's CSRF token under a mask of this answer."""
    token = generate_csrf().encode()
    if "csrf_mask" not in g:
        g.csrf_mask = secrets.token_bytes(len(token))
    mask = g.csrf_mask
    return urlsafe_b64encode(mask + _xor(token, mask)).decode()


def _unmasked(masked: str) -> str | None:
    try:
        raw = urlsafe_b64decode(masked.encode())
        half = len(raw) // 2
        return _xor(raw[half:], raw[:half]).decode()
    except ValueError:
        return None


def _xor(text: bytes, mask: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(text, mask, strict=True))


db = SQLAlchemy(model_class=Base)
login = LoginManager()
csrf = MaskedCSRF()
limiter = Limiter(key_func=get_remote_address)
htmx = Htmx()

if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model
