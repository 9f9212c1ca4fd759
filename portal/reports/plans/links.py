"""The links of a plan, and the mail that brought the customer's link, for the plan's business."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import Select, select

from portal.domain import clock
from portal.extensions import db
from portal.models import Email, Invitation, Plan
from portal.models.plans.invitations import LinkKind
from portal.reports.parameters import CUSTOMER, PLAN


@dataclass(frozen=True, slots=True)
class PlanLinks:
    """The newest link of each kind, ended or not, and the newest invitation by mail (None after its retention)."""

    pay: Invitation | None
    customer: Invitation | None
    mail: Email | None


def links_of(plan: Plan) -> PlanLinks:
    """The plan's links, for its business."""
    newest: dict[LinkKind, Invitation] = {}
    for link in db.session.scalars(_links(), {"plan_id": plan.id}):
        newest[link.kind] = link
    mail = db.session.scalar(_mail(), {"plan_id": plan.id, "customer_id": plan.customer_id})
    return PlanLinks(newest.get("pay"), newest.get("customer"), mail)


@cache
def _links() -> Select[Invitation]:
    return select(Invitation).where(Invitation.plan_id == PLAN).order_by(Invitation.id)


@cache
def _mail() -> Select[Email]:
    mails = select(Email).where(Email.to_user_id == CUSTOMER, Email.plan_id == PLAN, Email.kind == "invitation")
    return mails.order_by(Email.id.desc()).limit(1)


def works(link: Invitation | None, now: datetime | None = None) -> bool:
    """Whether this link opens its plan at `now` (aware; by default the present)."""
    if link is None or link.revoked_at is not None or link.claimed_at is not None:
        return False
    return link.expires_at > (now or clock.now())
