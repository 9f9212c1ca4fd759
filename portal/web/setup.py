"""Registration of all pages."""

from flask import Flask

from portal.web import error_pages, filters, labels, method_labels, public
from portal.web.accounts import account, api_keys, hats, password_resets, registrations, sessions
from portal.web.adjustments import cancellations, credits, write_offs
from portal.web.invitations import invitation_payments, invitations, plan_invitations
from portal.web.merchants import customers, dashboard, journal, settings
from portal.web.middleware import request_bodies, request_ids, security_headers, static_files, theme
from portal.web.operations import emails, health, operator
from portal.web.payments import (
    automatic,
    callbacks,
    manual_payments,
    payment_lists,
    payment_methods,
    payments,
    plan_payments,
    refunds,
    reversals,
    statements,
    voids,
)
from portal.web.plans import home, installments, plans
from portal.web.reminders import early_reminders, mutes, reminder_settings, reminders

BLUEPRINTS = (
    account.bp,
    api_keys.bp,
    automatic.bp,
    callbacks.bp,
    cancellations.bp,
    credits.bp,
    customers.bp,
    dashboard.bp,
    early_reminders.bp,
    hats.bp,
    health.bp,
    home.bp,
    installments.bp,
    invitation_payments.bp,
    invitations.bp,
    journal.bp,
    mutes.bp,
    operator.bp,
    emails.bp,
    password_resets.bp,
    payment_lists.bp,
    payment_methods.bp,
    payments.bp,
    plan_invitations.bp,
    plan_payments.bp,
    plans.bp,
    public.bp,
    manual_payments.bp,
    refunds.bp,
    registrations.bp,
    reminder_settings.bp,
    reminders.bp,
    reversals.bp,
    sessions.bp,
    settings.bp,
    statements.bp,
    voids.bp,
    theme.bp,
    write_offs.bp,
)


def init_app(app: Flask) -> None:
    """Register the blueprints, then the hooks and middleware of every request. The outermost middleware is last."""
    for blueprint in dict.fromkeys(BLUEPRINTS):  # the modules of reminders/ share a blueprint
        app.register_blueprint(blueprint)
    for module in (
        request_bodies,
        sessions,
        filters,
        labels,
        method_labels,
        error_pages,
        security_headers,
        static_files,
        request_ids,
    ):
        module.init_app(app)
