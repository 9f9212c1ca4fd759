"""The sentences of refusals."""

from typing import Final

from flask_babel import gettext as _
from flask_babel import ngettext

from portal.wording import labels
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.refusals.sentences import Table

REFUSALS: Final[Table] = {
    # Any request
    ("unreadable", ""): _l("The request can't be read."),
    ("unreadable", "json"): _l("The body is not JSON that can be read."),
    ("unreadable", "value"): _l("Something that was sent can't be stored."),
    ("unreadable", "callback"): _l("This is not an event of the gateway."),
    ("not_json", ""): _l("Send JSON, with the content type application/json."),
    ("too_large", ""): _l("What was sent is too large."),
    ("method_not_allowed", ""): _l("This address doesn't take this method."),
    ("too_many_requests", ""): _l("Too many requests. Wait, then try again."),
    ("internal_error", ""): _l(
        "Something broke on our side. It has been written down under this answer's X-Request-Id."
    ),
    ("invalid", ""): _l("Several things have to be corrected."),
    ("busy", ""): _l("The system is busy. Nothing was changed. Please try again."),
    ("busy", "gateway_silent"): _l("The payment gateway does not answer. Nothing was changed. Please try again."),
    ("busy", "signing_in"): _l("Too many people are signing in at the same moment. Please try again."),
    ("outcome_unknown", ""): _l(
        "The answer was lost, so it is not certain whether this went through. Nothing happens twice: look again."
    ),
    ("still_running", ""): _l("The same request is still being carried out. Ask again in a moment."),
    ("idempotency_key_reused", ""): _l("This key was already used for another request."),
    ("answer_gone", ""): _l("This was carried out before, and its answer can't be shown again."),
    ("not_found", ""): _l("There is nothing here that you can see."),
    ("not_found", "account"): _l("This account is not there any more."),
    ("not_found", "claimed_account"): _l("This account was claimed already. Sign in instead."),
    ("not_found", "invitation"): _l("This link can't be used any more. Ask the merchant for a new one."),
    ("not_found", "list"): _l("This address does not lead to a list."),
    ("not_found", "password_reset"): _l("This link can't be used any more. Ask for a new one."),
    ("forbidden", ""): _l("Your account can't do this."),
    ("forbidden", "change_plan"): _l("Only the plan's merchant does this."),
    ("forbidden", "have_payment_methods"): _l("Only customers have payment methods."),
    ("forbidden", "make_plans"): _l("Only merchants make plans."),
    ("forbidden", "pay"): _l("Only the plan's customer pays it."),
    ("forbidden", "record_payments"): _l("Only the plan's merchant records payments."),
    ("forbidden", "refund"): _l("Only the plan's merchant refunds."),
    ("forbidden", "see_figures"): _l("Only merchants have these figures."),
    ("own_plan", ""): _l("You owe this plan yourself, so another member of the business has to do this."),
    # Accounts, keys, tokens
    ("bad_credentials", ""): _l("The name or the password is not right."),
    ("bad_token", ""): _l("This token can't be used: it is not valid, has expired, or was revoked."),
    ("bad_token", "header"): _l("Send a token that is valid: Authorization: Bearer ..."),
    ("no_token", ""): _l("Sign in first: send an access token or an API key as Authorization: Bearer ..."),
    ("read_only_key", ""): _l("This API key can only read."),
    ("already_made", ""): _l("This key was made already, and can't be shown again."),
    ("too_many_keys", ""): lambda values: ngettext(
        "You have %(num)s key. Revoke one that you don't need any more.",
        "You have %(num)s keys. Revoke one that you don't need any more.",
        values["limit"],
    ),
    # Plans and invitations
    ("external_id_used", ""): _l("This external_id already names another plan."),
    ("already_claimed", ""): _l("This customer has an account already and can sign in."),
    ("plan_cancelled", "cancellation"): _l("This plan was cancelled before. Nothing was changed."),
    ("plan_cancelled", "payment"): _l("This plan was cancelled. Nothing was charged."),
    # Payments, refunds, and changes of a plan's money
    ("already_paid", "installment"): _l("This installment is already paid. Nothing was charged."),
    ("already_paid", "plan"): _l("This plan is already paid. Nothing was charged."),
    ("amount_changed", ""): _l("The figures have changed: it is %(limit)s now. Nothing was changed."),
    ("amount_changed", "payment"): _l("What is owed has changed: it is %(limit)s now. Nothing was charged."),
    ("nothing_due", "automatic_payment"): _l("Nothing is owed on this plan any more."),
    ("nothing_due", "collection"): _l("Nothing is to be collected now."),
    ("nothing_due", "payment"): _l("Nothing is due today. Nothing was charged."),
    ("nothing_due", "reminder"): _l("Nothing is owed on this plan any more. No reminder was sent."),
    ("nothing_owed", "cancellation"): _l("Nothing is owed any more, so there is nothing to cancel."),
    ("nothing_owed", "credit"): _l("Nothing is owed any more. Nothing was credited."),
    ("nothing_owed", "manual_payment"): _l("Nothing is owed any more. Nothing was recorded."),
    ("nothing_owed", "write_off"): _l("Nothing is owed any more. Nothing was written off."),
    ("nothing_to_refund", ""): _l("There is nothing that could be refunded."),
    ("not_reversed_by_gateway", ""): _l("The bank has not taken this payment back. Nothing was changed."),
    ("not_reversed_by_gateway", "recorded"): _l(
        "Cash and transfers are not at the bank. Void what was recorded by mistake. Nothing was changed."
    ),
    ("not_voidable", ""): _l("Nothing of this payment is left that could be voided."),
    ("not_voidable", "gateway_payment"): _l("Only cash and transfers can be voided. Nothing was changed."),
    ("payment_in_flight", ""): _l("A payment of this plan is still being checked with the bank. Nothing was changed."),
    ("payment_in_flight", "payment"): _l(
        "Another payment of this plan is still being checked with the bank. Nothing more was charged."
    ),
    ("payment_in_flight", "reminder"): _l("A payment is being checked with the bank. No reminder was sent."),
    ("refund_in_flight", ""): _l("A refund of this payment is still on its way. Nothing was changed."),
    ("refund_declined", ""): _l("The bank declined this refund. Nothing went back."),
    ("declined", ""): lambda _values: labels.decline_reason(None),
    ("insufficient_funds", ""): lambda _values: _(
        "%(reason)s Nothing was charged.", reason=labels.decline_reason("insufficient_funds")
    ),
    ("too_much", "credit"): _l("That is more than is owed, which is %(limit)s. Nothing was credited."),
    ("too_much", "manual_payment"): _l("That is more than is owed, which is %(limit)s. Nothing was recorded."),
    ("too_much", "payment"): _l("That is more than is owed, which is %(limit)s. Nothing was charged."),
    ("too_much", "refund"): _l("That is more than may be refunded, which is %(limit)s. Nothing was refunded."),
    ("too_many_methods", ""): lambda values: ngettext(
        "You can keep %(num)s payment method. Remove it first.",
        "You can keep %(num)s payment methods. Remove one first.",
        values["limit"],
    ),
    ("unknown_method", "automatic_payment"): _l("Choose one of your saved payment methods."),
    ("unknown_method", "payment"): _l("This payment method is not known. Nothing was charged."),
    # Reminders
    ("already_sent_today", ""): _l("This customer has a reminder from you today already. Try tomorrow."),
    ("muted", ""): _l("Reminders are muted here. Turn them on again first. No reminder was sent."),
    # Operations
    ("bad_signature", ""): _l("This callback is not signed by the gateway."),
    ("not_dead", ""): _l("This mail was not given up, so there is nothing to try again."),
    ("not_simulated", ""): _l("Demo data needs the simulated payment gateway."),
    ("not_failed", ""): _l("This job is not on the list of failed jobs any more."),
    ("valkey_away", ""): _l("Valkey does not answer. Nothing was changed."),
}
"""By `Refused.code` and `Refused.about`. `limit` is the refusal's figure."""
