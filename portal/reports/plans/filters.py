"""Filters of the lists of plans and installments. Pages, files and the API pass them whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from portal.reports.ranges import ANY_TIME, Between


@dataclass(frozen=True, slots=True)
class PlanFilters:
    """A field that is None or empty does not narrow the list.

    `status` is one of PLAN_STATUSES, "unaccepted", "disputed" or "unopened": nothing was paid, and the link that was
    mailed to the customer two days ago or earlier was never opened. `disputed` selects the plans that their customers
    dispute, or the others. `closed_by` is one of CLOSED_BY, why a plan is closed. `customer_email` is a whole address,
    `external_id` the merchant's own number for the plan. A merchant's `search` is looked for in the customer, the
    description and that number (reports/search.py), a customer's in the description. `import_id` is the import that the
    plans came with. `due_before` and `due_after` are
    local dates, both exclusive, and apply to the oldest open installment: a plan with nothing left to pay passes
    neither. `metadata` are names with their texts, which a plan has all.
    """

    status: str | None = None
    disputed: bool | None = None
    closed_by: str | None = None
    customer_email: str | None = None
    customer_id: int | None = None
    import_id: int | None = None
    external_id: str | None = None
    search: str | None = None
    currency: str | None = None
    due_before: date | None = None
    due_after: date | None = None
    created: Between = ANY_TIME
    updated: Between = ANY_TIME
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class InstallmentFilters:
    """A field that is None or empty does not narrow the list.

    `status` is "open", "counted" (paid or open), "past" (counted, and its time to be paid has passed) or one of
    INSTALLMENT_STATUSES. With `replaced` the installments that a rescheduling replaced are listed, too. `due_before`
    and `due_after` are local dates, both exclusive. `external_id`, `metadata` and the range `created` are those of the
    plan. A merchant's `search` finds the installments of the plans that it finds, and those of a typed amount.
    """

    plan_id: int | None = None
    replaced: bool = False
    status: str | None = None
    customer_email: str | None = None
    customer_id: int | None = None
    currency: str | None = None
    due_before: date | None = None
    due_after: date | None = None
    external_id: str | None = None
    search: str | None = None
    created: Between = ANY_TIME
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)


ALL_PLANS: Final = PlanFilters()
ALL_INSTALLMENTS: Final = InstallmentFilters()
