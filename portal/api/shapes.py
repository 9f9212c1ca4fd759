"""What goes in and out, as msgspec shapes; the OpenAPI document is made of them."""

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from portal import models, money
from portal.api.reading import Amount, Day, whole
from portal.reports.ageing import Ageing
from portal.reports.dashboard import Figures
from portal.reports.paging import MAX_LIMIT
from portal.schedule import MAX_INSTALLMENTS, Interval, Row

Money = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]{1,3})?$", description="Decimal text with the currency's digits.")]
Number = Annotated[Any, Meta(extra_json_schema={"type": "number"})]
"""A Decimal, written as an exact JSON number."""
Id = Annotated[int, Meta(ge=1)]
Instant = Annotated[datetime, Meta(tz=True, description="RFC 3339, UTC.")]
Text = Annotated[str, Meta(max_length=1000)]
PlanStatus = Literal["active", "overdue", "completed", "cancelled"]
InstallmentStatus = Literal["pending", "late", "paid", "waived", "cancelled", "written_off"]
PaymentState = Literal["in_flight", "succeeded", "declined"]


class In(Struct, forbid_unknown_fields=True, kw_only=True):
    """What a caller sends. Fields that are not known are refused."""


class Out(Struct, kw_only=True):
    """What a caller gets. More fields may come; none of these goes."""


class Registration(In, kw_only=True):
    """A new account. The last three are a merchant's, and can be changed on its settings page."""

    username: Text = ""
    email: Text = ""
    password: Text = ""
    password2: Annotated[Text, Meta(description="The password once more.")] = ""
    role: Annotated[Text, Meta(extra_json_schema={"enum": ["merchant", "customer"]})] = ""
    business_name: Annotated[Text, Meta(description="What customers know the merchant by; else the username.")] = ""
    home_currency: Annotated[Text, Meta(description="ISO 4217 code.")] = "USD"
    time_zone: Annotated[Text, Meta(description="IANA name, such as Asia/Riyadh.")] = "UTC"


class Login(In, kw_only=True):
    """Who signs in: a username, or the email in its place."""

    username: Text
    password: Text


class Refresh(In, kw_only=True):
    """The refresh token of the last pair."""

    refresh: str


class Tokens(Out, kw_only=True):
    """Send `access` as Bearer; exchange `refresh` for the next pair when it expires."""

    access: str
    refresh: str


class Account(Out, kw_only=True):
    """An account."""

    id: Id
    username: str
    email: str
    role: Literal["merchant", "customer", "operator"]


Metadata = Annotated[
    dict[str, str],
    Meta(description="Texts of your own: up to 20, names of up to 40 letters, texts of up to 500.", max_length=20),
]


class PlanTerms(In, kw_only=True):
    """A plan to be: how much, in how many installments, from when. In the merchant's home currency."""

    total_amount: Annotated[Amount, Meta(description="A decimal string, or a JSON number, which is read as its text.")]
    num_installments: Annotated[Any, whole(1, MAX_INSTALLMENTS)]
    start_date: Day
    interval: Interval = "monthly"
    customer_email: Text | None = None


class NewPlan(PlanTerms, kw_only=True):
    """A purchase to split. A customer who is not known yet is invited."""

    customer_email: Text
    description: Annotated[Text, Meta(description="What was bought; the customer sees it.")] = ""
    external_id: Annotated[
        Text | None, Meta(description="Your own name for the plan: sent again, it is the same plan.")
    ] = None
    metadata: Metadata = field(default_factory=dict)


class ScheduleRow(Out, kw_only=True):
    """One installment to be."""

    number: int
    amount: Money
    due_date: date


class Preview(Out, kw_only=True):
    """What a plan would be. Nothing was made."""

    total_amount: Money
    currency: str
    num_installments: int
    interval: Interval
    start_date: date
    installments: list[ScheduleRow]


class Installment(Out, kw_only=True):
    """One part of a plan. `late` once its date and the grace days have passed where the merchant is."""

    id: Id
    plan: Id
    number: int
    amount: Money
    currency: str
    due_date: date
    status: InstallmentStatus
    paid_at: Instant | None
    remaining: Money


class PaymentRef(Out, kw_only=True):
    """The payment that was made, and its state."""

    id: Id
    state: PaymentState


class PaidInstallment(Installment, kw_only=True):
    """The installment after the payment."""

    payment: PaymentRef


class Plan(Out, kw_only=True):
    """A purchase in installments. `overdue` as soon as one of them is late."""

    id: Id
    merchant: Id
    customer: Id
    customer_email: str
    total_amount: Money
    currency: str
    num_installments: int
    interval: Interval
    start_date: date
    status: PlanStatus
    description: str
    external_id: str | None
    metadata: dict[str, Any]
    created_at: Instant
    updated_at: Instant
    installments: list[Installment]


class Pay(In, kw_only=True):
    """How to pay. Without anything: what is owed, with the test card that succeeds."""

    payment_method: Annotated[
        Text | None,
        Meta(description="card_ok, card_declined, card_insufficient_funds, card_lost_charged, card_lost_not_charged."),
    ] = None
    amount: Annotated[Amount | None, Meta(description="What you take to be owed; another amount is 409.")] = None


class Part(Out, kw_only=True):
    """How much of a payment goes to which installment."""

    installment: Id
    amount: Money


class Payment(Out, kw_only=True):
    """One attempt to move money. `in_flight` until the gateway's answer is known."""

    id: Id
    plan: Id
    amount: Money
    currency: str
    state: PaymentState
    payment_method: str
    decline_code: str | None
    created_at: Instant
    settled_at: Instant | None
    installments: list[Part]


