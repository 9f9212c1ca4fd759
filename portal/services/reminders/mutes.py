"""A merchant keeps quiet about a plan, or towards a customer. What was not said meanwhile is not made up for."""

from sqlalchemy import insert, literal, select
from sqlalchemy.dialects.postgresql import insert as upsert

from portal.domain import clock
from portal.errors import NotFound
from portal.extensions import db
from portal.models import Event, Mute, Plan
from portal.services import events
from portal.services.unit_of_work import unit_of_work


@unit_of_work
def mute_plan(plan_id: int, *, merchant_id: int) -> None:
    """No reminders of this plan any more; a mail that is about to be sent leaves it out. Refuses: not_found."""
    plan = _mine(plan_id, merchant_id)
    if plan.muted_at is None:
        plan.muted_at = clock.now()
        events.record("reminders.muted", plan.id, by=merchant_id)


@unit_of_work
def unmute_plan(plan_id: int, *, merchant_id: int) -> None:
    """Reminders of this plan again, from the next one on. Refuses: not_found."""
    plan = _mine(plan_id, merchant_id)
    if plan.muted_at is not None:
        plan.muted_at = None
        events.record("reminders.unmuted", plan.id, by=merchant_id)


@unit_of_work
def mute_customer(customer_id: int, *, merchant_id: int) -> None:
    """No reminders from this merchant to this customer any more. Refuses: not_found (no plan between them)."""
    _known(customer_id, merchant_id)
    made = db.session.execute(
        upsert(Mute)
        .values(merchant_id=merchant_id, customer_id=customer_id, created_at=clock.now())
        .on_conflict_do_nothing()
        .returning(Mute.customer_id)
    ).all()
    if made:
        _note("customer.muted", customer_id, merchant_id)


@unit_of_work
def unmute_customer(customer_id: int, *, merchant_id: int) -> None:
    """Reminders to this customer again, from the next one on. Refuses: not_found (no plan between them)."""
    _known(customer_id, merchant_id)
    mute = db.session.get(Mute, (merchant_id, customer_id), with_for_update=True)
    if mute is not None:
        db.session.delete(mute)
        _note("customer.unmuted", customer_id, merchant_id)


def _mine(plan_id: int, merchant_id: int) -> Plan:
    plan = Plan.lock(plan_id)
    if plan is None or plan.merchant_id != merchant_id:
        raise NotFound()
    return plan


def _known(customer_id: int, merchant_id: int) -> None:
    theirs = Plan.of_merchant(merchant_id).where(Plan.customer_id == customer_id)
    if db.session.scalar(theirs.with_only_columns(Plan.id).limit(1)) is None:
        raise NotFound()


def _note(kind: str, customer_id: int, merchant_id: int) -> None:
    """On the timeline of every plan between them that is still going on."""
    plans = select(Plan.id, literal(kind), literal(merchant_id), literal(clock.now())).where(
        Plan.merchant_id == merchant_id, Plan.customer_id == customer_id, Plan.state == "active"
    )
    db.session.execute(insert(Event).from_select(["plan_id", "kind", "actor_id", "created_at"], plans))
