"""create_app(): the application of the web server and of the command line: job_app.py's with its entry points."""

import os
from collections.abc import Callable
from typing import Any

import jwt  # noqa: F401 services/accounts/tokens.py loads it later; here the web workers share it
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import Rule

from portal import config, extensions, job_app, models, queue, rate_limits, web_extensions
from portal.api import setup as api
from portal.config import Settings
from portal.domain import clock
from portal.job_app import ROOT, log_findings, refuse_old_database
from portal.reports.operations import migration_files
from portal.valkey import rate_limit_storage
from portal.web import setup as web
from portal.wording import language

__all__ = [
    "ROOT",
    "bind_migrations",
    "create_app",
    "load_for_workers",
    "log_findings",
    "models",
    "queue",
    "rate_limit_storage",
    "refuse_old_database",
]


class Route(Rule):
    """A rule of addresses that compiles its builders when it first builds an address.

    Compiling those of all rules takes a tenth of a second at each start, and few are ever called.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compile_builder = super()._compile_builder

        def compile_and_build(rule: Route, /, **values: Any) -> tuple[str, str]:
            builder: Callable[..., tuple[str, str]] = compile_builder(append_unknown).__get__(rule)
            setattr(rule, "_build_unknown" if append_unknown else "_build", builder)
            return builder(**values)

        return compile_and_build


def create_app(settings: Settings | None = None) -> Flask:
    """The application. Without `settings`, read them from the environment. Raises ConfigError."""
    settings = settings or config.load(os.environ)
    app = job_app.create_job_app(settings)
    app.url_rule_class = Route
    app.ensure_sync = lambda func: func  # type: ignore[method-assign]  # no view and no hook is async
    app.session_interface = web_extensions.CookieSessions()
    app.json.sort_keys = False  # type: ignore[attr-defined]
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    web_extensions.csrf.init_app(app)
    web_extensions.login.init_app(app)
    web_extensions.htmx.init_app(app)
    rate_limits.init_app(app)
    web_extensions.limiter.init_app(app)
    hooks = app.before_request_funcs[None]
    hooks[:] = [
        hook for hook in hooks if hook != web_extensions.limiter._check_request_limit
    ]  # each limit is on a view
    web.init_app(app)
    api.init_app(app)
    return app


def load_for_workers(app: Flask) -> None:
    """Load data that nearly every page reads, before the web workers are forked. Each would hold 6 MB of its own."""
    language.load_source()
    clock.zones()
    app.url_map.update()


def bind_migrations(app: Flask) -> None:
    """Bind flask-migrate to the application, for a process that migrates. The others start without Alembic."""
    from flask_migrate import Migrate

    Migrate(app, extensions.db, directory=str(migration_files.DIRECTORY), compare_type=True)
