"""create_app(): configures Flask, binds the extensions and registers the entry points."""

import os
from pathlib import Path
from typing import Any

import structlog
from flask import Flask
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.middleware.proxy_fix import ProxyFix

from portal import config, counters, extensions, logs, models, queue, rate_limits
from portal.api import setup as api
from portal.config import Settings
from portal.gateways import payment
from portal.reports.operations import migration_files, revisions
from portal.services.maintenance import doctor
from portal.valkey import rate_limit_storage
from portal.web import setup as web
from portal.wording import installation, language

log = structlog.get_logger(__name__)

ROOT = Path(__file__).resolve().parent.parent

__all__ = [
    "bind_migrations",
    "create_app",
    "log_findings",
    "models",
    "queue",
    "rate_limit_storage",
    "refuse_old_database",
]


def create_app(settings: Settings | None = None) -> Flask:
    """The application. Without `settings`, read them from the environment. Raises ConfigError."""
    settings = settings or config.load(os.environ)
    app = Flask(
        "portal",
        root_path=str(ROOT / "portal"),
        template_folder=str(ROOT / "templates"),
        static_folder=str(ROOT / "static"),
        static_url_path="/static",
    )
    app.config["QIST"] = settings
    app.config.update(_flask_config(settings))
    app.ensure_sync = lambda func: func  # type: ignore[method-assign]  # no view and no hook is async
    app.session_interface = extensions.CookieSessions()
    app.json.sort_keys = False  # type: ignore[attr-defined]
    logs.configure(settings.log_level)
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    if settings.metrics_port is not None:
        counters.start(settings.metrics_dir, pool_size=settings.web_threads * 2 + 2)
    extensions.db.init_app(app)
    with app.app_context():
        event.listen(extensions.db.engine, "connect", extensions.set_up_connection)
        extensions.watch_connections(extensions.db.engine)
    extensions.csrf.init_app(app)
    extensions.login.init_app(app)
    extensions.htmx.init_app(app)
    rate_limits.init_app(app)
    extensions.limiter.init_app(app)
    hooks = app.before_request_funcs[None]
    hooks[:] = [hook for hook in hooks if hook != extensions.limiter._check_request_limit]  # each limit is on a view
    payment.init_app(app, settings)
    if settings.production and settings.email_confirmation == "off":
        log.warning("emails.unconfirmed", meaning="anybody may register with any email")
    language.init_app(app, ROOT / "translations")
    web.init_app(app)
    api.init_app(app)
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


def bind_migrations(app: Flask) -> None:
    """Bind flask-migrate to the application, for a process that migrates. The others start without Alembic."""
    from flask_migrate import Migrate

    Migrate(app, extensions.db, directory=str(migration_files.DIRECTORY), compare_type=True)


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
