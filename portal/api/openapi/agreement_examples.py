"""Examples of disputes, drafts, a customer's shops, and the end of a merchant."""

from typing import Any, Final

AGREEMENTS: Final[dict[str, Any]] = {
    "DisputeAnswer": {"answer": "You ordered it on 2 August by telephone"},
    "Dispute": {
        "plan": 1,
        "opened_at": "2026-08-24T04:12:34.309931Z",
        "answer": "You ordered it on 2 August by telephone",
        "answered_at": "2026-08-25T08:40:00.000120Z",
        "upheld_at": None,
        "decidable_at": "2026-09-08T08:40:00.000120Z",
        "ended_at": None,
        "outcome": None,
    },
    "Shop": {
        "merchant": 7,
        "merchant_name": "Amal's Bakery",
        "customer_since": "2026-08-23T04:12:34.309931Z",
        "blocked_at": None,
        "barred_at": "2026-08-24T04:12:34.309931Z",
    },
    "ClosingChoice": {"open_plans": 3},
    "Closing": {
        "standing": "closing",
        "closing_at": "2026-08-24T04:12:34.309931Z",
        "closed_at": None,
        "open_plans": 3,
        "payments_in_flight": 0,
        "refunds_in_flight": 1,
        "plans_owed_back": 0,
        "held_until": "2027-02-20T09:15:02.004131Z",
    },
    "PlanDraft": {
        "id": 12,
        "customer_email": "omar@example.com",
        "total_amount": "100.00",
        "currency": "SAR",
        "num_installments": 2,
        "interval": "monthly",
        "start_date": "2026-08-31",
        "deposit": None,
        "installments": [
            {"number": 1, "amount": "50.00", "due_date": "2026-08-31"},
            {"number": 2, "amount": "50.00", "due_date": "2026-09-30"},
        ],
        "description": "A wedding cake",
        "external_id": "order-1234",
        "metadata": {"branch": "Olaya"},
        "created_at": "2026-08-23T04:12:34.309931Z",
        "tried_at": None,
        "fault": None,
    },
    "NewObjection": {"reason": "The complaint was about another shop"},
    "Objection": {"merchant": 7, "created_at": "2026-08-24T04:12:34.309931Z"},
}
"""By schema."""
