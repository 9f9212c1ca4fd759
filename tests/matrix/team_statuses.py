"""The permissions of every route, for the members of a business: TEAM has the status for each of TEAM_CALLERS."""

from typing import Final

from tests.matrix import agreement_statuses
from tests.web.imports import matrix_rows as import_rows

TEAM_CALLERS: Final = ("manager", "collector", "viewer", "both hats", "own plan")
"""Members of Amal's team, who ask for the plan of Amal and Omar. "both hats": a manager of Badr's, under that hat, who
owes a plan to Amal and asks for it. "own plan": a manager of Amal's who owes a plan to Amal and asks for it."""

Statuses = tuple[int, int, int, int, int]


def rows(statuses: Statuses, method: str, *addresses: str) -> dict[str, Statuses]:
    """The same statuses for several addresses."""
    return {f"{method} {address}": statuses for address in addresses}


ALL: Final = (200, 200, 200, 200, 200)
REDIRECTS: Final = (303, 303, 303, 303, 303)
INVALID: Final = (422, 422, 422, 422, 422)
FORBIDDEN: Final = (403, 403, 403, 403, 403)
NOT_THERE: Final = (404, 404, 404, 404, 404)
OWING: Final = (403, 403, 403, 200, 200)
OWING_BUTTON: Final = (403, 403, 403, 303, 303)
OWING_FORM: Final = (403, 403, 403, 422, 422)
MANAGERS: Final = (200, 403, 403, 200, 200)
MANAGERS_FORM: Final = (422, 403, 403, 422, 422)
ACT: Final = (200, 403, 403, 404, 403)
ACT_FORM: Final = (422, 403, 403, 404, 403)
REMIND: Final = (303, 303, 403, 404, 403)
MUTE: Final = (204, 204, 403, 404, 403)
INVITE: Final = (303, 403, 403, 404, 403)
ACTS: Final = (
    "/plans/<int:plan_id>/credit",
    "/plans/<int:plan_id>/reschedule",
    "/plans/<int:plan_id>/refund",
    "/plans/<int:plan_id>/write-off",
    "/plans/<int:plan_id>/cancel",
    "/payments/<int:payment_id>/void",
)
DECISIONS: Final = (
    "/operator/merchants/<int:merchant_id>/decline",
    "/operator/merchants/<int:merchant_id>/deactivate",
    "/operator/merchants/<int:merchant_id>/reactivate",
    "/operator/accounts/<int:user_id>/deactivate",
    "/operator/accounts/<int:user_id>/reactivate",
    "/operator/refunds/<int:refund_id>/withhold",
)
WEBHOOKS: Final = ("/api/webhook-endpoints/", "/api/webhook-endpoints/<endpoint_name>/")

