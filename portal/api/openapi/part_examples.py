"""Examples of small schemas, and of problems."""

from typing import Any, Final

_DUE_PLAN: Final = {"plan": 1, "amount": "33.34", "due_on": "2026-08-31"}
_PLAN_OUTCOME: Final = {"plan": 1, "amount": "33.34", "outcome": "paid", "payment": 9, "code": None}
_ACCOUNT: Final = {
    "account": "clearing",
    "type": "asset",
    "code": "1020",
    "name": None,
    "export_name": "assets:clearing",
    "debit": "33.34",
    "credit": None,
}
_RECEIVABLE: Final = {
    **_ACCOUNT,
    "account": "receivable",
    "code": "1100",
    "export_name": "assets:receivable",
    "debit": "66.66",
}
_SALES: Final = {
    **_ACCOUNT,
    "account": "sales",
    "type": "income",
    "code": "4000",
    "export_name": "income:sales",
    "debit": None,
    "credit": "100.00",
}
_BALANCES: Final = {"currency": "SAR", "total": "100.00", "accounts": [_ACCOUNT, _RECEIVABLE, _SALES]}
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
    "Contact": {
        "id": 12,
        "email": "noor@example.com",
        "name": "Noor",
        "phone": "+966501234567",
        "note": None,
        "created_at": "2026-08-23T04:12:34.309931Z",
    },
    "Profile": {"name": "Omar", "phone": "+966501234567", "language": "ar", "early_reminders": True},
    "ProfileChange": {"language": "ar", "early_reminders": False},
    "DuePlan": _DUE_PLAN,
    "ShopDue": {
        "merchant": 7,
        "merchant_name": "Amal's Bakery",
        "currency": "SAR",
        "amount": "33.34",
        "plans": [_DUE_PLAN],
        "unaccepted": 0,
        "disputed": 0,
        "in_flight": 0,
        "further": 0,
    },
    "PlanOutcome": _PLAN_OUTCOME,
    "ShopPaid": {"merchant": 7, "currency": "SAR", "paid": "33.34", "in_flight": "0.00", "plans": [_PLAN_OUTCOME]},
    "AccountBalance": _ACCOUNT,
    "CurrencyBalances": _BALANCES,
    "BooksBalance": {"on": "2026-08-31", "by_currency": [_BALANCES]},
    "MoneyMovement": {
        "entry": 40,
        "booked_on": "2026-08-31",
        "recorded_at": "2026-08-31T09:12:34.309931Z",
        "kind": "payment",
        "plan": 1,
        "payment": 9,
        "refund": None,
        "money_in": "33.34",
        "money_out": None,
        "lost": "0.00",
        "currency": "SAR",
    },
}
"""By schema."""
