"""Proposals of other days: what a plan's pages and the API show of the newest one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import select

from portal.domain import clock
from portal.extensions import db
from portal.models import Installment, Plan, RescheduleProposal
from portal.reports.plans.rows import PlanRow

State = Literal["open", "accepted", "declined", "withdrawn", "lapsed", "void"]
"""An open proposal whose time ran out is "lapsed", and one whose plan changed meanwhile is "void"."""


@dataclass(frozen=True, slots=True)
class DueAmount:
    """An amount in minor units, and its local due date."""

    due_date: date
    amount: int


@dataclass(frozen=True, slots=True)
class ProposalFacts:
    """A proposal with the open days and amounts before and after it. `reason` is None once it is erased.

    Instants are aware. `expires_at` is the end of the time to answer, `ended_at` the instant of the answer.
    """

    id: int
    plan_id: int
    currency: str
    state: State
    before: tuple[DueAmount, ...]
    after: tuple[DueAmount, ...]
    reason: str | None
    proposed_at: datetime
    expires_at: datetime
    ended_at: datetime | None

    @property
    def last_moment(self) -> datetime:
        """The last second in which the customer may answer: at midnight, pages name the day that ends."""
        return self.expires_at - timedelta(seconds=1)


def newest(plan: Plan) -> ProposalFacts | None:
    """The newest proposal of the plan; None without one. The caller checks access."""
    query = select(RescheduleProposal).where(RescheduleProposal.plan_id == plan.id)
    row = db.session.scalar(query.order_by(RescheduleProposal.id.desc()).limit(1))
    return facts(row, plan) if row is not None else None


def open_of(plan: Plan | PlanRow, rows: Sequence[Any]) -> ProposalFacts | None:
    """The proposal that the customer may answer now; None without one. Reads the plan's loaded proposal.

    `rows` are its installments, as rows or snapshots.
    """
    if plan.open_proposal is None:
        return None
    found = facts(plan.open_proposal, plan, rows)
    return found if found.state == "open" else None


def facts(row: RescheduleProposal, plan: Plan | PlanRow, rows: Sequence[Any] | None = None) -> ProposalFacts:
    """The facts of a proposal. `rows` are the plan's installments, read now without them."""
    before, after = before_and_after(row)
    return ProposalFacts(
        id=row.id,
        plan_id=row.plan_id,
        currency=plan.currency,
        state=state_of(row, plan, rows),
        before=before,
        after=after,
        reason=row.reason,
        proposed_at=row.proposed_at,
        expires_at=row.expires_at,
        ended_at=row.ended_at,
    )


def state_of(row: RescheduleProposal, plan: Plan | PlanRow, rows: Sequence[Any] | None = None) -> State:
    """The state now. An open proposal is void if another amount, day or customer takes part by now."""
    if row.outcome is not None:
        return row.outcome
    if row.expires_at <= clock.now():
        return "lapsed"
    if rows is None:
        rows = list(db.session.scalars(select(Installment).where(Installment.plan_id == plan.id)))
    is_open = {part.id: part.left for part in rows if part.left > 0}
    same = is_open == dict(zip(row.open_ids, row.open_amounts, strict=True)) and row.user_id == plan.customer_id
    return "open" if same and plan.state == "active" else "void"


def before_and_after(row: RescheduleProposal) -> tuple[tuple[DueAmount, ...], tuple[DueAmount, ...]]:
    """The amounts to pay before and after the change, by due date."""
    parts = list(zip(row.open_ids, row.open_days, row.open_amounts, strict=True))
    stays = [DueAmount(due, amount) for part, due, amount in parts if part not in row.closed_ids]
    added = [DueAmount(due, amount) for due, amount in zip(row.new_days, row.new_amounts, strict=True)]
    before = tuple(sorted((DueAmount(due, amount) for _, due, amount in parts), key=_by_day))
    return before, tuple(sorted(stays + added, key=_by_day))


def _by_day(row: DueAmount) -> date:
    return row.due_date