API: Final = {
    **agreement_statuses.TEAM,
    **rows(
        INVALID, "POST", "/auth/register/", "/api/auth/register/", "/token/", "/api/token/", "/token/refresh/",
        "/api/token/refresh/", "/token/revoke/", "/api/token/revoke/",
        "/api/plans/preview/", "/auth/email/prove/", "/api/auth/email/prove/",
        "/auth/email/correct/", "/api/auth/email/correct/",
    ),
    **rows(
        ALL, "GET", "/auth/me/", "/api/auth/me/", "/api/plans/", "/api/plans/<row:plan_id>/",
        "/api/plans/<row:plan_id>/installments/", "/api/plans/<row:plan_id>/payments/",
        "/api/plans/<row:plan_id>/refunds/", "/api/plans/installments/",
        "/api/plans/installments/<row:installment_id>/", "/api/payments/", "/api/payments/<row:payment_id>/",
        "/api/refunds/", "/api/journal/", "/api/refunds/<row:refund_id>/", "/api/analytics/dashboard/",
        "/api/plans/analytics/dashboard/", "/api/analytics/merchant/", "/api/analytics/ageing/", "/api/docs/",
        "/swagger/", "/api/openapi.json", "/api/merchant/", "/api/customers/",
        "/api/events/", "/api/merchant/reminders/", "/api/plans/<row:plan_id>/timeline/",
    ),
    **rows((200, 200, 200, 404, 200), "GET", "/api/customers/<row:customer_id>/"),
    **rows(FORBIDDEN, "GET", *WEBHOOKS, f"{WEBHOOKS[1]}deliveries/"),
    **rows(FORBIDDEN, "POST", WEBHOOKS[0], f"{WEBHOOKS[1]}rotate/", f"{WEBHOOKS[1]}deliveries/<event_name>/send/"),
    **rows(FORBIDDEN, "PATCH", WEBHOOKS[1]),
    **rows(FORBIDDEN, "DELETE", WEBHOOKS[1]),
    **rows((200, 200, 403, 404, 403), "PATCH", "/api/customers/<row:customer_id>/"),
    **rows(
        (200, 200, 403, 404, 403), "PATCH", "/api/plans/<row:plan_id>/", "/api/payments/<row:payment_id>/",
        "/api/refunds/<row:refund_id>/",
    ),
    **rows(MANAGERS, "PATCH", "/api/merchant/", "/api/merchant/reminders/", "/api/merchant/notices/"),
    **rows(MANAGERS, "GET", "/api/merchant/notices/"),
    **rows((409, 409, 403, 404, 403), "POST", "/api/plans/<row:plan_id>/reminders/"),  # mailed often enough
    **rows(MUTE, "PUT", "/api/plans/<row:plan_id>/mute/", "/api/customers/<row:customer_id>/mute/"),
    **rows(MUTE, "DELETE", "/api/plans/<row:plan_id>/mute/", "/api/customers/<row:customer_id>/mute/"),
    **rows((409, 409, 409, 409, 409), "POST", "/auth/email/proofs/", "/api/auth/email/proofs/"),
    **rows((404, 404, 404, 404, 404), "DELETE", "/auth/registration/", "/api/auth/registration/"),
    **rows(MANAGERS_FORM, "POST", "/api/plans/"),
    **rows(OWING, "POST", "/api/plans/installments/<row:installment_id>/pay/", "/api/plans/<row:plan_id>/pay/",
         "/api/plans/<row:plan_id>/accept/", "/api/plans/<row:plan_id>/dispute/"),
    **rows((201, 201, 403, 404, 403), "POST", "/api/plans/<row:plan_id>/payments/"),
    **rows((201, 403, 403, 404, 403), "POST", "/api/plans/<row:plan_id>/refunds/"),
    **rows(
        (403, 403, 403, 404, 404), "POST", "/api/plans/<row:plan_id>/reschedule/accept/",
        "/api/plans/<row:plan_id>/reschedule/decline/",
    ),
    **rows((404, 403, 403, 404, 403), "POST", "/api/plans/<row:plan_id>/reschedule/withdraw/"),
    **rows(ALL, "GET", "/api/plans/<row:plan_id>/reschedule/"),
    **rows(
        ACT, "POST", "/api/plans/<row:plan_id>/credits/", "/api/plans/<row:plan_id>/reschedule/",
        "/api/plans/<row:plan_id>/cancel/",
        "/api/plans/<row:plan_id>/write-off/",
        "/api/payments/<row:payment_id>/void/",
    ),
    **rows((409, 403, 403, 404, 403), "POST", "/api/payments/<row:payment_id>/reverse/"),
    **rows(ACT, "GET", "/api/plans/<row:plan_id>/invitations/"),
    **rows((409, 403, 403, 404, 403), "POST", "/api/plans/<row:plan_id>/invitations/"),
    **rows(ACT, "POST", "/api/plans/<row:plan_id>/invitations/revoke/"),
    **rows((409, 403, 403, 404, 403), "POST", "/api/plans/<row:plan_id>/customer-email/"),
    **rows(FORBIDDEN, "GET", "/api/payment-methods/"),
    **rows(FORBIDDEN, "GET", "/api/team/", "/api/plans/<row:plan_id>/automatic-payment/"),
    **rows(FORBIDDEN, "PUT", "/api/plans/<row:plan_id>/automatic-payment/"),
    **rows(FORBIDDEN, "DELETE", "/api/plans/<row:plan_id>/automatic-payment/"),
    **rows(FORBIDDEN, "POST", "/api/payment-methods/"),
    **rows(FORBIDDEN, "DELETE", "/api/payment-methods/<row:method_id>/"),
}  # fmt: skip

