"""The permissions of every route for an account whose email is not proven: it proves, corrects, signs out and leaves.

Every route that is not listed here answers 403 `email_unproven`, so a new route needs a row only if it is open.
"""

from typing import Final

OPEN: Final[dict[str, int]] = {
    # As for visitors without an account
    **dict.fromkeys(
        (
            "GET /", "GET /example", "GET /healthz", "GET /readyz", "GET /password-resets/new",
            "GET /password-resets/sent",
            "GET /password-resets/<reset_token>", "GET /invitations/<token>", "GET /invitations/<token>/pay",
            "GET /invitations/<token>/logo",
            "GET /reminders/off/<off_token>", "POST /reminders/off/<off_token>", "GET /api/docs/", "GET /swagger/",
            "GET /notices/off/<notice_token>", "POST /notices/off/<notice_token>",
            "GET /api/openapi.json", "GET /team-invitations/<team_token>",
            "GET /invitations/<token>/dispute", "GET /email-proofs/<proof_token>", "GET /email-undos/<undo_token>",
        ),
        200,
    ),
    **dict.fromkeys(
        (
            "POST /auth/register/", "POST /api/auth/register/", "POST /token/", "POST /api/token/",
            "POST /token/refresh/", "POST /api/token/refresh/", "POST /token/revoke/", "POST /api/token/revoke/",
            "POST /register", "POST /login",
            "POST /password-resets", "POST /password-resets/<reset_token>", "POST /invitations/<token>",
            "POST /invitations/<token>/pay", "POST /email-proofs/<proof_token>", "POST /email-undos/<undo_token>",
        ),
        422,
    ),
    "GET /outbox/open/<outbox_token>": 404,
    "GET /calendar/<feed_token>": 404,
    "GET /register": 303,
    "GET /login": 303,
    "GET /login/code": 303,
    "POST /login/code": 303,
    "GET /login/mailed-code": 303,
    "POST /login/mailed-code": 303,
    "POST /login/mailed-code/mail": 303,
    "GET /factor-removals/<removal_token>": 404,
    "POST /factor-removals/<removal_token>": 404,
    "POST /login/passkey/options": 200,
    "POST /login/passkey": 422,
    "POST /theme": 303,
    "POST /language": 303,
    "GET /robots.txt": 200,
    "GET /favicon.ico": 302,
    "GET /apple-touch-icon.png": 302,
    "POST /invitations/<token>/acceptance": 303,
    "POST /invitations/<token>/dispute": 303,
    "GET /invitations/<token>/proposal": 404,
    "POST /invitations/<token>/proposal/accept": 404,
    "POST /invitations/<token>/proposal/decline": 404,
    "POST /invitations/<token>/dispute/uphold": 303,
    "GET /invitations/<token>/payments/<int:payment_id>": 404,
    "GET /invitations/<token>/payments/<int:payment_id>/receipt.pdf": 404,
    "POST /gateway/callbacks": 401,
    "GET /invitations/<token>/unknown-shop": 200,
    "POST /invitations/<token>/unknown-shop": 303,
    # Its own
    "GET /auth/me/": 200,
    "GET /api/auth/me/": 200,
    "POST /auth/email/proofs/": 200,
    "POST /api/auth/email/proofs/": 200,
    "POST /auth/email/prove/": 422,
    "POST /api/auth/email/prove/": 422,
    "POST /auth/email/correct/": 422,
    "POST /api/auth/email/correct/": 422,
    "GET /account/email/proof": 200,
    "POST /account/email/proof": 422,
    "POST /account/email/proofs": 303,
    "POST /account/registration": 422,
    "DELETE /auth/registration/": 204,
    "DELETE /api/auth/registration/": 401,  # the registration is gone by then
    "POST /account/registration/leave": 303,
    "POST /logout": 303,
}  # fmt: skip
LAST: Final = (
    "DELETE /auth/registration/",
    "DELETE /api/auth/registration/",
    "POST /account/registration/leave",
    "POST /logout",
)
"""The routes that end the account or its session, in the order in which they are requested after all others."""
