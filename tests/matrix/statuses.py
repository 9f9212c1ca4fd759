"""The status of each route for each caller: customers, merchants, an operator, API keys and nobody.

team_statuses.py has those of the roles in a team, unproven_statuses.py those of an account that is not proven.
"""

from portal.domain import clock
from tests.matrix import DESCRIBED, agreement_statuses, document_statuses
from tests.web.imports import matrix_rows as import_rows
from tests.web.team import matrix_rows

CALLERS = ("anonymous", "customer", "other customer", "merchant", "other merchant", "operator", "key", "other key")

# The status for each of CALLERS. The API keys are read-only. Pages ignore API keys, so their callers are anonymous.
ANYONE = (200, 200, 200, 200, 200, 200, 200, 200)
SIGNED_IN = (401, 200, 200, 200, 200, 200, 200, 200)
PARTIES = (401, 200, 404, 200, 404, 404, 200, 404)
MERCHANTS = (401, 403, 403, 200, 200, 403, 200, 200)
CUSTOMERS = (401, 200, 200, 403, 403, 403, 403, 403)
SETTINGS = (401, 403, 403, 200, 200, 403, 403, 403)
PLANS_MERCHANT = (401, 403, 403, 200, 404, 403, 403, 403)
PROVEN = (401, 409, 409, 409, 409, 409, 403, 403)
PROOFS = (401, 422, 422, 422, 422, 422, 422, 422)
NO_REGISTRATION = (401, 404, 404, 404, 404, 404, 403, 403)
PLANS_MERCHANT_DONE = (401, 403, 403, 204, 404, 403, 403, 403)
PLANS_MERCHANT_CREATED = (401, 403, 403, 201, 404, 403, 403, 403)

