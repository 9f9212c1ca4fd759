"""The first steps of a new business: its details, a plan, and a customer who has seen it."""

from dataclasses import dataclass
from functools import cache

from sqlalchemy import Select, func, or_, select

from portal.extensions import db
from portal.models import Invitation, Letterhead, Merchant, Payment, Plan, PlanDraft
from portal.reports.parameters import MERCHANT


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """The steps that are done, by facts of the database.

    `plan` is the id of the newest plan. `drafted`: the business waits for approval and has a draft in place of it.
    `seen`: a customer opened a link, has an account, accepted or paid.
    """

    details: bool
    drafted: bool
    seen: bool
    plan: int | None

    @property
    def done(self) -> tuple[bool, bool, bool]:
        return self.details, self.drafted or self.plan is not None, self.seen


def first_steps(merchant: Merchant) -> FirstSteps | None:
    """The steps of this business, in one statement. None once all are done or a member hid them."""
    if merchant.first_steps_hidden_at is not None:
        return None
    details, drafted, seen, plan = db.session.execute(_statement(), {"merchant_id": merchant.id}).one()
    steps = FirstSteps(details, drafted, seen, plan)
    return None if all(steps.done) else steps


@cache
def _statement() -> Select[bool, bool, bool, int | None]:
    mine = Plan.merchant_id == MERCHANT
    opened = select(Invitation.id).join(Plan, Plan.id == Invitation.plan_id)
    opened = opened.where(mine, or_(Invitation.opened_at.is_not(None), Invitation.claimed_at.is_not(None)))
    reachable = or_(Letterhead.email != "", Letterhead.phone != "", Letterhead.address != "")
    return select(
        select(Letterhead.merchant_id).where(Letterhead.merchant_id == MERCHANT, reachable).exists(),
        select(PlanDraft.id).where(PlanDraft.merchant_id == MERCHANT).exists(),
        or_(
            select(Payment.id).where(Payment.merchant_id == MERCHANT).exists(),
            select(Plan.id).where(mine, Plan.accepted_at.is_not(None)).exists(),
            opened.exists(),
        ),
        select(func.max(Plan.id)).where(mine).scalar_subquery(),
    )
