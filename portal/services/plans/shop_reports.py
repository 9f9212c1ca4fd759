"""Reports of customers who don't know the shop: the customer's link takes them, and operators look at them."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from portal.domain import clock
from portal.domain.events import ShopCleared, ShopReported
from portal.domain.permissions import Actor
from portal.errors import NotFound
from portal.extensions import db
from portal.models import Plan, ShopReport
from portal.services import emails, events
from portal.services.accounts import operators
from portal.services.plans import invitations
from portal.services.unit_of_work import unit_of_work

KIND = "shop_reported"
CLEARED = "shop_report_cleared"
"""The kinds of the mails to operators."""


@unit_of_work
def report(token: str) -> None:
    """Record, once for each link, that the holder of this customer's link does not know the shop.

    The plan causes no reminders until an operator has looked. Every operator gets a mail. Refuses: not_found (a pay
    link, or the link is unknown, claimed, revoked or lapsed); busy.
    """
    invitation = invitations.find(token)
    if invitation is None or invitation.kind != "customer":
        raise NotFound("invitation")
    plan = Plan.lock(invitation.plan_id)
    if plan is None:
        raise NotFound("invitation")
    now = clock.now()
    row = {"invitation_id": invitation.id, "plan_id": plan.id, "merchant_id": plan.merchant_id, "created_at": now}
    new = insert(ShopReport).values(row).on_conflict_do_nothing(index_elements=["invitation_id"])
    report_id = db.session.scalar(new.returning(ShopReport.id))
    if report_id is None:
        return
    plan.reported_at = now
    events.record(ShopReported(), plan_id=plan.id, by=None)
    _tell_operators(KIND, report_id)


@unit_of_work
def clear(report_id: int, *, actor: Actor) -> None:
    """An operator found nothing wrong with the shop: the plan's reminders go on. All operators are told.

    A repetition changes nothing.

    Refuses: forbidden; not_found; busy.
    """
    actor.require("operate")
    plan_id = db.session.scalar(select(ShopReport.plan_id).where(ShopReport.id == report_id))
    plan = Plan.lock(plan_id) if plan_id is not None else None
    if plan is None:
        raise NotFound()
    report = db.session.get_one(ShopReport, report_id, with_for_update=True, populate_existing=True)
    if report.cleared_at is not None:
        return
    report.cleared_at, report.cleared_by = clock.now(), actor.user_id
    db.session.flush()
    _tell_operators(CLEARED, report_id)
    others = ShopReport.open().where(ShopReport.plan_id == plan.id).exists()
    if plan.reported_at is not None and not db.session.scalar(select(others)):
        plan.reported_at = None
        events.record(ShopCleared(), plan_id=plan.id, by=actor.user_id)


def _tell_operators(kind: str, report_id: int) -> None:
    for operator_id in operators.operator_ids():
        emails.post(
            kind,
            to_user_id=operator_id,
            dedupe_key=f"{kind}:{report_id}:{operator_id}",
            data={"report_id": report_id},
        )