API = {
    "POST /auth/register/": (422,) * 8,
    "POST /api/auth/register/": (422,) * 8,
    "POST /token/": (422,) * 8,
    "POST /api/token/": (422,) * 8,
    "POST /token/refresh/": (422,) * 8,
    "POST /api/token/refresh/": (422,) * 8,
    "POST /token/revoke/": (422,) * 8,
    "POST /api/token/revoke/": (422,) * 8,
    "GET /auth/me/": SIGNED_IN,
    "GET /api/auth/me/": SIGNED_IN,
    "POST /auth/email/proofs/": PROVEN,
    "POST /api/auth/email/proofs/": PROVEN,
    "POST /auth/email/prove/": PROOFS,
    "POST /api/auth/email/prove/": PROOFS,
    "POST /auth/email/correct/": PROOFS,
    "POST /api/auth/email/correct/": PROOFS,
    "DELETE /auth/registration/": NO_REGISTRATION,
    "DELETE /api/auth/registration/": NO_REGISTRATION,
    "POST /api/plans/": (401, 403, 403, 422, 422, 403, 403, 403),
    "POST /api/plans/preview/": (401, 403, 403, 422, 422, 403, 422, 422),
    "GET /api/plans/": SIGNED_IN,
    "GET /api/plans/<row:plan_id>/": PARTIES,
    **{f"GET /api/plans/<row:plan_id>/{one}/": PARTIES for one in ("installments", "payments")},
    "GET /api/plans/installments/": SIGNED_IN,
    "GET /api/plans/installments/<row:installment_id>/": PARTIES,
    "POST /api/plans/installments/<row:installment_id>/pay/": (401, 200, 404, 403, 404, 404, 403, 403),
    "POST /api/plans/<row:plan_id>/accept/": (401, 200, 404, 403, 404, 404, 403, 403),
    "POST /api/plans/<row:plan_id>/dispute/": (401, 200, 404, 403, 404, 404, 403, 403),
    "GET /api/payments/": SIGNED_IN,
    "GET /api/payments/<row:payment_id>/": PARTIES,
    "POST /api/plans/<row:plan_id>/pay/": (401, 200, 404, 403, 404, 404, 403, 403),
    "POST /api/plans/<row:plan_id>/payments/": PLANS_MERCHANT_CREATED,
    "POST /api/plans/<row:plan_id>/refunds/": PLANS_MERCHANT_CREATED,
    "POST /api/plans/<row:plan_id>/credits/": PLANS_MERCHANT,
    "POST /api/plans/<row:plan_id>/reschedule/": PLANS_MERCHANT,
    **document_statuses.API | agreement_statuses.API,
    "POST /api/plans/<row:plan_id>/cancel/": PLANS_MERCHANT,
    "POST /api/plans/<row:plan_id>/write-off/": PLANS_MERCHANT,
    "POST /api/payments/<row:payment_id>/reverse/": (401, 403, 403, 409, 404, 403, 403, 403),  # no bounce
    "POST /api/payments/<row:payment_id>/void/": PLANS_MERCHANT,
    "GET /api/plans/<row:plan_id>/refunds/": PARTIES,
    "GET /api/plans/<row:plan_id>/invitations/": (401, 403, 403, 200, 404, 403, 403, 403),
    "POST /api/plans/<row:plan_id>/invitations/": (401, 403, 403, 409, 404, 403, 403, 403),
    "POST /api/plans/<row:plan_id>/invitations/revoke/": PLANS_MERCHANT,
    "POST /api/plans/<row:plan_id>/customer-email/": (401, 403, 403, 409, 404, 403, 403, 403),
    "GET /api/refunds/": SIGNED_IN,
    "GET /api/journal/": MERCHANTS,
    "GET /api/refunds/<row:refund_id>/": PARTIES,
    "GET /api/payment-methods/": CUSTOMERS,
    "POST /api/payment-methods/": (401, 201, 201, 403, 403, 403, 403, 403),
    "DELETE /api/payment-methods/<row:method_id>/": (401, 204, 404, 403, 403, 403, 403, 403),
    "GET /api/analytics/dashboard/": MERCHANTS,
    "GET /api/plans/analytics/dashboard/": MERCHANTS,
    "GET /api/analytics/merchant/": MERCHANTS,
    "GET /api/analytics/ageing/": MERCHANTS,
    "GET /api/events/": MERCHANTS,
    "GET /api/webhook-endpoints/": (401, 403, 403, 200, 200, 403, 403, 403),
    "POST /api/webhook-endpoints/": (401, 403, 403, 422, 422, 403, 403, 403),
    "GET /api/webhook-endpoints/<endpoint_name>/": PLANS_MERCHANT,
    "PATCH /api/webhook-endpoints/<endpoint_name>/": PLANS_MERCHANT,
    "DELETE /api/webhook-endpoints/<endpoint_name>/": (401, 403, 403, 204, 404, 403, 403, 403),
    "POST /api/webhook-endpoints/<endpoint_name>/rotate/": PLANS_MERCHANT,
    "GET /api/webhook-endpoints/<endpoint_name>/deliveries/": PLANS_MERCHANT,
    "POST /api/webhook-endpoints/<endpoint_name>/deliveries/<event_name>/send/": (
        *(401, 403, 403, 404, 404, 403, 403, 403),  # an event that the endpoint never got
    ),
    "GET /api/merchant/": MERCHANTS,
    **{f"PATCH /api/merchant/{part}": SETTINGS for part in ("", "reminders/")},
    "GET /api/customers/": MERCHANTS,
    "GET /api/customers/<row:customer_id>/": (401, 403, 403, 200, 404, 403, 200, 404),
    "PATCH /api/customers/<row:customer_id>/": (401, 403, 403, 200, 404, 403, 403, 403),
    "POST /api/plans/<row:plan_id>/reminders/": (401, 403, 403, 409, 404, 403, 403, 403),  # mailed often enough
    **dict.fromkeys((f"{act} /api/plans/<row:plan_id>/mute/" for act in ("PUT", "DELETE")), PLANS_MERCHANT_DONE),
    "PUT /api/customers/<row:customer_id>/mute/": PLANS_MERCHANT_DONE,
    "DELETE /api/customers/<row:customer_id>/mute/": PLANS_MERCHANT_DONE,
    "GET /api/plans/<row:plan_id>/timeline/": PARTIES,
    "GET /api/plans/<row:plan_id>/automatic-payment/": (401, 200, 404, 403, 403, 403, 403, 403),
    "PUT /api/plans/<row:plan_id>/automatic-payment/": (401, 409, 404, 403, 403, 403, 403, 403),  # it is cancelled
    "DELETE /api/plans/<row:plan_id>/automatic-payment/": (401, 204, 404, 403, 403, 403, 403, 403),
    "GET /api/merchant/reminders/": MERCHANTS,
    "GET /api/team/": SETTINGS,
    **{f"{act} /api/merchant/notices/": SETTINGS for act in ("GET", "PATCH")},
    **dict.fromkeys(("GET /api/docs/", "GET /swagger/", "GET /api/openapi.json"), ANYONE),
    **dict.fromkeys(DESCRIBED, PLANS_MERCHANT),
}

