"""Filters of the lists of payments and refunds. Pages, files and the API pass them whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from portal.models.payments.payments import PaymentWay
from portal.models.payments.refunds import RefundState
from portal.reports.ranges import ANY_TIME, Between


@dataclass(frozen=True, slots=True)
class PaymentFilters:
    """A field that is None does not narrow the list.

    `state` is one of PAYMENT_STATES, "received" (the money came in) or "refunded" (a refund succeeded or is in flight).
    `since` is inclusive, `until` is exclusive; both are aware instants, and select payments whose money came in
    between them, and of declined payments those that were tried between them. `search` is looked for in customer,
    purchase, number of the plan and amount, for a merchant (reports/search.py). `way` selects payments by card, or
    those recorded as cash or as a transfer. `declined`: declined payments are in the list; a list of receipts has none.
    `created` is about the attempt.
    """

    plan_id: int | None = None
    customer_id: int | None = None
    state: str | None = None
    currency: str | None = None
    search: str | None = None
    way: PaymentWay | None = None
    since: datetime | None = None
    until: datetime | None = None
    declined: bool = True
    created: Between = ANY_TIME
    updated: Between = ANY_TIME
    external_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class RefundFilters:
    """A field that is None does not narrow the list.

    `search` is looked for in customer, purchase, number of the plan and amount, for a merchant (reports/search.py).
    `way` is that of the refunded payment.
    """

    plan_id: int | None = None
    payment_id: int | None = None
    customer_id: int | None = None
    state: RefundState | None = None
    currency: str | None = None
    search: str | None = None
    way: PaymentWay | None = None
    created: Between = ANY_TIME
    updated: Between = ANY_TIME
    external_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)


ALL_PAYMENTS: Final = PaymentFilters()
ALL_REFUNDS: Final = RefundFilters()
