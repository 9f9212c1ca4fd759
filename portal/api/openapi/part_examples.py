"""Examples of small schemas, and of problems."""

from typing import Any, Final

PARTS: Final[dict[str, Any]] = {
    "ScheduleRow": {"number": 1, "amount": "33.34", "due_date": "2026-08-31"},
    "MerchantChoice": {"id": 7, "name": "Amal's Bakery"},
    "ProposedAmount": {"due_date": "2026-10-31", "amount": "33.33"},
    "PaymentRef": {"id": 9, "state": "succeeded"},
    "Part": {"installment": 1, "amount": "33.34"},
    "HeldRefund": {"id": 4, "payment": 9, "amount": "20.00"},
    "Fault": {
        "pointer": "#/total_amount",
        "detail": "SAR has at most 2 digits after the point.",
        "code": "bad_amount",
    },
    "Problem": {
        "type": "urn:qist:problem:amount_changed",
        "title": "Conflict",
        "status": 409,
        "detail": "The amount owed has changed. It is SAR 33.33 now.",
        "code": "amount_changed",
        "remaining": "33.33",
    },
    "TeamMember": {
        "id": 7,
        "name": "amal",
        "email": "amal@example.com",
        "role": "owner",
        "refund_limit": None,
        "joined_at": "2026-08-23T04:12:34.309931Z",
    },
    "QueuedReminder": {"plan": 1, "customer": 2, "day": "2026-08-31"},
    "EventObject": {"type": "plan", "id": 1},
}
"""By schema."""