PAGES: Final = {
    **rows(
        ALL, "GET", "/", "/example", "/healthz", "/readyz", "/password-resets/new", "/password-resets/sent",
        "/password-resets/<reset_token>", "/invitations/<token>", "/invitations/<token>/pay",
        "/invitations/<token>/logo", "/plans/<int:plan_id>/logo", "/plans/<int:plan_id>/proposal",
        "/reminders/off/<off_token>", "/notices/off/<notice_token>", "/account", "/account/password", "/account/email",
        "/email-proofs/<proof_token>",
        "/email-undos/<undo_token>", "/dashboard", "/dashboard/version", "/plans", "/plans.csv",
        "/plans/drafts", "/plans/<int:plan_id>/statement", "/plans/<int:plan_id>/statement.pdf",
        "/customers", "/customers.csv", "/payments", "/payments.csv",
        "/installments", "/installments.csv", "/journal", "/journal.csv", "/movements", "/movements.csv",
        "/trial-balance",
        "/refunds", "/refunds.csv", "/outstanding.csv", "/journal.hledger", "/journal.beancount",
        "/plans/<int:plan_id>",
        "/plans/<int:plan_id>/version",
        "/payments/<int:payment_id>", "/payments/<int:payment_id>/receipt.pdf",
    ),
    **rows((403, 403, 403, 404, 404), "POST", "/plans/<int:plan_id>/proposal/accept",
           "/plans/<int:plan_id>/proposal/decline"),
    **rows((404, 403, 403, 404, 403), "POST", "/plans/<int:plan_id>/proposal/withdraw"),
    **rows(NOT_THERE, "GET", "/invitations/<token>/proposal"),
    **rows(NOT_THERE, "POST", "/invitations/<token>/proposal/accept", "/invitations/<token>/proposal/decline"),
    **rows(ALL, "POST", "/reminders/off/<off_token>", "/notices/off/<notice_token>"),
    **rows(
        INVALID, "POST", "/register", "/login", "/password-resets", "/password-resets/<reset_token>",
        "/invitations/<token>", "/invitations/<token>/pay", "/account", "/account/password", "/account/email",
        "/account/email/proof", "/account/registration", "/account/fresh-sign-in",
        "/email-proofs/<proof_token>", "/email-undos/<undo_token>",
    ),
    **rows((409, 409, 409, 409, 409), "POST", "/account/email/proofs"),
    **rows((404, 404, 404, 404, 404), "POST", "/account/registration/leave", "/account/sessions/<int:session_id>/end"),
    **rows(
        REDIRECTS, "GET", "/register", "/login", "/installments/<int:installment_id>",
        "/installments/<int:installment_id>/payments", "/account/email/proof",
    ),
    **rows(REDIRECTS, "GET", "/login/code", "/account/second-factors/app", "/login/mailed-code"),
    **rows(REDIRECTS, "POST", "/login/mailed-code", "/login/mailed-code/mail"),
    **rows(REDIRECTS, "POST", "/theme", "/language", "/login/code", "/account/second-factors/app/confirm",
        "/account/second-factors/app", "/account/second-factors/app/remove", "/account/second-factors/recovery-codes"),
    **rows(NOT_THERE, "GET", "/factor-removals/<removal_token>"),
    **rows(NOT_THERE, "POST", "/factor-removals/<removal_token>"),
    **rows(FORBIDDEN, "GET", "/operator/accounts/<int:user_id>/remove-factors"),
    **rows(FORBIDDEN, "POST", "/operator/accounts/<int:user_id>/remove-factors"),
    **rows(ALL, "POST", "/account/passkeys/options", "/account/fresh-sign-in/passkey/options",
        "/login/passkey/options"),
    **rows(INVALID, "POST", "/account/passkeys", "/account/fresh-sign-in/passkey", "/login/passkey"),
    **rows((404, 404, 404, 404, 404), "POST", "/account/passkeys/<int:passkey_id>/remove"),
    **rows(ALL, "GET", "/robots.txt"),
    **rows((302, 302, 302, 302, 302), "GET", "/favicon.ico", "/apple-touch-icon.png"),
    **rows(NOT_THERE, "GET", "/invitations/<token>/payments/<int:payment_id>",
         "/invitations/<token>/payments/<int:payment_id>/receipt.pdf", "/outbox/open/<outbox_token>"),
    **rows(FORBIDDEN, "GET", "/outbox", "/outbox/<int:outbox_id>", "/outbox/<int:outbox_id>/html"),
    **rows((401, 401, 401, 401, 401), "POST", "/gateway/callbacks"),
    **rows(
        FORBIDDEN, "GET", "/home", "/operator", "/operator/checks", "/payment-methods", "/account/reminders",
        "/settings/api-keys", "/settings/closing", "/settings/books", "/settings/books/accounts/<account>",
        "/settings/objection", "/operator/merchants", "/operator/accounts",
        "/operator/refunds", "/operator/merchants/<int:merchant_id>", "/operator/accounts/<int:user_id>", *DECISIONS,
        "/account/shops", "/operator/disputes", "/settings/webhooks", "/settings/webhooks/<endpoint_name>",
    ),
    **rows(
        FORBIDDEN, "POST", "/settings/webhooks", "/settings/webhooks/<endpoint_name>",
        "/settings/webhooks/<endpoint_name>/rotate", "/settings/webhooks/<endpoint_name>/state",
        "/settings/webhooks/<endpoint_name>/delete", "/settings/webhooks/<endpoint_name>/deliveries/<event_name>/send",
    ),
    **rows(
        FORBIDDEN, "POST", "/settings/books", "/settings/books/accounts/<account>",
        "/settings/closing", "/settings/closing/stop", "/settings/objection",
        "/operator/merchants/<int:merchant_id>/approve", "/operator/refunds/<int:refund_id>/release", *DECISIONS,
    ),
    **rows((404, 403, 403, 404, 404), "POST", "/plans/drafts/<int:draft_id>/discard"),
    **rows((404, 404, 404, 200, 200), "GET", "/shops/<int:merchant_id>/due/<currency>"),
    **rows((404, 404, 404, 422, 422), "POST", "/shops/<int:merchant_id>/due/<currency>"),
    **rows(NOT_THERE, "GET", "/shops/<int:merchant_id>/due/<currency>/<key>", "/calendar/<feed_token>"),
    **rows(OWING, "GET", "/plans/<int:plan_id>/calendar.ics"),
    **rows(FORBIDDEN, "GET", "/account/calendar"),
    **rows(FORBIDDEN, "POST", "/account/calendar", "/account/calendar/end"),
    **rows(
        FORBIDDEN, "POST", "/operator/jobs/<job_id>/retry", "/operator/jobs/<job_id>/clear", "/operator/jobs/clear",
        "/outbox/<int:outbox_id>/resend", "/payment-methods", "/payment-methods/<int:method_id>/remove",
        "/account/reminders", "/plans/<int:plan_id>/automatic-payment", "/plans/<int:plan_id>/automatic-payment/off",
        "/settings/api-keys", "/settings/api-keys/<int:key_id>/revoke", "/account/shops/<int:merchant_id>/block",
        "/account/shops/<int:merchant_id>/allow", "/operator/disputes/<int:plan_id>",
    ),
    **rows(
        FORBIDDEN, "GET", "/settings/security-events", "/settings/team", "/settings/team/<int:member_id>",
        "/settings/team/<int:member_id>/hand-over", "/settings/team/<int:member_id>/remove",
    ),
    **rows(
        FORBIDDEN, "POST", "/settings/team/invitations", "/settings/team/invitations/<int:invitation_id>/send-again",
        "/settings/team/invitations/<int:invitation_id>/revoke", "/settings/team/<int:member_id>",
        "/settings/team/<int:member_id>/hand-over", "/settings/team/<int:member_id>/remove",
        "/team-invitations/<team_token>",
    ),
    **rows(
        ALL, "GET", "/account/second-factors",
        "/account/security-events", "/account/sessions", "/account/fresh-sign-in", "/account/businesses",
        "/team-invitations/<team_token>", "/account/data", "/account/data/file",
        "/account/erasure",
    ),
    **rows((422, 422, 422, 409, 409), "POST", "/account/erasure"),
    **rows(NOT_THERE, "POST", "/account/invitations/<int:team_invitation_id>"),
    **rows((200, 200, 200, 404, 200), "GET", "/account/businesses/<int:merchant_id>/leave"),
    **rows(
        MANAGERS, "GET", "/settings", "/settings/notices", "/settings/reminders", "/settings/terms",
        "/settings/letterhead", "/plans/new",
    ),
    **rows(
        MANAGERS_FORM, "POST", "/settings", "/settings/notices", "/settings/reminders", "/settings/terms", "/plans",
    ),
    **rows((303, 403, 403, 303, 303), "POST", "/dashboard/first-steps"),
    **rows((200, 403, 403, 404, 200), "GET", "/settings/terms/<int:terms_id>"),
    **rows((422, 403, 403, 404, 422), "POST", "/settings/terms/<int:terms_id>"),
    **rows((303, 403, 403, 404, 303), "POST", "/settings/terms/<int:terms_id>/move",
         "/settings/terms/<int:terms_id>/remove"),
    **rows((303, 403, 403, 303, 303), "POST", "/settings/letterhead"),
    **rows((200, 200, 200, 404, 200), "GET", "/settings/letterhead/logo"),  # Badr's business has none
    **rows(MANAGERS, "POST", "/plans/preview"),
    **rows((303, 403, 403, 303, 303), "GET", "/plans/preview", "/plans/customers"),
    **rows((200, 200, 200, 404, 200), "GET", "/customers/<int:customer_id>", "/customers/<int:customer_id>/statement",
         "/customers/<int:customer_id>/statement.pdf"),
    **rows((200, 200, 403, 404, 403), "GET", "/customers/<int:customer_id>/edit"),
    **rows(ALL, "GET", "/search"),
    **rows(REMIND, "POST", "/customers/<int:customer_id>", "/customers/<int:customer_id>/reminders"),
    **rows((303, 303, 403, 303, 303), "POST", "/customers/reminders"),
    **rows(
        INVITE, "POST", "/plans/<int:plan_id>/invitation", "/plans/<int:plan_id>/invitation/revoke",
        "/plans/<int:plan_id>/invitation/mail", "/plans/<int:plan_id>/invitation/mail/revoke",
    ),
    **rows(INVITE, "GET", "/plans/<int:plan_id>/customer-email"),
    **rows(ACT_FORM, "POST", "/plans/<int:plan_id>/customer-email"),
    **rows(ALL, "GET", "/invitations/<token>/unknown-shop"),
    **rows(REDIRECTS, "POST", "/invitations/<token>/unknown-shop"),
    **rows(FORBIDDEN, "POST", "/operator/shop-reports/<int:report_id>/clear"),
    **rows(
        REMIND, "POST", "/plans/<int:plan_id>/reminders", "/plans/<int:plan_id>/mute",
        "/plans/<int:plan_id>/unmute", "/customers/<int:customer_id>/mute", "/customers/<int:customer_id>/unmute",
    ),
    **rows(OWING, "GET", "/plans/<int:plan_id>/pay"),
    **rows(ALL, "GET", "/invitations/<token>/dispute"),
    **rows(
        REDIRECTS, "POST", "/invitations/<token>/acceptance", "/invitations/<token>/dispute",
        "/invitations/<token>/dispute/uphold",
    ),
    **rows(OWING_BUTTON, "GET", "/plans/<int:plan_id>/withdrawal"),
    **rows(OWING_BUTTON, "POST", "/plans/<int:plan_id>/acceptance"),
    **rows(OWING_BUTTON, "GET", "/plans/<int:plan_id>/dispute"),
    **rows(
        OWING_BUTTON, "POST", "/plans/<int:plan_id>/dispute", "/plans/<int:plan_id>/dispute/uphold",
        "/plans/<int:plan_id>/withdrawal",
    ),
    **rows(INVITE, "GET", "/plans/<int:plan_id>/dispute/answer"),
    **rows(ACT_FORM, "POST", "/plans/<int:plan_id>/dispute/answer"),
    **import_rows.TEAM,
    **import_rows.PEOPLE_TEAM,
    **rows(INVITE, "POST", "/plans/<int:plan_id>/delivery"),
    **rows(OWING_FORM, "POST", "/plans/<int:plan_id>/pay", "/installments/<int:installment_id>/payments"),
    **rows((200, 200, 403, 404, 403), "GET", "/plans/<int:plan_id>/record-payment"),
    **rows((422, 422, 403, 404, 403), "POST", "/plans/<int:plan_id>/record-payment"),
    **rows(ACT, "GET", *ACTS),
    **rows(ACT_FORM, "POST", *ACTS),
    **rows(ACT, "GET", "/payments/<int:payment_id>/reverse"),
    **rows((409, 403, 403, 404, 403), "POST", "/payments/<int:payment_id>/reverse"),
    **rows((303, 303, 303, 404, 303), "POST", "/account/businesses/<int:merchant_id>/leave"),
    **rows(REDIRECTS, "POST", "/account/hat", "/account/sessions/end", "/logout"),  # last: they end hats and sessions
}  # fmt: skip

TEAM: Final = API | PAGES
