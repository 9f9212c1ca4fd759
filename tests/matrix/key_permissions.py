"""The permission that each endpoint of the API asks of an API key."""

from typing import Final

READ: Final = "read"
"""Every key may: also one without a permission."""
NEVER: Final = "never"
"""No key may: it is for a person under the customer's hat, for the plan's customer, or for owners and managers."""
OPEN: Final = "open"
"""For anyone. The Authorization header is ignored."""

PLAN: Final = "/api/plans/<row:plan_id>"
PREFIXES: Final = ("", "/api")


def _rows(needed: str, method: str, *addresses: str) -> dict[str, str]:
    return {f"{method} {address}": needed for address in addresses}


KEYS: Final[dict[str, str]] = {
    **_rows(OPEN, "GET", "/api/docs/", "/swagger/", "/api/openapi.json"),
    **_rows(OPEN, "POST", *(f"{prefix}/auth/register/" for prefix in PREFIXES)),
    **_rows(OPEN, "POST", *(f"{prefix}/token/{act}" for prefix in PREFIXES for act in ("", "refresh/", "revoke/"))),
    **_rows(
        READ,
        "GET",
        *(f"{prefix}/auth/me/" for prefix in PREFIXES),
        "/api/analytics/ageing/",
        "/api/analytics/dashboard/",
        "/api/analytics/merchant/",
        "/api/contacts/",
        "/api/contacts/<row:person_id>/",
        "/api/customers/",
        "/api/customers/<row:customer_id>/",
        "/api/customers/<row:customer_id>/statement/",
        "/api/events/",
        "/api/journal/",
        "/api/merchant/",
        "/api/merchant/reminders/",
        "/api/movements/",
        "/api/payments/",
        "/api/payments/<row:payment_id>/",
        "/api/plan-drafts/",
        "/api/plan-drafts/<row:draft_id>/",
        "/api/plans/",
        f"{PLAN}/",
        f"{PLAN}/dispute/",
        f"{PLAN}/installments/",
        f"{PLAN}/payments/",
        f"{PLAN}/refunds/",
        f"{PLAN}/reschedule/",
        f"{PLAN}/statement/",
        f"{PLAN}/timeline/",
        "/api/plans/analytics/dashboard/",
        "/api/plans/installments/",
        "/api/plans/installments/<row:installment_id>/",
        "/api/refunds/",
        "/api/refunds/<row:refund_id>/",
        "/api/trial-balance/",
    ),
    **_rows(READ, "POST", "/api/plans/preview/"),
    **_rows("record_payment", "POST", f"{PLAN}/payments/"),
    **_rows("remind", "POST", f"{PLAN}/reminders/"),
    **_rows("remind", "PUT", f"{PLAN}/mute/", "/api/customers/<row:customer_id>/mute/"),
    **_rows("remind", "DELETE", f"{PLAN}/mute/", "/api/customers/<row:customer_id>/mute/"),
    **_rows(
        "note",
        "PATCH",
        f"{PLAN}/",
        "/api/payments/<row:payment_id>/",
        "/api/refunds/<row:refund_id>/",
        "/api/customers/<row:customer_id>/",
        "/api/contacts/<row:person_id>/",
    ),
    **_rows("note", "DELETE", "/api/contacts/<row:person_id>/"),
    **_rows("create_plans", "POST", "/api/plans/", "/api/plan-drafts/", f"{PLAN}/customer-email/", f"{PLAN}/delivery/"),
    **_rows("create_plans", "DELETE", "/api/plan-drafts/<row:draft_id>/"),
    **_rows("invite", "GET", f"{PLAN}/invitations/"),
    **_rows("invite", "POST", f"{PLAN}/invitations/", f"{PLAN}/invitations/revoke/"),
    **_rows("credit", "POST", f"{PLAN}/credits/", f"{PLAN}/reschedule/", f"{PLAN}/reschedule/withdraw/"),
    **_rows("write_off", "POST", f"{PLAN}/write-off/"),
    **_rows("cancel", "POST", f"{PLAN}/cancel/", f"{PLAN}/dispute/answer/"),
    **_rows("void", "POST", *(f"/api/payments/<row:payment_id>/{act}/" for act in ("reverse", "void"))),
    **_rows("refund", "POST", f"{PLAN}/refunds/"),
    # The person behind the token
    **_rows(NEVER, "POST", *(f"{prefix}/auth/email/proofs/" for prefix in PREFIXES)),
    **_rows(NEVER, "DELETE", *(f"{prefix}/auth/registration/" for prefix in PREFIXES)),
    **_rows(NEVER, "GET", "/api/profile/"),
    **_rows(NEVER, "PATCH", "/api/profile/"),
    # The plan's customer
    **_rows(
        NEVER,
        "POST",
        f"{PLAN}/accept/",
        f"{PLAN}/dispute/",
        f"{PLAN}/dispute/uphold/",
        f"{PLAN}/pay/",
        f"{PLAN}/reschedule/accept/",
        f"{PLAN}/reschedule/decline/",
        f"{PLAN}/withdraw/",
        "/api/plans/installments/<row:installment_id>/pay/",
    ),
    **_rows(NEVER, "GET", "/api/shops/<row:merchant_id>/due/"),
    **_rows(NEVER, "POST", "/api/shops/<row:merchant_id>/pay/"),
    # The customer's hat
    **_rows(NEVER, "GET", "/api/payment-methods/", "/api/shops/", f"{PLAN}/automatic-payment/"),
    **_rows(NEVER, "POST", "/api/payment-methods/"),
    **_rows(NEVER, "DELETE", "/api/payment-methods/<row:method_id>/", f"{PLAN}/automatic-payment/"),
    **_rows(NEVER, "PUT", f"{PLAN}/automatic-payment/"),
    **_rows(NEVER, "PUT", "/api/shops/<row:merchant_id>/block/"),
    **_rows(NEVER, "DELETE", "/api/shops/<row:merchant_id>/block/"),
    # Owners and managers
    **_rows(NEVER, "PATCH", "/api/merchant/", "/api/merchant/reminders/", "/api/merchant/notices/"),
    **_rows(NEVER, "GET", "/api/team/", "/api/merchant/notices/", "/api/merchant/closing/"),
    **_rows(NEVER, "PUT", "/api/merchant/closing/"),
    **_rows(NEVER, "DELETE", "/api/merchant/closing/"),
    **_rows(NEVER, "POST", "/api/merchant/objections/"),
    **_rows(
        NEVER,
        "GET",
        *(f"/api/webhook-endpoints/{one}" for one in ("", "<endpoint_name>/", "<endpoint_name>/deliveries/")),
    ),
    **_rows(
        NEVER,
        "POST",
        *(
            f"/api/webhook-endpoints/{one}"
            for one in ("", "<endpoint_name>/rotate/", "<endpoint_name>/deliveries/<event_name>/send/")
        ),
    ),
    **_rows(NEVER, "PATCH", "/api/webhook-endpoints/<endpoint_name>/"),
    **_rows(NEVER, "DELETE", "/api/webhook-endpoints/<endpoint_name>/"),
}
"""By route. An endpoint without a row fails the tests."""
