"""The links of a plan, and the mail that brought the customer's link, for the plan's business."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from portal.domain import clock
from portal.extensions import db
from portal.models import Email, Invitation, Plan
from portal.models.plans.invitations import LinkKind


@dataclass(frozen=True, slots=True)
class PlanLinks:
    """The newest link of each kind, ended or not, and the newest invitation by mail (None after its retention)."""

    pay: Invitation | None
    customer: Invitation | None
    mail: Email | None


def links_of(plan: Plan) -> PlanLinks:
    """The plan's links, for its business."""
    newest: dict[LinkKind, Invitation] = {}
    for link in db.session.scalars(select(Invitation).where(Invitation.plan_id == plan.id).order_by(Invitation.id)):
        newest[link.kind] = link
    mails = select(Email).where(
        Email.to_user_id == plan.customer_id, Email.plan_id == plan.id, Email.kind == "invitation"
    )
    mail = db.session.scalar(mails.order_by(Email.id.desc()).limit(1))
    return PlanLinks(newest.get("pay"), newest.get("customer"), mail)


def works(link: Invitation | None, now: datetime | None = None) -> bool:
    """Whether this link opens its plan at `now` (aware; by default the present)."""
    if link is None or link.revoked_at is not None or link.claimed_at is not None:
        return False
    return link.expires_at > (now or clock.now())