TODAY = clock.today("Asia/Riyadh").isoformat()

# Bodies of requests to the API. They change plans that no other row uses.
REASON = {"reason": "Returned"}
BODIES: dict[str, dict[str, object]] = {
    "POST /api/plans/<row:plan_id>/pay/": {"choice": "amount", "amount": "3"},
    "POST /api/plans/<row:plan_id>/dispute/": {},
    **agreement_statuses.BODIES,
    "POST /api/plans/<row:plan_id>/payments/": {"amount": "2", "method": "cash", "received_on": TODAY},
    "POST /api/plans/<row:plan_id>/refunds/": {"amount": "1", **REASON},
    "POST /api/plans/<row:plan_id>/credits/": {"amount": "1", **REASON},
    **{route: {"proposal": 999_999} for route in set(document_statuses.API) - {document_statuses.READ}},
    "POST /api/plans/<row:plan_id>/reschedule/": {"how": "shift", "days": "1", **REASON},
    "POST /api/plans/<row:plan_id>/cancel/": REASON,
    "POST /api/plans/<row:plan_id>/write-off/": REASON,
    "POST /api/payments/<row:payment_id>/reverse/": {},
    "POST /api/payments/<row:payment_id>/void/": REASON,
    "PUT /api/plans/<row:plan_id>/automatic-payment/": {"payment_method": "unknown"},
    "POST /api/payment-methods/": {"card": "card_ok"},
    "POST /api/plans/<row:plan_id>/invitations/": {"kind": "pay"},
    "POST /api/plans/<row:plan_id>/invitations/revoke/": {"kind": "customer"},
    "POST /api/plans/<row:plan_id>/customer-email/": {"customer_email": "layla@example.com"},
    **{row: {"metadata": {"branch": "Olaya"}} for row in DESCRIBED},
}

# Pages redirect anonymous callers to the sign-in page (303). A form redirects (303) or is invalid (422).
PAGE = (303, 200, 200, 200, 200, 200, 303, 303)
MERCHANTS_PAGE = (303, 403, 403, 200, 200, 403, 303, 303)
OPERATORS_PAGE = (303, 403, 403, 403, 403, 200, 303, 303)
OPERATORS_PAGE_GONE = (303, 403, 403, 403, 403, 404, 303, 303)
MERCHANTS_FORM = (303, 403, 403, 422, 422, 403, 303, 303)
OWN_MERCHANTS_BUTTON = (303, 403, 403, 303, 404, 403, 303, 303)
REDIRECT_FOR_PARTIES = (303, 303, 404, 303, 404, 404, 303, 303)
OWED_BUTTON = (303, 303, 404, 403, 404, 404, 303, 303)
SIGNED_OUT = (200, 303, 303, 303, 303, 303, 200, 200)

