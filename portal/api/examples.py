"""Examples for the OpenAPI document. A test holds every one of them against its schema."""

from http import HTTPStatus
from typing import Any, Final

from portal.api.problems import CODES

_INSTALLMENT: Final[dict[str, Any]] = {
    "id": 1,
    "plan": 1,
    "number": 1,
    "amount": "33.34",
    "currency": "SAR",
    "due_date": "2026-08-31",
    "status": "pending",
    "paid_at": None,
    "remaining": "33.34",
}
_SECOND: Final = {
    **_INSTALLMENT,
    "id": 2,
    "number": 2,
    "amount": "33.33",
    "due_date": "2026-09-30",
    "remaining": "33.33",
}
_THIRD: Final = {**_SECOND, "id": 3, "number": 3, "due_date": "2026-10-31"}
_PAID: Final = {**_INSTALLMENT, "status": "paid", "paid_at": "2026-08-30T09:15:02.120044Z", "remaining": "0.00"}
_FIGURES: Final = {"currency": "SAR", "total_revenue": 2500.0, "overdue_installments": 2, "success_rate": 75.0}
_BUCKETS: Final = {
    "currency": "SAR",
    "outstanding": "1250.00",
    "not_due": "900.00",
    "days_1_30": "300.00",
    "days_31_60": "50.00",
    "days_61_90": "0.00",
    "days_over_90": "0.00",
}
_TERMS: Final = {"total_amount": "100.00", "num_installments": 3, "start_date": "2026-08-31", "interval": "monthly"}

SHAPES: Final[dict[str, Any]] = {
    "Registration": {
        "username": "amal",
        "email": "amal@example.com",
        "password": "seven green boats",
        "password2": "seven green boats",
        "role": "merchant",
        "business_name": "Amal's Bakery",
        "home_currency": "SAR",
        "time_zone": "Asia/Riyadh",
    },
    "Login": {"username": "amal", "password": "seven green boats"},
    "Refresh": {"refresh": "eyJhbGciOiJIUzI1NiIs..."},
    "Tokens": {"access": "eyJhbGciOiJIUzI1NiIs...", "refresh": "eyJhbGciOiJIUzI1NiIs..."},
    "Account": {"id": 7, "username": "amal", "email": "amal@example.com", "role": "merchant"},
    "PlanTerms": _TERMS,
    "NewPlan": {
        **_TERMS,
        "customer_email": "omar@example.com",
        "description": "A wedding cake",
        "external_id": "order-1234",
        "metadata": {"branch": "Olaya"},
    },
    "Preview": {
        "total_amount": "100.00",
        "currency": "SAR",
        "num_installments": 3,
        "interval": "monthly",
        "start_date": "2026-08-31",
        "installments": [
            {"number": 1, "amount": "33.34", "due_date": "2026-08-31"},
            {"number": 2, "amount": "33.33", "due_date": "2026-09-30"},
            {"number": 3, "amount": "33.33", "due_date": "2026-10-31"},
        ],
    },
    "Installment": _INSTALLMENT,
    "PaidInstallment": {**_PAID, "payment": {"id": 9, "state": "succeeded"}},
    "Plan": {
        "id": 1,
        "merchant": 7,
        "customer": 2,
        "customer_email": "omar@example.com",
        "total_amount": "100.00",
        "currency": "SAR",
        "num_installments": 3,
        "interval": "monthly",
        "start_date": "2026-08-31",
        "status": "active",
        "description": "A wedding cake",
        "external_id": "order-1234",
        "metadata": {"branch": "Olaya"},
        "created_at": "2026-08-23T04:12:34.309931Z",
        "updated_at": "2026-08-23T04:12:34.309931Z",
        "installments": [_INSTALLMENT, _SECOND, _THIRD],
    },
    "Pay": {"payment_method": "card_ok", "amount": "33.34"},
    "Payment": {
        "id": 9,
        "plan": 1,
        "amount": "33.34",
        "currency": "SAR",
        "state": "succeeded",
        "payment_method": "card_ok",
        "decline_code": None,
        "created_at": "2026-08-30T09:15:02.004131Z",
        "settled_at": "2026-08-30T09:15:02.120044Z",
        "installments": [{"installment": 1, "amount": "33.34"}],
    },
    "Dashboard": {**_FIGURES, "by_currency": []},
    "AgeingReport": {**_BUCKETS, "by_currency": []},
}

_DETAILS: Final = {
    "already_paid": "This installment is already paid. Nothing was charged.",
    "amount_changed": "What is owed has changed: it is SAR 33.33 now. Nothing was charged.",
    "bad_token": "This token can't be used: it is not valid, has expired, or was revoked.",
    "declined": "The card was declined.",
    "email_invited": "A merchant has invited this email. Open the link you were sent, or ask for a new one.",
    "external_id_used": "This external_id already names another plan.",
    "insufficient_funds": "There is not enough money on this card. Nothing was charged.",
}
_MORE: Final[dict[str, dict[str, Any]]] = {
    "amount_changed": {"remaining": "33.33"},
    "declined": {"payment_id": 9},
    "email_invited": {"errors": [{"pointer": "#/email", "detail": _DETAILS["email_invited"], "code": "email_invited"}]},
    "external_id_used": {"plan_id": 1},
    "insufficient_funds": {"payment_id": 9},
}


def problem(status: int, code: str) -> dict[str, Any]:
    """A problem document with this code."""
    detail = _DETAILS.get(code) or (CODES[status][1] if status in CODES else HTTPStatus(status).description)
    return {
        "type": f"urn:qist:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        **_MORE.get(code, {}),
    }
