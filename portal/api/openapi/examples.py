"""Examples for the OpenAPI document. A test validates each against its schema."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import fields

from portal.api import parsing, problems
from portal.api.openapi.agreement_examples import AGREEMENTS
from portal.api.openapi.error_codes import UNREADABLE
from portal.api.openapi.part_examples import PARTS
from portal.api.openapi.refusals import REFUSED
from portal.api.openapi.webhook_examples import WEBHOOKS
from portal.api.problems import HttpRefusal
from portal.api.schemas import Installment, Payment, Plan, Refund
from portal.errors import Invalid
from portal.reports.payments.offered_methods import OfferedMethod
from portal.wording.http_statuses import http_status
from portal.wording.language import SOURCE, in_language


def _whole(schema: type[Struct], values: dict[str, Any]) -> dict[str, Any]:
    """An example of a schema, in the order of its fields. A field without a value is null."""
    return {field.name: values.get(field.name) for field in fields(schema)}


_INSTALLMENT: Final = _whole(
    Installment,
    {
        "id": 1,
        "plan": 1,
        "number": 1,
        "amount": "33.34",
        "currency": "SAR",
        "due_date": "2026-08-31",
        "status": "pending",
        "amount_paid": "0.00",
        "credited": "0.00",
        "written_off": "0.00",
        "moved": "0.00",
        "remaining": "33.34",
    },
)
_SECOND: Final = {
    **_INSTALLMENT,
    "id": 2,
    "number": 2,
    "amount": "33.33",
    "due_date": "2026-09-30",
    "remaining": "33.33",
}
_THIRD: Final = {**_SECOND, "id": 3, "number": 3, "due_date": "2026-10-31"}
_PAID: Final = {
    **_INSTALLMENT,
    "status": "paid",
    "paid_at": "2026-08-30T09:15:02.120044Z",
    "amount_paid": "33.34",
    "remaining": "0.00",
}
_PLAN: Final = _whole(
    Plan,
    {
        "id": 1,
        "merchant": 7,
        "merchant_name": "Amal's Bakery",
        "customer": 2,
        "customer_email": "omar@example.com",
        "total_amount": "100.00",
        "currency": "SAR",
        "num_installments": 3,
        "interval": "monthly",
        "start_date": "2026-08-31",
        "status": "active",
        "paid": "0.00",
        "credited": "0.00",
        "written_off": "0.00",
        "remaining": "100.00",
        "refunded": "0.00",
        "refunding": "0.00",
        "description": "A wedding cake",
        "external_id": "order-1234",
        "metadata": {"branch": "Olaya"},
        "created_at": "2026-08-23T04:12:34.309931Z",
        "updated_at": "2026-08-23T04:12:34.309931Z",
        "installments": [_INSTALLMENT, _SECOND, _THIRD],
    },
)
_MERCHANT: Final[dict[str, Any]] = {
    "id": 7,
    "business_name": "Amal's Bakery",
    "home_currency": "SAR",
    "time_zone": "Asia/Riyadh",
    "grace_days": 3,
    "withdrawal_days": 14,
    "standing": "live",
    "address": "12 Olive Street\nRiyadh 12211",
    "tax_number": "300012345600003",
    "email": "accounts@amal.example",
    "phone": "+966 11 123 4567",
}
_REFUND: Final = _whole(
    Refund,
    {
        "id": 4,
        "plan": 1,
        "payment": 9,
        "amount": "20.00",
        "currency": "SAR",
        "state": "succeeded",
        "reason": "A layer was missing",
        "created_at": "2026-09-02T10:00:00.000120Z",
        "settled_at": "2026-09-02T10:00:00.081200Z",
        "updated_at": "2026-09-02T10:00:00.081200Z",
        "external_id": "return-77",
        "metadata": {"desk": "3"},
    },
)
_VOID: Final = {"status": "cancelled", "remaining": "0.00"}
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

_PAYMENT: Final = _whole(
    Payment,
    {
        "id": 9,
        "plan": 1,
        "amount": "33.34",
        "currency": "SAR",
        "state": "succeeded",
        "method": "card",
        "reference": "",
        **dict.fromkeys(("refunded", "refunding", "reversed", "lost", "regained"), "0.00"),
        "created_at": "2026-08-30T09:15:02.004131Z",
        "settled_at": "2026-08-30T09:15:02.120044Z",
        "value_at": "2026-08-30T09:15:02.054131Z",
        "gateway_reference": "ch_4f1b9d0c2a7e",
        "updated_at": "2026-08-30T09:15:02.120044Z",
        "metadata": {"till": "2"},
        "installments": [{"installment": 1, "amount": "33.34"}],
    },
)
_SAVED: Final[dict[str, Any]] = {
    "id": 3,
    "token": "pm_5f0c1d7be93a40c8a1c2d3e4f5061728",
    "created_at": "2026-08-29T18:20:11.730020Z",
}

_SHAPES: Final[dict[str, Any]] = {
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
    "Login": {"username": "amal", "password": "seven green boats", "merchant": 7},
    "Refresh": {"refresh": "eyJhbGciOiJIUzI1NiIs..."},
    "Tokens": {"access": "eyJhbGciOiJIUzI1NiIs...", "refresh": "eyJhbGciOiJIUzI1NiIs..."},
    "Account": {
        "id": 7,
        "username": "amal",
        "email": "amal@example.com",
        "role": "merchant",
        "email_proven": True,
    },
    "Code": {"code": "123456"},
    "NewEmail": {"email": "amal@example.com"},
    "Proof": {"email": "amal@example.com", "expires_at": "2026-08-31T12:15:00Z"},
    "Me": {
        "id": 7,
        "username": "amal",
        "email": "amal@example.com",
        "email_proven": True,
        "role": "merchant",
        "merchant": 7,
        "memberships": [{"merchant": 7, "name": "Amal's Bakery", "role": "owner"}],
    },
    "MerchantMembership": {"merchant": 7, "name": "Amal's Bakery", "role": "owner"},
    "PlanTerms": _TERMS,
    "OwnInstallment": {"amount": "40.00", "due_date": "2026-08-31"},
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
        "deposit": None,
        "installments": [
            {"number": 1, "amount": "33.34", "due_date": "2026-08-31"},
            {"number": 2, "amount": "33.33", "due_date": "2026-09-30"},
            {"number": 3, "amount": "33.33", "due_date": "2026-10-31"},
        ],
    },
    "Installment": _INSTALLMENT,
    "PaidInstallment": {**_PAID, "payment": {"id": 9, "state": "succeeded"}},
    "Plan": _PLAN,
    "MetadataChange": {"metadata": {"branch": "Olaya", "till": None}},
    "NewRecordedPayment": {
        "amount": "33.34",
        "method": "transfer",
        "received_on": "2026-08-30",
        "reference": "RF18 5390 0754 7034",
        "external_id": "receipt-2031",
        "expected": "100.00",
    },
    "NewRefund": {"amount": "20.00", "reason": "A layer was missing", "expected": "33.34"},
    "Refund": _REFUND,
    "RefundAnswer": {
        "plan": 1,
        "currency": "SAR",
        "amount": "20.00",
        "refunded": "20.00",
        "refunding": "0.00",
        "declined": "0.00",
        "refunds": [_REFUND],
    },
    "NewCredit": {"amount": "10.00", "how": "last", "reason": "Delivered late", "expected": "100.00"},
    "NewReschedule": {"how": "shift", "days": 14, "reason": "Salary comes later", "expected": "100.00"},
    "NewWriteOff": {"reason": "The customer can't be found", "expected": "100.00"},
    "NewCancellation": {"reason": "The cake was returned", "refund": "20.00", "expected": "66.66"},
    "NewReversal": {"reason": "The bank wrote"},
    "NewVoid": {"reason": "Written down twice", "expected": "33.34"},
    "CancelledPlan": {
        **_PLAN,
        "status": "cancelled",
        "closed_by": "cancel",
        "paid": "33.34",
        "credited": "66.66",
        "remaining": "0.00",
        "refunding": "20.00",
        "installments": [
            _PAID,
            {**_SECOND, **_VOID, "credited": "33.33"},
            {**_THIRD, **_VOID, "credited": "33.33"},
        ],
        "refunds": [{"id": 4, "payment": 9, "amount": "20.00"}],
    },
    "Nothing": {},
    **AGREEMENTS,
    "CustomerEmail": {"customer_email": "layla@example.com"},
    "LinkChoice": {"kind": "customer"},
    "Link": {
        "kind": "pay",
        "works": True,
        "url": "https://pay.example.org/invitations/9PzqV8b3mJ0Yw1kT5sRxN7uHcLgE2aDfQoZiWtXyBvM",
        "created_at": "2026-08-23T04:12:34.309931Z",
        "expires_at": "2026-09-22T04:12:34.309931Z",
        "mailed_at": None,
        "opened_at": None,
    },
    "RenewedLink": {
        "kind": "customer",
        "created_at": "2026-08-23T04:12:34.309931Z",
        "expires_at": "2026-09-22T04:12:34.309931Z",
    },
    "RevokedLink": {"kind": "pay"},
    "AutomaticPaymentChoice": {"payment_method": _SAVED["token"]},
    "TimelineEntry": {
        "kind": "credit.given",
        "created_at": "2026-09-02T10:00:00.000120Z",
        "by": "merchant",
        "name": "amal",
        "amount": "10.00",
        "reason": "Delivered late",
        "cause": None,
        "installment": None,
        "payment": None,
        "refund": None,
    },
    "ReminderRules": {"days": [-3, 0, 7], "sending_hour": 9},
    "ReminderRulesChange": {"days": [-3, 0, 7]},
    "DashboardFigures": _FIGURES,
    "Dashboard": {**_FIGURES, "by_currency": [{**_FIGURES, "currency": "KWD", "total_revenue": 120.5}]},
    "Buckets": _BUCKETS,
    "AgeingReport": {
        **_BUCKETS,
        "by_currency": [
            {
                **dict.fromkeys(_BUCKETS, "0.000"),
                "currency": "KWD",
                "outstanding": "12.500",
                "not_due": "12.500",
            }
        ],
    },
    **WEBHOOKS,
    **PARTS,
    "PublishedEvent": {
        "id": "evt_5f0c1d7be93a40c8a1c2d3e4f5061728",
        "type": "plan.created",
        "created_at": "2026-08-23T04:12:34.309931Z",
        "version": 1,
        "plan": 1,
        "object": {"type": "plan", "id": 1},
        "data": _PLAN,
    },
    "Merchant": _MERCHANT,
    "ProposalAnswer": {"proposal": 5},
    "NoticeChange": {"on": ["paid", "late", "bounced", "disputed"], "at_once": False},
    "NoticeChoice": {"on": ["paid", "late", "bounced", "disputed"], "at_once": False},
    "RescheduleProposal": {
        "id": 5,
        "plan": 1,
        "state": "open",
        "before": [{"due_date": "2026-10-31", "amount": "66.66"}],
        "after": [{"due_date": "2026-10-15", "amount": "66.66"}],
        "reason": "The shop closes in November",
        "created_at": "2026-09-30T09:15:02.004131Z",
        "expires_at": "2026-10-14T09:15:02.004131Z",
        "ended_at": None,
    },
    "CustomerWords": {"name": "Omar"},
    "MerchantChange": {"grace_days": 3, "withdrawal_days": 14},
    "Customer": {
        "id": 2,
        "name": "omar",
        "email": "omar@example.com",
        "phone": "+966501234567",
        "note": "Prefers the evening",
        "has_account": True,
        "muted": False,
        "plans": 3,
        "open_plans": 1,
        "outstanding": {"SAR": "66.66"},
        "overdue": {"SAR": "33.33"},
        "created_at": "2026-08-23T04:12:34.309931Z",
    },
}

_ANY_METHOD: Final = OfferedMethod("tok_1f9a", "Visa", "4242")
"""The method in the examples of a gateway that offers none."""


def shapes(methods: Sequence[OfferedMethod]) -> dict[str, Any]:
    """An example of each schema by its name, with the first of the gateway's methods."""
    method = next(iter(methods), _ANY_METHOD)
    return _SHAPES | {
        "Pay": {"payment_method": method.token, "amount": "33.34"},
        "Payment": {**_PAYMENT, "payment_method": method.token},
        "PayPlan": {"choice": "amount", "amount": "50.00", "payment_method": method.token, "expected": "100.00"},
        "PayShop": {"expected": "33.34", "payment_method": method.token},
        "NewPaymentMethod": {"card": method.token},
        "AutomaticPayment": {
            "plan": 1,
            "on": True,
            "payment_method": {**_SAVED, "brand": method.brand, "last4": method.last4},
            "since": "2026-08-30T09:15:02.120044Z",
        },
        "SavedPaymentMethod": {**_SAVED, "brand": method.brand, "last4": method.last4},
    }


_UNKNOWN: Final = {"invalid": ("page", "size"), "unknown_parameter": ("page",)}
"""The unknown query parameters in the examples. A request with several faults has the code `invalid`."""


def problem(status: int, code: str, known: Sequence[str] = ()) -> dict[str, Any]:
    """The problem document with this code in English, for an endpoint that accepts the `known` query parameters."""
    with in_language(SOURCE):
        if code in _UNKNOWN:
            faults = [parsing.unknown_parameter(name, known) for name in _UNKNOWN[code]]
            return problems.document(Invalid(*faults, known=list(known)))
        if code in UNREADABLE:
            title = HTTPStatus(status).phrase
            kind = f"urn:qist:problem:{code}"
            return {"type": kind, "title": title, "status": status, "detail": UNREADABLE[code][1], "code": code}
        document = problems.document(REFUSED.get(code) or HttpRefusal(status))
        return {**document, "title": http_status(status), "status": status}
