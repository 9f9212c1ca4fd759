"""Registration of all pages."""

from flask import Flask

from portal.web import error_pages, filters, kept_forms, labels, method_labels, public
from portal.web.accounts import (
    account,
    api_keys,
    email_changes,
    email_proofs,
    hats,
    passkey_sign_ins,
    password_resets,
    registrations,
    sessions,
    sign_in_codes,
    sign_in_steps,
)
from portal.web.adjustments import cancellations, credits, reschedules, voids, write_offs
from portal.web.agreements import acceptances, answers, disputes, proposals, shops, withdrawals
from portal.web.books import books, letterheads, movements
from portal.web.documents import letterheads as logos
from portal.web.documents import receipts as receipt_files
from portal.web.documents import statements as statement_files
from portal.web.dues import calendars, shop_payments
from portal.web.imports import contacts, imports
from portal.web.invitations import (
    customer_emails,
    invitation_documents,
    invitation_payments,
    invitations,
    link_agreements,
    plan_invitations,
    shop_reports,
)
from portal.web.merchants import (
    closing,
    customers,
    dashboard,
    journal,
    live,
    objections,
    search,
    settings,
    usual_terms,
    webhooks,
)
from portal.web.middleware import (
    compression,
    language,
    request_bodies,
    request_ids,
    security_headers,
    static_files,
    theme,
)
from portal.web.operations import accounts, emails, health, merchants, operator, refund_releases
from portal.web.operations import disputes as operator_disputes
from portal.web.payments import (
    automatic,
    callbacks,
    installment_payments,
    manual_payments,
    payment_lists,
    payment_methods,
    plan_payments,
    refund_lists,
    refunds,
    reversals,
    statements,
)
from portal.web.plans import drafts, home, installments, plans
from portal.web.privacy import erasures, personal_data, profiles
from portal.web.reminders import early_reminders, mutes, reminder_settings, reminders
from portal.web.security import (
    factor_removals,
    fresh_sign_ins,
    passkeys,
    second_factors,
    security_events,
    user_sessions,
)
from portal.web.team import memberships, notices, team, team_invitations

BLUEPRINTS = (
    acceptances.bp,
    account.bp,
    accounts.bp,
    answers.bp,
    api_keys.bp,
    automatic.bp,
    books.bp,
    calendars.bp,
    callbacks.bp,
    cancellations.bp,
    closing.bp,
    credits.bp,
    customer_emails.bp,
    customers.bp,
    dashboard.bp,
    drafts.bp,
    disputes.bp,
    early_reminders.bp,
    email_changes.bp,
    email_proofs.bp,
    erasures.bp,
    hats.bp,
    health.bp,
    home.bp,
    imports.bp,
    contacts.bp,
    installments.bp,
    invitation_payments.bp,
    invitation_documents.bp,
    invitations.bp,
    journal.bp,
    logos.bp,
    merchants.bp,
    letterheads.bp,
    link_agreements.bp,
    movements.bp,
    refund_lists.bp,
    live.bp,
    mutes.bp,
    notices.bp,
    objections.bp,
    operator.bp,
    operator_disputes.bp,
    emails.bp,
    password_resets.bp,
    payment_lists.bp,
    payment_methods.bp,
    installment_payments.bp,
    personal_data.bp,
    profiles.bp,
    plan_invitations.bp,
    plan_payments.bp,
    plans.bp,
    proposals.bp,
    public.bp,
    manual_payments.bp,
    refund_releases.bp,
    refunds.bp,
    registrations.bp,
    reminder_settings.bp,
    reminders.bp,
    reschedules.bp,
    receipt_files.bp,
    reversals.bp,
    fresh_sign_ins.bp,
    second_factors.bp,
    passkeys.bp,
    factor_removals.bp,
    passkey_sign_ins.bp,
    sign_in_steps.bp,
    sign_in_codes.bp,
    security_events.bp,
    user_sessions.bp,
    usual_terms.bp,
    sessions.bp,
    search.bp,
    settings.bp,
    shop_payments.bp,
    shop_reports.bp,
    shops.bp,
    statement_files.bp,
    statements.bp,
    team.bp,
    team_invitations.bp,
    memberships.bp,
    webhooks.bp,
    voids.bp,
    theme.bp,
    language.bp,
    withdrawals.bp,
    write_offs.bp,
)


def init_app(app: Flask) -> None:
    """Register the blueprints, then the hooks and middleware of every request. The outermost middleware is last."""
    for blueprint in dict.fromkeys(BLUEPRINTS):  # the modules of reminders/ share a blueprint
        app.register_blueprint(blueprint)
    for module in (
        request_bodies,
        sessions,
        kept_forms,
        filters,
        language,
        labels,
        method_labels,
        logos,
        error_pages,
        compression,
        static_files,
        security_headers,
        request_ids,
    ):
        module.init_app(app)
