"""The sentences of refusals."""

from typing import Final

from flask_babel import gettext as _
from flask_babel import ngettext

from portal.wording import decline_reasons
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.lists import listed
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
    ("not_found", "email_change"): _l("This link can't be used any more. The email stays as it is."),
    ("not_found", "email_proof"): _l("This link can't be used any more. Ask for a new mail."),
    ("not_found", "invitation"): _l("This link can't be used any more. Ask the merchant for a new one."),
    ("not_found", "list"): _l("This address does not lead to a list."),
    ("not_found", "password_reset"): _l("This link can't be used any more. Ask for a new one."),
    ("not_found", "team_invitation"): _l("This invitation can't be used any more. Ask for a new one."),
    ("forbidden", ""): _l("Your account can't do this."),
    ("forbidden", "answer_plan"): _l("Only the plan's customer accepts or disputes it."),
    ("forbidden", "change_plan"): _l("Only the plan's merchant does this."),
    ("forbidden", "choose_shops"): _l("Only customers allow and block shops."),
    ("forbidden", "have_payment_methods"): _l("Only customers have payment methods."),
    ("forbidden", "make_plans"): _l("Only merchants make plans."),
    ("forbidden", "pay"): _l("Only the plan's customer pays it."),
    ("forbidden", "withdraw"): _l("Only the plan's customer withdraws from it."),
    ("forbidden", "record_payments"): _l("Only the plan's merchant records payments."),
    ("forbidden", "refund"): _l("Only the plan's merchant refunds."),
    ("forbidden", "see_figures"): _l("Only merchants have these figures."),
    ("own_plan", ""): _l("You owe this plan yourself, so another member of the business has to do this."),
    # Accounts, keys, tokens
    ("account_deactivated", ""): _l(
        "This account is deactivated. If you think that this is wrong, write to the operator of this installation."
    ),
    ("no_passkeys", ""): _l("Passkeys need an address with a name. This site runs at a bare number."),
    ("too_many_passkeys", ""): lambda values: ngettext(
        "An account has at most %(num)s passkey. Remove one first.",
        "An account has at most %(num)s passkeys. Remove one first.",
        values["limit"],
    ),
    ("not_found", "factor_removal"): _l("The removal was stopped already, or it is done."),
    ("no_factor", ""): _l("This account has no second factor."),
    ("removal_waits", ""): _l("The removal was asked for already. It happens 24 hours after that."),
    ("last_factor", ""): _l("This account needs a second factor. Turn another one on before you turn this one off."),
    ("second_factor_needed", ""): _l("This account needs a second factor. Sign in on the website and turn one on."),
    ("fresh_sign_in_needed", ""): _l("This wants a sign-in that is at most 15 minutes old. Sign in again first."),
    ("factor_on", ""): _l("Your account has an authenticator app already. Turn it off first."),
    ("sign_in_ended", ""): _l("This sign-in took too long. Sign in again."),
    ("sign_in_ended", "tries"): _l("Too many wrong codes. Sign in again."),
    ("bad_credentials", ""): _l("The name or the password is not right."),
    ("bad_token", ""): _l("This token can't be used: it is not valid, has expired, or was revoked."),
    ("bad_token", "header"): _l("Send a token that is valid: Authorization: Bearer ..."),
    ("no_token", ""): _l("Sign in first: send an access token or an API key as Authorization: Bearer ..."),
    ("read_only_key", ""): _l("This API key can only read."),
    ("email_unproven", ""): _l(
        "Prove your email first: type the code that was mailed to you, or open the link beside it."
    ),
    ("already_proven", ""): _l("Your email is proven already."),
    ("proof_ended", ""): _l("This code can't be used any more. Ask for a new mail."),
    ("proof_ended", "browser"): _l("This code was asked for in another browser or program. Ask for a new mail here."),
    ("proof_ended", "taken"): _l(
        "This email has an account meanwhile. Sign in to that one, or register with another email."
    ),
    ("proof_ended", "tries"): _l("This was not the code, five times. Ask for a new mail."),
    ("mail_limit", "proofs"): lambda values: ngettext(
        "%(num)s mail went to this address, and that is enough for now. Use the newest, or try again later.",
        "%(num)s mails went to this address, and that is enough for now. Use the newest, or try again later.",
        values["limit"],
    ),
    ("code_limit", ""): _l(
        "Too many wrong codes were typed for this email today. Open the link in the newest mail, or try again tomorrow."
    ),
    ("own_plan_of_business", ""): _l(
        "Your business made a plan for this email, and an owner can't be the customer of their own business."
    ),
    ("email_changed", ""): _l(
        "Your email was changed less than 72 hours ago, and the old address can still undo that. Try again after that."
    ),
    ("already_made", ""): _l("This key was made already, and can't be shown again."),
    ("too_many_keys", ""): lambda values: ngettext(
        "You have %(num)s key. Revoke one that you don't need any more.",
        "You have %(num)s keys. Revoke one that you don't need any more.",
        values["limit"],
    ),
    ("too_many_terms", ""): lambda values: ngettext(
        "You have %(num)s set of usual terms. Remove one that you don't need any more.",
        "You have %(num)s sets of usual terms. Remove one that you don't need any more.",
        values["limit"],
    ),
    # Teams
    ("already_member", ""): _l("You are in this team already."),
    ("last_owner", ""): _l("A business needs an owner. Make another member an owner first."),
    ("mail_limit", "team_invitation"): lambda values: ngettext(
        "This address had %(num)s invitation from you in the last 24 hours. Try tomorrow.",
        "This address had %(num)s invitations from you in the last 24 hours. Try tomorrow.",
        values["limit"],
    ),
    ("mail_limit", "mailbox"): _l("This address had many mails from businesses in the last 24 hours. Try tomorrow."),
    ("owes_the_business", ""): _l(
        "An owner can't be a customer of the same business, and you have an open plan there. Nothing was changed."
    ),
    ("owes_the_business", "member"): _l(
        "An owner can't be a customer of the same business, and this member has an open plan here. Nothing was changed."
    ),
    ("too_many_invitations", ""): lambda values: ngettext(
        "You have %(num)s open invitation. Revoke one that you don't need any more.",
        "You have %(num)s open invitations. Revoke one that you don't need any more.",
        values["limit"],
    ),
    # Businesses, and acts of operators
    ("merchant_draft", ""): _l(
        "This business waits for an operator's approval. Until then its plans are drafts, which are saved on its pages."
    ),
    ("merchant_draft", "team"): _l(
        "This business waits for an operator's approval. Until then nothing is sent in its name, also no invitation."
    ),
    ("merchant_draft", "webhooks"): _l(
        "This business waits for an operator's approval. Until then nothing is sent in its name, also no webhook."
    ),
    ("merchant_live", ""): _l("This business is approved, so it makes plans instead of drafts."),
    ("merchant_deactivated", ""): _l(
        "This business is deactivated. Its members can read everything, ask for refunds, and object."
    ),
    ("merchant_deactivated", "payment"): _l(
        "This business can't take payments at present. Nothing was charged. The plan's page says whom to ask."
    ),
    ("merchant_closing", ""): _l("This business is closing, so it makes no new plans."),
    ("merchant_closed", ""): _l("This business is closed. Its members can read everything."),
    ("already_approved", ""): _l("This business is approved already."),
    ("unproven_owner", ""): _l("Its owner has not proven their email yet. It can be approved after that."),
    ("already_declined", ""): _l("This business was declined already."),
    ("already_deactivated", ""): _l("This is deactivated already."),
    ("not_deactivated", ""): _l("This is not deactivated."),
    ("own_account", ""): _l("You can't deactivate your own account. Another operator has to do it."),
    ("own_business", ""): _l("You belong to this business, so another operator has to do this."),
    ("last_operator", ""): _l("This is the last operator. Make another one first."),
    ("not_waiting", ""): _l("This refund does not wait for a release any more."),
    ("too_many_objections", ""): _l("You have objected several times today. An operator will answer you."),
    ("already_closing", ""): _l("This business is closing already."),
    ("not_closing", ""): _l("This business is not closing."),
    ("figures_changed", ""): _l("The figures have changed. Look at them again, then decide. Nothing was changed."),
    ("already_set_up", ""): _l("This installation has an operator already. Nothing was changed."),
    ("unknown_account", ""): _l("There is no account with this username or email."),
    # Leaving
    ("erasure_deferred", "email_changed"): _l(
        "The email of this account was changed less than 72 hours ago, and the old address may still undo it."
    ),
    ("erasure_deferred", "in_flight"): _l("A payment or a refund is being checked with the bank."),
    ("erasure_deferred", "last_owner"): lambda values: str(
        _(
            "You are the only owner of %(merchants)s. Make another member an owner, or close the business first.",
            merchants=listed(values["merchants"]),
        )
    ),
    ("erasure_deferred", "open_plans"): lambda values: ngettext(
        "You have %(num)s open plan. It has to be paid or cancelled first.",
        "You have %(num)s open plans. They have to be paid or cancelled first.",
        values["limit"],
    ),
    ("erasure_deferred", "operator"): _l("This account looks after the installation. Another operator deactivates it."),
    # Webhooks
    ("too_many_endpoints", ""): lambda values: ngettext(
        "You have %(num)s endpoint. Delete one that you don't need any more.",
        "You have %(num)s endpoints. Delete one that you don't need any more.",
        values["limit"],
    ),
    ("endpoint_disabled", ""): _l("This endpoint is off. Turn it on first. Nothing was changed."),
    ("delivery_waiting", ""): _l("This event waits to be sent to the endpoint already."),
    # Plans and invitations
    ("too_many_drafts", ""): lambda values: ngettext(
        "You have %(num)s draft. Delete one that you don't need any more.",
        "You have %(num)s drafts. Delete one that you don't need any more.",
        values["limit"],
    ),
    ("import_carried_out", ""): _l("This file was imported already."),
    ("import_changed", ""): _l("Other columns were chosen meanwhile. Look at the figures again. Nothing was imported."),
    ("import_faulty", ""): lambda values: ngettext(
        "There is %(num)s problem in this file now. Nothing was imported.",
        "There are %(num)s problems in this file now. Nothing was imported.",
        values["limit"],
    ),
    ("import_not_carried_out", ""): _l("This file was not imported yet. Nothing was sent."),
    ("currency_changed", ""): _l("Your currency has changed since this draft was saved."),
    ("external_id_used", ""): _l("This external_id already names another plan."),
    ("external_id_used", "draft"): _l("This external_id already names another draft."),
    ("external_id_used", "payment"): _l("This external_id already names another payment."),
    ("external_id_used", "refund"): _l("This external_id already names another refund."),
    ("not_accepted", ""): _l("The customer has not accepted this plan yet. Nothing was changed."),
    ("already_accepted", "dispute"): _l("This plan was accepted before, so it can’t be disputed any more."),
    ("already_disputed", ""): _l("You can dispute a plan once, and you disputed this one."),
    ("disputed", ""): _l(
        "The customer says that this plan is not theirs. Cancel it, correct its email, or answer them first."
    ),
    ("not_disputed", ""): _l("Nobody disputes this plan now. Nothing was changed."),
    ("already_answered", ""): _l("This dispute was answered before. Nothing was changed."),
    ("not_answered", ""): _l("The business has not answered yet. We write to you when it does."),
    ("too_early", "dispute"): _l("This dispute can’t be decided yet: the other side still has time to answer."),
    ("no_withdrawal", ""): _l("The time to withdraw from this plan is over. Nothing was changed."),
    ("nothing_owed", "acceptance"): _l("This plan is closed, so there is nothing to accept."),
    ("nothing_owed", "dispute"): _l("This plan is closed, and nothing of it is owed."),
    ("erased", ""): _l("This customer’s data was erased, so nothing can be sent to them."),
    ("already_claimed", ""): _l("This customer has an account already and can sign in."),
    ("email_fixed", "closed"): _l("This plan is closed, so its email stays as it is. Nothing was changed."),
    ("email_fixed", "accepted"): _l(
        "The customer turned on automatic payment for this plan, so its email stays as it is. Nothing was changed."
    ),
    ("email_fixed", "agreed"): _l("The customer accepted this plan, so its email stays as it is. Nothing was changed."),
    ("email_fixed", "changed"): _l(
        "A part of this plan was credited or written off, so its email stays as it is. You can cancel the plan and "
        "make a new one. Nothing was changed."
    ),
    ("email_fixed", "paid"): _l(
        "The customer paid on this plan or tried to, so its email stays as it is. You can cancel the plan and make a "
        "new one. Nothing was changed."
    ),
    ("email_fixed", "booked"): _l(
        "This plan is in books that are closed, so its email stays as it is. You can cancel the plan and make a new "
        "one. Nothing was changed."
    ),
    ("shop_reported", "invitation"): _l(
        "This mailbox answered that it does not know you, so it gets no more mails. Correct the email, if it is wrong."
    ),
    ("shop_reported", "reminder"): _l(
        "This mailbox answered that it does not know you. No reminder was sent. Correct the email, if it is wrong."
    ),
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
    ("proposal_open", ""): _l(
        "Your customer was asked for other days already, and has not answered. Take that back first. Nothing was "
        "changed."
    ),
    ("proposal_closed", "accepted"): _l("These days were agreed on already. Nothing was changed this time."),
    ("proposal_closed", "declined"): _l("These days were declined before. Nothing was changed."),
    ("proposal_closed", "withdrawn"): _l("The shop took these days back. Nothing was changed."),
    ("proposal_closed", "lapsed"): _l("The time to answer is over. Nothing was changed."),
    ("proposal_closed", "void"): _l(
        "The plan changed meanwhile, so these days don't fit any more. Nothing was changed."
    ),
    ("merchant_deactivated", "proposal"): _l(
        "This shop is stopped, so its plans can't be changed. Nothing was changed."
    ),
    ("nothing_owed", "reschedule"): _l("Nothing is owed any more. Nothing was changed."),
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
    ("refund_in_flight", "plan"): _l("A refund on this plan is still on its way. Nothing was changed."),
    ("refund_in_flight", ""): _l("A refund of this payment is still on its way. Nothing was changed."),
    ("refund_declined", ""): _l("The bank declined this refund. Nothing went back."),
    ("declined", ""): lambda _values: decline_reasons.of_payment(None),
    ("insufficient_funds", ""): lambda _values: _(
        "%(reason)s Nothing was charged.", reason=decline_reasons.of_payment("insufficient_funds")
    ),
    ("too_much", "credit"): _l("That is more than is owed, which is %(limit)s. Nothing was credited."),
    ("too_much", "manual_payment"): _l("That is more than is owed, which is %(limit)s. Nothing was recorded."),
    ("too_much", "payment"): _l("That is more than is owed, which is %(limit)s. Nothing was charged."),
    ("refund_limit", "key"): _l("This API key may refund %(limit)s more today. Nothing was refunded."),
    ("refund_limit", "member"): _l("You may refund %(limit)s more today. Nothing was refunded."),
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
    ("mail_limit", "business"): lambda values: ngettext(
        "This customer got %(num)s mail from you within a day, which is the most. Try tomorrow. No reminder was sent.",
        "This customer got %(num)s mails from you within a day, which is the most. Try tomorrow. No reminder was sent.",
        values["limit"],
    ),
    ("mail_limit", "all"): _l(
        "This customer got many mails from businesses within a day. Try tomorrow. No reminder was sent."
    ),
    ("muted", ""): _l("Reminders are muted here. Turn them on again first. No reminder was sent."),
    # Operations
    ("bad_signature", ""): _l("This callback is not signed by the gateway."),
    ("not_dead", ""): _l("This mail was not given up, so there is nothing to try again."),
    ("not_simulated", ""): _l("Demo data needs the simulated payment gateway."),
    ("not_failed", ""): _l("This job is not on the list of failed jobs any more."),
    ("valkey_away", ""): _l("Valkey does not answer. Nothing was changed."),
}
"""By `Refused.code` and `Refused.about`. `limit` is the refusal's figure."""
