"""Hang every page on the application."""

from flask import Flask

from portal.web import (
    account,
    failures,
    filters,
    health,
    invitations,
    operator,
    public,
    registrations,
    security,
    sessions,
    settings,
    static,
    theme,
    tracing,
)

BLUEPRINTS = (
    account.bp,
    health.bp,
    invitations.bp,
    operator.bp,
    public.bp,
    registrations.bp,
    sessions.bp,
    settings.bp,
    theme.bp,
)


def init_app(app: Flask) -> None:
    """Register the blueprints and what stands around every request."""
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    for surrounding in (sessions, filters, failures, security, static, tracing):
        surrounding.init_app(app)
