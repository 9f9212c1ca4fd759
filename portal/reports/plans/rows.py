"""The columns of plans that the API lists, read without the rows of the session: a fifth of such a list."""

from dataclasses import dataclass, fields
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final, cast

from sqlalchemy import Select, and_, select

from portal.domain.permissions import Actor
from portal.domain.schedule import PlanInterval
from portal.extensions import db
from portal.models import Merchant, Plan, RescheduleProposal, User
from portal.models.plans.plans import ClosedBy, PlanRules, PlanState
from portal.reports import paging
from portal.reports.paging import Order, Page
from portal.reports.parameters import LIMIT
from portal.reports.parties import stand_in, values_of
from portal.reports.plans import plans
from portal.reports.plans.filters import PlanFilters


@dataclass(slots=True)
class PlanRow(PlanRules):
    """Columns of a plan under the names of Plan. Amounts are minor units, instants aware.

    `open_proposal_id` is the proposal of other days that its customer has not answered, and `open_proposal` its row.
    """

    id: int
    merchant_id: int
    customer_id: int
    description: str
    external_id: str | None
    notes: dict[str, Any]
    total: int
    currency: str
    num_installments: int
    interval: PlanInterval
    start_date: date
    deposit: int | None
    time_zone: str
    state: PlanState
    next_late_at: datetime | None
    created_at: datetime
    updated_at: datetime
    closed_by: ClosedBy | None
    counted: bool
    lapses_at: datetime | None
    accepted_at: datetime | None
    disputed: bool
    disputed_at: datetime | None
    withdrawal_days: int
    delivered_at: datetime | None
    customer_email: str
    merchant_name: str
    open_proposal_id: int | None
    open_proposal: RescheduleProposal | None = None

    @property
    def parties(self) -> tuple[str, str]:
        """As of Plan."""
        return self.customer_email, self.merchant_name


_BESIDE: Final = {
    "customer_email": User.email,
    "merchant_name": Merchant.business_name,
    "open_proposal_id": RescheduleProposal.id,
}
_COLUMNS: Final = [
    _BESIDE[field.name].label(field.name) if field.name in _BESIDE else getattr(Plan, field.name)
    for field in fields(PlanRow)[:-1]
]


def list_plan_rows(
    actor: Actor, filters: PlanFilters, *, newest_first: bool, limit: int, cursor: str | None
) -> Page[PlanRow]:
    """The plans of this merchant or this customer that pass the filters, sorted by id, with open proposals."""
    order = Order((Plan.id,), descending=newest_first)
    if cursor is None and plans.is_common(filters):
        statement = _first_rows(stand_in(actor), filters, order)
        page = paging.read_first_rows(statement, {**values_of(actor), LIMIT.key: limit + 1}, order, limit)
    else:
        page = paging.fetch_rows(_columns(actor, filters), order, limit=limit, cursor=cursor)
    rows = [PlanRow(*cast(tuple[Any, ...], row)) for row in page.items]
    if asked := [row.open_proposal_id for row in rows if row.open_proposal_id is not None]:
        found = db.session.scalars(select(RescheduleProposal).where(RescheduleProposal.id.in_(asked)))
        proposals = {proposal.id: proposal for proposal in found}
        for row in rows:
            row.open_proposal = proposals.get(row.open_proposal_id or 0)
    return Page(rows, page.next_cursor, page.prev_cursor)


@lru_cache(maxsize=32)
def _first_rows(actor: Actor, filters: PlanFilters, order: Order) -> Select[Any]:
    return paging.sort(_columns(actor, filters), order).limit(LIMIT)


def _columns(actor: Actor, filters: PlanFilters) -> Select[Any]:
    asked = and_(RescheduleProposal.plan_id == Plan.id, RescheduleProposal.ended_at.is_(None))
    query = plans.find_plans(actor, filters).join(User, User.id == Plan.customer_id)
    query = query.join(Merchant, Merchant.id == Plan.merchant_id).outerjoin(RescheduleProposal, asked)
    return query.with_only_columns(*_COLUMNS, maintain_column_froms=True)
