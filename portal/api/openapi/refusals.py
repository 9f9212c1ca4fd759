"""An example of each refusal for the OpenAPI document."""

from datetime import date
from typing import Final

from portal.domain.money import Money
from portal.domain.permissions import EmailUnproven
from portal.domain.public_events import EVENT_TYPES
from portal.errors import Fault, Invalid, Refused, StillRunning
from portal.models.plans.reminders import FIRST_DAY, LAST_DAY, MAX_DAYS

_SAR: Final = Money(3333, "SAR")
REFUSED: Final = {
    refused.code: refused
    for refused in (
        Refused("already_accepted", about="dispute"),
        Refused("already_disputed"),
        Refused("already_claimed"),
        Refused("already_paid", about="installment"),
        Refused("already_sent_today"),
        Refused("muted"),
        Refused("amount_changed", about="payment", limit=_SAR, remaining="33.33"),
        EmailUnproven(),
        Refused("already_proven"),
        Refused("bad_credentials"),
        Refused("bad_token"),
        Invalid(Fault("code", "second_factor_required")),
        Refused("code_limit"),
        Refused("declined", payment_id=9),
        Refused("disputed"),
        Refused("email_fixed", about="paid"),
        Refused("erased"),
        Refused("external_id_used", plan_id=1),
        Refused("insufficient_funds", payment_id=9),
        Refused("not_accepted"),
        Refused("mail_limit", about="proofs", limit=5),
        Refused("not_reversed_by_gateway"),
        Refused("not_voidable"),
        Refused("nothing_due", about="payment"),
        Refused("proposal_closed", about="void"),
        Refused("proposal_open"),
        Refused("merchant_deactivated", about="proposal"),
        Refused("nothing_owed", about="write_off"),
        Refused("nothing_to_refund"),
        Refused("own_plan_of_business"),
        Refused("payment_in_flight", payment_id=9),
        Refused("plan_cancelled", about="payment"),
        Refused("proof_ended"),
        Refused("refund_declined", refund_ids=[4]),
        Refused("refund_in_flight"),
        Refused("refund_limit", about="member", limit=_SAR, allowance="33.33"),
        Refused("shop_reported", about="invitation"),
        StillRunning(),
        Refused("delivery_waiting"),
        Refused("email_changed"),
        Refused("endpoint_disabled"),
        Refused("fresh_sign_in_needed"),
        Refused("merchant_draft", about="webhooks"),
        Refused("too_many_endpoints", limit=10),
        Refused("too_many_methods", limit=10),
        Refused("too_much", about="payment", limit=_SAR, remaining="33.33"),
        Invalid(Fault("customer_email", "blocked")),
        Invalid(Fault("customer_email", "mail_limit", about="business", limit=3)),
        Invalid(Fault("customer_email", "not_a_customer")),
        Invalid(Fault("code", "wrong_code", limit=4)),
        Invalid(Fault("days", "too_early", limit=-FIRST_DAY)),
        Invalid(Fault("days", "too_late", limit=LAST_DAY)),
        Invalid(Fault("days", "too_many", about="days_after", limit=MAX_DAYS)),
        Invalid(Fault("customer_email", "plan_limit", about="known", limit=500)),
        Invalid(Fault("customer_email", "same_email")),
        Invalid(Fault("email", "email_taken")),
        Invalid(Fault("home_currency", "currency_fixed")),
        Invalid(Fault("phone", "bad_phone")),
        Invalid(Fault("password", "password_common")),
        Invalid(Fault("password", "password_weak")),
        Invalid(Fault("password2", "passwords_differ")),
        Invalid(Fault("merchant", "choose_merchant"), merchants=[{"id": 7, "name": "Amal's Bakery"}]),
        Invalid(Fault("merchant", "unknown_merchant")),
        Invalid(Fault("payment_method", "unknown_method")),
        Invalid(Fault("received_on", "date_in_future")),
        Invalid(Fault("time_zone", "owners_zone")),
        Invalid(Fault("time_zone", "zone_before_closing", day=date(2026, 8, 31))),
        Invalid(Fault("total_amount", "total_too_small")),
        Invalid(Fault("url", "bad_url")),
        Invalid(Fault("url", "not_https")),
        Invalid(Fault("url", "refused_address")),
        Invalid(Fault("?types", "unknown_event_type", names=EVENT_TYPES)),
        Invalid(Fault("username", "username_taken")),
    )
}
"""The refusals in the examples, by code. Amounts are decimals, as the API sends them."""
