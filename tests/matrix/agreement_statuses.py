"""Rows of the matrix for the API: disputes, drafts, statements, books, contacts, profiles, shops and closings."""

from typing import Final

PLAN: Final = "/api/plans/<row:plan_id>"
DISPUTE: Final = f"{PLAN}/dispute"
CLOSING: Final = "/api/merchant/closing/"
DRAFT: Final = "/api/plan-drafts/<row:draft_id>/"
SHOP: Final = "/api/shops/<row:merchant_id>"
BLOCK: Final = f"{SHOP}/block/"
CONTACT: Final = "/api/contacts/<row:person_id>/"
LISTS: Final = ("GET /api/contacts/", "GET /api/trial-balance/", "GET /api/movements/")
PROFILE: Final = ("GET /api/profile/", "PATCH /api/profile/")

API: Final = {
    f"GET {DISPUTE}/": (401, *(404,) * 7),
    f"GET {PLAN}/statement/": (401, 200, 404, 200, 404, 404, 200, 404),
    "GET /api/customers/<row:customer_id>/statement/": (401, 403, 403, 200, 404, 403, 200, 404),
    "POST /api/plan-drafts/": (401, 403, 403, 422, 422, 403, 403, 403),
    "GET /api/plan-drafts/": (401, 403, 403, 200, 200, 403, 200, 200),
    f"GET {DRAFT}": (401, 403, 403, 404, 404, 403, 404, 404),
    f"DELETE {DRAFT}": (401, 403, 403, 404, 404, 403, 403, 403),
    f"POST {DISPUTE}/answer/": (401, 403, 403, 200, 404, 403, 403, 403),
    f"POST {DISPUTE}/uphold/": (401, 200, 404, 403, 404, 404, 403, 403),
    f"POST {PLAN}/withdraw/": (401, 409, 404, 403, 404, 404, 403, 403),
    f"POST {PLAN}/delivery/": (401, 403, 403, 200, 404, 403, 403, 403),
    "GET /api/shops/": (401, 200, 200, 403, 403, 403, 403, 403),
    **dict.fromkeys(LISTS, (401, 403, 403, 200, 200, 403, 200, 200)),
    f"GET {CONTACT}": (401, 403, 403, 200, 404, 403, 200, 404),
    f"PATCH {CONTACT}": (401, 403, 403, 200, 404, 403, 403, 403),
    f"DELETE {CONTACT}": (401, 403, 403, 204, 404, 403, 403, 403),
    **dict.fromkeys(PROFILE, (401, 200, 200, 200, 200, 403, 403, 403)),
    f"GET {SHOP}/due/": (401, 200, 404, 404, 404, 403, 403, 403),
    f"POST {SHOP}/pay/": (401, 409, 404, 404, 404, 403, 403, 403),  # nothing is due in dollars
    f"PUT {BLOCK}": (401, 204, 404, 403, 403, 403, 403, 403),
    f"DELETE {BLOCK}": (401, 204, 404, 403, 403, 403, 403, 403),
    f"GET {CLOSING}": (401, 403, 403, 200, 200, 403, 403, 403),
    f"PUT {CLOSING}": (401, 403, 403, 409, 409, 403, 403, 403),  # other figures than shown
    f"DELETE {CLOSING}": (401, 403, 403, 204, 204, 403, 403, 403),
    "POST /api/merchant/objections/": (401, 403, 403, 409, 409, 403, 403, 403),  # it is active
}
"""For each of CALLERS."""
BODIES: Final[dict[str, dict[str, object]]] = {
    f"POST {DISPUTE}/answer/": {"answer": "You ordered it"},
    f"POST {DISPUTE}/uphold/": {},
    f"POST {PLAN}/withdraw/": {},
    f"POST {PLAN}/delivery/": {},
    f"PUT {CLOSING}": {"open_plans": 999},
    f"POST {SHOP}/pay/": {"currency": "USD"},
    "POST /api/merchant/objections/": {"reason": "Another shop"},
}
TEAM: Final = {
    f"GET {DISPUTE}/": (404,) * 5,
    f"GET {PLAN}/statement/": (200,) * 5,
    "GET /api/customers/<row:customer_id>/statement/": (200, 200, 200, 404, 200),
    "POST /api/plan-drafts/": (422, 403, 403, 422, 422),
    "GET /api/plan-drafts/": (200,) * 5,
    f"GET {DRAFT}": (404,) * 5,
    f"DELETE {DRAFT}": (404, 403, 403, 404, 404),
    f"POST {DISPUTE}/answer/": (409, 403, 403, 404, 403),  # nobody disputes these plans
    f"POST {DISPUTE}/uphold/": (403, 403, 403, 409, 409),
    f"POST {PLAN}/withdraw/": (403, 403, 403, 409, 409),
    f"POST {PLAN}/delivery/": (200, 403, 403, 404, 403),
    **dict.fromkeys((*LISTS, *PROFILE), (200,) * 5),
    f"GET {CONTACT}": (200, 200, 200, 404, 200),
    f"PATCH {CONTACT}": (200, 200, 403, 404, 200),
    f"DELETE {CONTACT}": (404, 404, 403, 404, 204),  # "own plan" comes first
    f"GET {SHOP}/due/": (404, 404, 404, 200, 200),
    f"POST {SHOP}/pay/": (404, 404, 404, 409, 409),
    **dict.fromkeys(
        (
            "GET /api/shops/",
            *(f"{method} {BLOCK}" for method in ("PUT", "DELETE")),
            *(f"{method} {CLOSING}" for method in ("GET", "PUT", "DELETE")),
            "POST /api/merchant/objections/",
        ),
        (403,) * 5,
    ),
}
"""For each of TEAM_CALLERS."""
OF_A_LIVE_BUSINESS: Final = {
    f"POST {DISPUTE}/answer/",
    f"POST {PLAN}/delivery/",
    "POST /api/plan-drafts/",
    f"DELETE {DRAFT}",
    f"PATCH {CONTACT}",
    f"DELETE {CONTACT}",
}
"""A deactivated business forbids them to its owner."""