class DashboardFigures(Out, kw_only=True):
    """Totals in one currency."""

    currency: str
    total_revenue: Number
    overdue_installments: int
    success_rate: Annotated[Number, Meta(description="Paid installments of all that count, in percent.")]


class Dashboard(DashboardFigures, kw_only=True):
    """Totals in the home currency; `by_currency` has any others."""

    by_currency: list[DashboardFigures]


class Buckets(Out, kw_only=True):
    """What is owed, by how many days past due it is. The five add up to `outstanding`."""

    currency: str
    outstanding: Money
    not_due: Money
    days_1_30: Money
    days_31_60: Money
    days_61_90: Money
    days_over_90: Money


class AgeingReport(Buckets, kw_only=True):
    """In the home currency; `by_currency` has any others."""

    by_currency: list[Buckets]


class FaultShape(Out, kw_only=True):
    """One thing that is wrong with what was sent."""

    pointer: Annotated[str, Meta(description="Which field (JSON pointer), or which parameter.")]
    detail: str
    code: str


class Problem(Out, kw_only=True):
    """Why it was refused (RFC 9457). `code` is stable; `errors` lists every fault of a 422."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FaultShape] = field(default_factory=list)


class PageQuery(In, kw_only=True):
    """Which page of a list."""

    limit: Annotated[Any, whole(1, MAX_LIMIT)] = 50
    cursor: Annotated[Text | None, Meta(description="From the Link header of the page before.")] = None


class PlanQuery(PageQuery, kw_only=True):
    """Which plans."""

    status: PlanStatus | None = None
    customer_email: Annotated[Text | None, Meta(description="The whole address, in any case.")] = None
    sort: Annotated[Literal["-id", "id"], Meta(description="Newest first, or oldest first.")] = "-id"


class InstallmentQuery(PageQuery, kw_only=True):
    """Which installments. Both dates are exclusive."""

    status: InstallmentStatus | None = None
    customer_email: Annotated[Text | None, Meta(description="The whole address, in any case.")] = None
    due_before: Day | None = None
    due_after: Day | None = None
    sort: Annotated[Literal["due_date", "-due_date"], Meta(description="Soonest due first, or last.")] = "due_date"


class PaymentQuery(PageQuery, kw_only=True):
    """Which payments."""

    status: PaymentState | None = None
    sort: Annotated[Literal["-id", "id"], Meta(description="Newest first, or oldest first.")] = "-id"


def plan(row: models.Plan) -> Plan:
    return Plan(
        id=row.id,
        merchant=row.merchant_id,
        customer=row.customer_id,
        customer_email=row.customer.email,
        total_amount=money.plain(row.total, row.currency),
        currency=row.currency,
        num_installments=row.num_installments,
        interval=row.interval,
        start_date=row.start_date,
        status=row.status,  # type: ignore[arg-type]
        description=row.description,
        external_id=row.external_id,
        metadata=row.notes,
        created_at=row.created_at,
        updated_at=row.updated_at,
        installments=[installment(part) for part in row.installments],
    )


def installment(row: models.Installment) -> Installment:
    return Installment(**_installment(row))


def paid_installment(row: models.Installment, payment: models.Payment) -> PaidInstallment:
    return PaidInstallment(**_installment(row), payment=PaymentRef(id=payment.id, state=payment.state))


def _installment(row: models.Installment) -> dict[str, Any]:
    return {
        "id": row.id,
        "plan": row.plan_id,
        "number": row.number,
        "amount": money.plain(row.amount, row.currency),
        "currency": row.currency,
        "due_date": row.due_date,
        "status": row.status,
        "paid_at": row.paid_at,
        "remaining": money.plain(row.remaining, row.currency),
    }


def preview(currency: str, total: int, interval: Interval, rows: list[Row]) -> Preview:
    return Preview(
        total_amount=money.plain(total, currency),
        currency=currency,
        num_installments=len(rows),
        interval=interval,
        start_date=rows[0].due_date,
        installments=[
            ScheduleRow(number=row.number, amount=money.plain(row.amount, currency), due_date=row.due_date)
            for row in rows
        ],
    )


def payment(row: models.Payment) -> Payment:
    return Payment(
        id=row.id,
        plan=row.plan_id,
        amount=money.plain(row.amount, row.currency),
        currency=row.currency,
        state=row.state,
        payment_method=row.method,
        decline_code=row.decline_code,
        created_at=row.created_at,
        settled_at=row.settled_at,
        installments=[
            Part(installment=part.installment_id, amount=money.plain(part.amount, row.currency))
            for part in row.allocations
        ],
    )


def dashboard(home: Figures, others: Iterable[Figures]) -> Dashboard:
    return Dashboard(**_figures(home), by_currency=[DashboardFigures(**_figures(other)) for other in others])


def _figures(found: Figures) -> dict[str, Any]:
    return {
        "currency": found.currency,
        "total_revenue": Decimal(money.plain(found.collected, found.currency)),
        "overdue_installments": found.overdue_installments,
        "success_rate": found.success_rate,
    }


def ageing(home: Ageing, others: Iterable[Ageing]) -> AgeingReport:
    return AgeingReport(**_buckets(home), by_currency=[Buckets(**_buckets(other)) for other in others])


def _buckets(found: Ageing) -> dict[str, Any]:
    names = ("outstanding", "not_due", "days_1_30", "days_31_60", "days_61_90", "days_over_90")
    amounts = {name: money.plain(getattr(found, name), found.currency) for name in names}
    return {"currency": found.currency, **amounts}


def account(row: models.User) -> Account:
    return Account(id=row.id, username=row.username or "", email=row.email, role=row.role)
