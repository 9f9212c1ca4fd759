"""Hang every page on the application."""

from flask import Flask

from portal.web import (
    account,
    api_keys,
    dashboard,
    failures,
    filters,
    health,
    home,
    installments,
    invitations,
    operator,
    payments,
    plan_invitations,
    plans,
    public,
    registrations,
    security,
    sessions,
    settings,
    static,
    theme,
    tracing,
    words,
)

BLUEPRINTS = (
    account.bp,
    api_keys.bp,
    dashboard.bp,
    health.bp,
    home.bp,
    installments.bp,
    invitations.bp,
    operator.bp,
    payments.bp,
    plan_invitations.bp,
    plans.bp,
    public.bp,
    registrations.bp,
    sessions.bp,
    settings.bp,
    theme.bp,
)


def init_app(app: Flask) -> None:
    """Register the blueprints and what stands around every request; the outermost comes last."""
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    for surrounding in (sessions, filters, words, failures, security, static, tracing):
        surrounding.init_app(app)
