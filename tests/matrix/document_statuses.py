"""The rows of statuses.py for letterheads, and for proposals of other days."""

from typing import Final

OWN: Final = (303, 403, 403, 200, 200, 403, 303, 303)
PARTIES: Final = (303, 200, 404, 200, 404, 404, 303, 303)
ANSWERS: Final = ("accept", "decline")

READ: Final = "GET /api/plans/<row:plan_id>/reschedule/"
API: Final = {
    READ: (401, 200, 404, 200, 404, 404, 200, 404),
    "POST /api/plans/<row:plan_id>/reschedule/withdraw/": (401, 403, 403, 404, 404, 403, 403, 403),
    **{
        f"POST /api/plans/<row:plan_id>/reschedule/{answer}/": (401, 404, 404, 403, 404, 404, 403, 403)
        for answer in ANSWERS
    },
}
PAGES: Final = {
    "GET /settings/letterhead": OWN,
    "POST /settings/letterhead": (303, 403, 403, 303, 303, 403, 303, 303),
    "GET /settings/letterhead/logo": OWN,
    "GET /plans/<int:plan_id>/logo": PARTIES,
    "GET /invitations/<token>/logo": (200,) * 8,
    "GET /outstanding.csv": OWN,
    "GET /plans/<int:plan_id>/proposal": PARTIES,
    **dict.fromkeys(
        (f"POST /plans/<int:plan_id>/proposal/{answer}" for answer in ANSWERS),
        (303, 404, 404, 403, 404, 404, 303, 303),  # of no proposal
    ),
    "POST /plans/<int:plan_id>/proposal/withdraw": (303, 403, 403, 404, 404, 403, 303, 303),
    "GET /invitations/<token>/proposal": (404,) * 8,
    **{f"POST /invitations/<token>/proposal/{answer}": (404,) * 8 for answer in ANSWERS},
}