PAGES = {
    "GET /": ANYONE,
    "GET /example": ANYONE,
    "GET /healthz": ANYONE,
    "GET /readyz": ANYONE,
    "GET /register": SIGNED_OUT,
    "POST /register": (422,) * 8,
    "GET /login": SIGNED_OUT,
    "POST /login": (422,) * 8,
    "POST /theme": (303,) * 8,
    "POST /language": (303,) * 8,
    "GET /robots.txt": (200,) * 8,
    "GET /favicon.ico": (302,) * 8,
    "GET /apple-touch-icon.png": (302,) * 8,
    "GET /account": PAGE,
    "POST /account": (303, 422, 422, 422, 422, 422, 303, 303),  # without a language
    "GET /account/calendar": (303, 200, 200, 403, 403, 403, 303, 303),
    "POST /account/calendar": (303, 200, 200, 403, 403, 403, 303, 303),
    "POST /account/calendar/end": (303, 303, 303, 403, 403, 403, 303, 303),
    "GET /calendar/<feed_token>": (404,) * 8,
    "GET /plans/<int:plan_id>/calendar.ics": (303, 200, 404, 403, 404, 404, 303, 303),
    "GET /account/password": PAGE,
    "POST /account/password": (303, 422, 422, 422, 422, 422, 303, 303),
    "GET /account/email": PAGE,
    "POST /account/email": (303, 422, 422, 422, 422, 422, 303, 303),
    "GET /account/email/proof": (303,) * 8,  # nothing is to be proven
    "POST /account/email/proof": (303, 422, 422, 422, 422, 422, 303, 303),
    "POST /account/email/proofs": (303, 409, 409, 409, 409, 409, 303, 303),
    "POST /account/registration": (303, 422, 422, 422, 422, 422, 303, 303),
    "POST /account/registration/leave": (303, 404, 404, 404, 404, 404, 303, 303),
    "GET /email-proofs/<proof_token>": ANYONE,
    "POST /email-proofs/<proof_token>": (422,) * 8,
    "GET /email-undos/<undo_token>": ANYONE,
    "POST /email-undos/<undo_token>": (422,) * 8,
    "GET /dashboard": MERCHANTS_PAGE,
    "GET /home": (303, 200, 200, 403, 403, 403, 303, 303),
    "GET /operator": OPERATORS_PAGE,
    "GET /operator/checks": OPERATORS_PAGE,
    "POST /operator/jobs/<job_id>/retry": (303, 403, 403, 403, 403, 303, 303, 303),
    "POST /operator/jobs/<job_id>/clear": (303, 403, 403, 403, 403, 303, 303, 303),
    "POST /operator/jobs/clear": (303, 403, 403, 403, 403, 303, 303, 303),
    "GET /operator/merchants": OPERATORS_PAGE,
    "GET /operator/accounts": OPERATORS_PAGE,
    "GET /operator/refunds": OPERATORS_PAGE,
    "GET /operator/merchants/<int:merchant_id>": OPERATORS_PAGE,
    "GET /operator/accounts/<int:user_id>": OPERATORS_PAGE,
    "POST /operator/merchants/<int:merchant_id>/approve": (303, 403, 403, 403, 403, 303, 303, 303),
    **{
        f"{method} /operator/{decision}": (303, 403, 403, 403, 403, status, 303, 303)
        for method, status in (("GET", 200), ("POST", 422))
        for decision in (
            "merchants/<int:merchant_id>/decline",
            "merchants/<int:merchant_id>/deactivate",
            "merchants/<int:merchant_id>/reactivate",
            "accounts/<int:user_id>/deactivate",
            "accounts/<int:user_id>/reactivate",
        )
    },
    "POST /operator/refunds/<int:refund_id>/release": OPERATORS_PAGE_GONE,  # of a refund that does not wait
    "GET /operator/refunds/<int:refund_id>/withhold": OPERATORS_PAGE_GONE,
    "POST /operator/refunds/<int:refund_id>/withhold": OPERATORS_PAGE_GONE,
    "GET /outbox": OPERATORS_PAGE,  # tests/web/operations/test_emails.py has the browsers of this machine
    "GET /outbox/open/<outbox_token>": (404,) * 8,
    "GET /outbox/<int:outbox_id>": OPERATORS_PAGE,
    "GET /outbox/<int:outbox_id>/html": OPERATORS_PAGE,
    "POST /outbox/<int:outbox_id>/resend": (303, 403, 403, 403, 403, 303, 303, 303),
    "GET /password-resets/new": ANYONE,
    "POST /password-resets": (422,) * 8,
    "GET /password-resets/sent": ANYONE,
    "GET /password-resets/<reset_token>": ANYONE,
    "POST /password-resets/<reset_token>": (422,) * 8,
    "GET /settings": MERCHANTS_PAGE,
    "POST /settings": MERCHANTS_FORM,
    "GET /settings/closing": MERCHANTS_PAGE,
    "POST /settings/closing": MERCHANTS_FORM,
    "POST /settings/closing/stop": (303, 403, 403, 409, 409, 403, 303, 303),
    "GET /settings/objection": MERCHANTS_PAGE,
    "POST /settings/objection": MERCHANTS_FORM,
    "GET /plans/drafts": MERCHANTS_PAGE,
    "POST /plans/drafts/<int:draft_id>/discard": (303, 403, 403, 404, 404, 403, 303, 303),
    "GET /plans": PAGE,
    "POST /plans": MERCHANTS_FORM,
    "GET /plans.csv": MERCHANTS_PAGE,
    "GET /plans/<int:plan_id>/statement": (303, 200, 404, 200, 404, 404, 303, 303),
    "GET /plans/<int:plan_id>/statement.pdf": (303, 200, 404, 200, 404, 404, 303, 303),
    "GET /customers": MERCHANTS_PAGE,
    "GET /customers.csv": MERCHANTS_PAGE,
    "GET /customers/<int:customer_id>": (303, 403, 403, 200, 404, 403, 303, 303),
    "GET /dashboard/version": MERCHANTS_PAGE,
    "GET /plans/<int:plan_id>/version": (303, 200, 404, 200, 404, 404, 303, 303),
    "GET /search": MERCHANTS_PAGE,
    "GET /customers/<int:customer_id>/edit": (303, 403, 403, 200, 404, 403, 303, 303),
    "POST /customers/<int:customer_id>": OWN_MERCHANTS_BUTTON,
    "GET /customers/<int:customer_id>/statement": (303, 403, 403, 200, 404, 403, 303, 303),
    "GET /customers/<int:customer_id>/statement.pdf": (303, 403, 403, 200, 404, 403, 303, 303),
    "GET /payments": PAGE,
    "GET /payments.csv": MERCHANTS_PAGE,
    "GET /installments.csv": MERCHANTS_PAGE,
    "GET /journal": MERCHANTS_PAGE,
    **dict.fromkeys(("GET /movements", "GET /movements.csv"), MERCHANTS_PAGE),
    "GET /refunds": MERCHANTS_PAGE,
    "GET /refunds.csv": MERCHANTS_PAGE,
    "GET /trial-balance": MERCHANTS_PAGE,
    "GET /journal.hledger": MERCHANTS_PAGE,
    "GET /journal.beancount": MERCHANTS_PAGE,
    "GET /settings/books": MERCHANTS_PAGE,
    "POST /settings/books": MERCHANTS_FORM,
    "GET /settings/books/accounts/<account>": MERCHANTS_PAGE,
    "POST /settings/books/accounts/<account>": MERCHANTS_FORM,
    "GET /journal.csv": MERCHANTS_PAGE,
    "GET /plans/new": MERCHANTS_PAGE,
    "POST /plans/preview": MERCHANTS_PAGE,
    "GET /plans/customers": (303, 403, 403, 303, 303, 403, 303, 303),
    "GET /plans/preview": (303, 403, 403, 303, 303, 403, 303, 303),
    "GET /plans/<int:plan_id>": (303, 200, 404, 200, 404, 404, 303, 303),
    "POST /plans/<int:plan_id>/invitation": OWN_MERCHANTS_BUTTON,
    "POST /plans/<int:plan_id>/invitation/revoke": OWN_MERCHANTS_BUTTON,
    "POST /plans/<int:plan_id>/invitation/mail": OWN_MERCHANTS_BUTTON,
    "POST /plans/<int:plan_id>/invitation/mail/revoke": OWN_MERCHANTS_BUTTON,
    "GET /plans/<int:plan_id>/customer-email": OWN_MERCHANTS_BUTTON,  # a payment was made, so back to the plan
    "POST /plans/<int:plan_id>/customer-email": (303, 403, 403, 422, 404, 403, 303, 303),
    "GET /invitations/<token>/unknown-shop": ANYONE,
    "POST /invitations/<token>/unknown-shop": (303,) * 8,
    "POST /operator/shop-reports/<int:report_id>/clear": (303, 403, 403, 403, 403, 303, 303, 303),
    "GET /invitations/<token>": ANYONE,
    "POST /invitations/<token>": (422,) * 8,
    "GET /installments": PAGE,
    "GET /installments/<int:installment_id>": REDIRECT_FOR_PARTIES,
    "GET /installments/<int:installment_id>/payments": REDIRECT_FOR_PARTIES,
    "POST /installments/<int:installment_id>/payments": (303, 422, 404, 403, 404, 404, 303, 303),
    "GET /payments/<int:payment_id>": (303, 200, 404, 200, 404, 404, 303, 303),
    "GET /payments/<int:payment_id>/receipt.pdf": (303, 200, 404, 200, 404, 404, 303, 303),
    "POST /plans/<int:plan_id>/acceptance": OWED_BUTTON,
    "GET /plans/<int:plan_id>/dispute": OWED_BUTTON,  # accepted by now, so back to the plan
    "POST /plans/<int:plan_id>/dispute": OWED_BUTTON,
    "POST /plans/<int:plan_id>/dispute/uphold": OWED_BUTTON,
    "GET /plans/<int:plan_id>/withdrawal": OWED_BUTTON,
    "POST /plans/<int:plan_id>/withdrawal": OWED_BUTTON,
    "GET /plans/<int:plan_id>/dispute/answer": OWN_MERCHANTS_BUTTON,
    "POST /plans/<int:plan_id>/dispute/answer": (303, 403, 403, 422, 404, 403, 303, 303),
    "POST /plans/<int:plan_id>/delivery": OWN_MERCHANTS_BUTTON,
    "GET /account/shops": (303, 200, 200, 403, 403, 403, 303, 303),
    "POST /account/shops/<int:merchant_id>/block": (303, 303, 404, 403, 403, 403, 303, 303),
    "POST /account/shops/<int:merchant_id>/allow": (303, 303, 404, 403, 403, 403, 303, 303),
    "GET /shops/<int:merchant_id>/due/<currency>": (303, 200, 404, 404, 404, 404, 303, 303),
    "POST /shops/<int:merchant_id>/due/<currency>": (303, 422, 404, 404, 404, 404, 303, 303),
    "GET /shops/<int:merchant_id>/due/<currency>/<key>": (303, 404, 404, 404, 404, 404, 303, 303),  # no such press
    "GET /operator/disputes": OPERATORS_PAGE,
    "POST /operator/disputes/<int:plan_id>": (303, 403, 403, 403, 403, 404, 303, 303),  # without a decision
    "GET /invitations/<token>/dispute": ANYONE,
    "POST /invitations/<token>/acceptance": (303,) * 8,
    "POST /invitations/<token>/dispute": (303,) * 8,
    "POST /invitations/<token>/dispute/uphold": (303,) * 8,
    "GET /plans/<int:plan_id>/pay": (303, 200, 404, 403, 404, 404, 303, 303),
    "POST /plans/<int:plan_id>/pay": (303, 422, 404, 403, 404, 404, 303, 303),
    **{
        f"{method} {act}": (303, 403, 403, status, 404, 403, 303, 303)
        for method, status in (("GET", 200), ("POST", 422))
        for act in (
            "/plans/<int:plan_id>/record-payment",
            "/plans/<int:plan_id>/credit",
            "/plans/<int:plan_id>/reschedule",
            "/plans/<int:plan_id>/refund",
            "/plans/<int:plan_id>/write-off",
            "/plans/<int:plan_id>/cancel",
            "/payments/<int:payment_id>/void",
        )
    },
    "GET /payments/<int:payment_id>/reverse": (303, 403, 403, 200, 404, 403, 303, 303),
    "POST /payments/<int:payment_id>/reverse": (303, 403, 403, 409, 404, 403, 303, 303),  # no bounce
    "GET /invitations/<token>/pay": ANYONE,
    "POST /invitations/<token>/pay": (422,) * 8,
    "GET /invitations/<token>/payments/<int:payment_id>": (404,) * 8,  # of another plan
    "GET /invitations/<token>/payments/<int:payment_id>/receipt.pdf": (404,) * 8,  # of another plan
    "GET /payment-methods": (303, 200, 200, 403, 403, 403, 303, 303),
    "POST /payment-methods": (303, 422, 422, 403, 403, 403, 303, 303),
    "POST /payment-methods/<int:method_id>/remove": (303, 303, 404, 403, 403, 403, 303, 303),
    "POST /gateway/callbacks": (401,) * 8,
    "GET /settings/reminders": MERCHANTS_PAGE,
    "POST /settings/reminders": MERCHANTS_FORM,
    "GET /settings/notices": MERCHANTS_PAGE,
    "POST /settings/notices": MERCHANTS_FORM,
    "GET /notices/off/<notice_token>": ANYONE,
    "POST /notices/off/<notice_token>": ANYONE,
    "GET /account/reminders": (303, 200, 200, 403, 403, 403, 303, 303),
    "POST /account/reminders": (303, 303, 303, 403, 403, 403, 303, 303),
    "GET /reminders/off/<off_token>": ANYONE,
    "POST /reminders/off/<off_token>": ANYONE,
    "POST /plans/<int:plan_id>/reminders": OWN_MERCHANTS_BUTTON,
    "POST /plans/<int:plan_id>/mute": OWN_MERCHANTS_BUTTON,
    "POST /plans/<int:plan_id>/unmute": OWN_MERCHANTS_BUTTON,
    "POST /customers/<int:customer_id>/reminders": OWN_MERCHANTS_BUTTON,
    "POST /customers/reminders": (303, 403, 403, 303, 303, 403, 303, 303),
    "POST /customers/<int:customer_id>/mute": OWN_MERCHANTS_BUTTON,
    "POST /customers/<int:customer_id>/unmute": OWN_MERCHANTS_BUTTON,
    "POST /plans/<int:plan_id>/automatic-payment": (303, 303, 404, 403, 403, 403, 303, 303),
    "POST /plans/<int:plan_id>/automatic-payment/off": (303, 303, 404, 403, 403, 403, 303, 303),
    "GET /settings/webhooks": MERCHANTS_PAGE,
    "POST /settings/webhooks": MERCHANTS_FORM,
    "GET /settings/webhooks/<endpoint_name>": (303, 403, 403, 200, 404, 403, 303, 303),
    "POST /settings/webhooks/<endpoint_name>": (303, 403, 403, 422, 404, 403, 303, 303),
    "POST /settings/webhooks/<endpoint_name>/rotate": (303, 403, 403, 200, 404, 403, 303, 303),
    "POST /settings/webhooks/<endpoint_name>/state": OWN_MERCHANTS_BUTTON,
    "POST /settings/webhooks/<endpoint_name>/delete": OWN_MERCHANTS_BUTTON,
    "POST /settings/webhooks/<endpoint_name>/deliveries/<event_name>/send": (
        *(303, 403, 403, 404, 404, 403, 303, 303),  # an event that the endpoint never got
    ),
    "GET /settings/api-keys": MERCHANTS_PAGE,
    "POST /settings/api-keys": MERCHANTS_FORM,
    "POST /settings/api-keys/<int:key_id>/revoke": OWN_MERCHANTS_BUTTON,
    "GET /account/data": PAGE,
    "GET /account/security-events": PAGE,
    "GET /account/sessions": PAGE,
    "POST /account/sessions/<int:session_id>/end": (303, 404, 404, 404, 404, 404, 303, 303),
    "GET /account/second-factors": PAGE,
    "GET /account/second-factors/app": (303,) * 8,
    "POST /account/second-factors/app/confirm": (303,) * 8,
    "POST /account/second-factors/app": (303,) * 8,
    "POST /account/second-factors/app/remove": (303,) * 8,
    "POST /account/second-factors/recovery-codes": (303,) * 8,
    "GET /factor-removals/<removal_token>": (404,) * 8,
    "POST /factor-removals/<removal_token>": (404,) * 8,
    "GET /operator/accounts/<int:user_id>/remove-factors": OPERATORS_PAGE,
    "POST /operator/accounts/<int:user_id>/remove-factors": (303, 403, 403, 403, 403, 422, 303, 303),
    "POST /account/passkeys": (303, 422, 422, 422, 422, 422, 303, 303),
    "POST /account/passkeys/options": (303, 200, 200, 200, 200, 200, 303, 303),
    "POST /account/passkeys/<int:passkey_id>/remove": (303, 404, 404, 404, 404, 404, 303, 303),
    "POST /account/fresh-sign-in/passkey/options": (303, 200, 200, 200, 200, 200, 303, 303),
    "POST /account/fresh-sign-in/passkey": (303, 422, 422, 422, 422, 422, 303, 303),
    "POST /login/passkey/options": (200,) * 8,
    "POST /login/passkey": (422,) * 8,
    "GET /login/mailed-code": (303,) * 8,
    "POST /login/mailed-code": (303,) * 8,
    "POST /login/mailed-code/mail": (303,) * 8,
    "GET /login/code": (303,) * 8,
    "POST /login/code": (303,) * 8,
    "GET /account/fresh-sign-in": PAGE,
    "POST /account/fresh-sign-in": (303, 422, 422, 422, 422, 422, 303, 303),
    "GET /settings/security-events": MERCHANTS_PAGE,
    "GET /account/data/file": PAGE,
    "GET /account/erasure": PAGE,
    "POST /account/erasure": (303, 409, 409, 409, 409, 409, 303, 303),
    **import_rows.PAGES,
    **import_rows.PEOPLE,
    **document_statuses.PAGES,
    **matrix_rows.PAGES,
    "POST /account/hat": (303,) * 8,
    "POST /account/sessions/end": (303,) * 8,  # last but one, because it revokes the tokens
    "POST /logout": (303,) * 8,  # last, because it ends the sessions
}
EXPECTED = API | PAGES
