"""create_job_app(): the application of a worker. It has no pages and no endpoints, which would take 20 MB more."""

import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import structlog
from flask import Flask, templating
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError

from portal import config, counters, extensions, logs, models
from portal.api.schemas.events import bodies as event_bodies
from portal.config import Settings
from portal.gateways import payment
from portal.reports.operations import revisions
from portal.services.maintenance import doctor
from portal.wording import installation, language

log = structlog.get_logger(__name__)

ROOT = Path(__file__).resolve().parent.parent

__all__ = ["create_job_app", "log_findings", "models", "refuse_old_database"]


class Templates(templating.Environment):
    """Jinja with a plain dict of globals for each template: it compares their names, for every import of a page, in C.

    What is added to the globals later does not reach a template that is loaded.
    """

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        return {**self.globals, **(d or {})}


def create_job_app(settings: Settings | None = None) -> Flask:
    """The application of jobs: settings, database, gateway, languages. Raises ConfigError.

    The delivery of webhooks renders events with the extension `event_bodies`, as the API does.
    """
    settings = settings or config.load(os.environ)
    app = Flask(
        "portal",
        root_path=str(ROOT / "portal"),
        template_folder=str(ROOT / "templates"),
        static_folder=str(ROOT / "static"),
        static_url_path="/static",
    )
    app.jinja_environment = Templates
    app.config["QIST"] = settings
    app.config.update(_flask_config(settings))
    logs.configure(settings.log_level)
    if settings.metrics_port is not None:
        counters.start(settings.metrics_dir, pool_size=settings.web_threads * 2 + 2)
    extensions.db.init_app(app)
    with app.app_context():
        event.listen(extensions.db.engine, "connect", extensions.set_up_connection)
        extensions.watch_connections(extensions.db.engine)
    payment.init_app(app, settings)
    if settings.production and settings.email_confirmation == "off":
        log.warning("emails.unconfirmed", meaning="anybody may register with any email")
    language.init_app(app, ROOT / "translations")
    app.extensions["event_bodies"] = event_bodies
    return app


def refuse_old_database(app: Flask) -> None:
    """End the start of a process on a PostgreSQL that is too old. Raises SystemExit with the reason.

    A database that does not answer is no reason: it may come back while the process runs.
    """
    with app.app_context():
        try:
            version = revisions.old_server()
        except SQLAlchemyError as error:
            log.warning("database.away", **logs.database_facts(error))
            return
        finally:
            extensions.db.engine.dispose()
    if version is not None:
        log.critical("database.too_old", version=version)
        raise SystemExit(installation.refusal("too_old"))


def log_findings(app: Flask) -> None:
    """At the start of a process in production: log what `qist doctor` finds wrong, without asking the mail server."""
    if not app.config["QIST"].production:
        return
    with app.app_context():
        for found in doctor.examine(at_start=True):
            if found.level != "ok":
                log.warning("doctor.found", part=found.part, code=found.code, **found.facts)
        extensions.db.engine.dispose()


def _flask_config(settings: Settings) -> dict[str, Any]:
    return {
        "SECRET_KEY": settings.secret_key,
        "SECRET_KEY_FALLBACKS": list(settings.secret_keys_previous),
        "WTF_CSRF_SECRET_KEY": list(reversed(settings.secret_keys)),  # itsdangerous signs with the last one
        "SESSION_COOKIE_NAME": "__Host-qist" if settings.production else "qist",
        "SESSION_COOKIE_SECURE": settings.production,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "WTF_CSRF_TIME_LIMIT": None,
        # No Referer check: the __Host- prefix keeps other hosts from setting the cookie, and pages whose address is a
        # secret (invitations) send no Referer.
        "WTF_CSRF_SSL_STRICT": False,
        "MAX_CONTENT_LENGTH": 256 * 1024,
        "MAX_FORM_MEMORY_SIZE": 256 * 1024,
        "MAX_FORM_PARTS": 200,
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": {
            "pool_size": settings.web_threads + 2,
            "max_overflow": settings.web_threads,
            "pool_timeout": 5,
            "pool_recycle": 1800,
            "isolation_level": "READ COMMITTED",
            "hide_parameters": True,
            "connect_args": {
                "connect_timeout": 5,
                "application_name": "qist",
                "cursor_factory": extensions.LazyCursor,
            },
        },
        **_limiter_config(settings),
    }


def _limiter_config(settings: Settings) -> dict[str, Any]:
    """Count rate limits in Valkey; without REDIS_URL, or while Valkey does not answer, count them in this process.

    The storage uses the timeout and the circuit breaker of portal/valkey: a frozen Valkey must not block a sign-in.
    """
    url = settings.redis_url
    return {
        "RATELIMIT_STORAGE_URI": f"qist+{url}" if url else "memory://",
        "RATELIMIT_STRATEGY": "fixed-window",
        "RATELIMIT_HEADERS_ENABLED": False,
        "RATELIMIT_IN_MEMORY_FALLBACK_ENABLED": True,
        # Requests already counting when Valkey stops: flask-limiter would answer 500.
        "RATELIMIT_SWALLOW_ERRORS": True,
        "RATELIMIT_KEY_PREFIX": "qist",
    }
