"""Mutes: a merchant stops the reminders of a plan, or to a customer. Reminders missed meanwhile are not caught up."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from portal.domain import clock
from portal.domain.events import CustomerMuted, CustomerUnmuted, Payload, RemindersMuted, RemindersUnmuted
from portal.errors import NotFound
from portal.extensions import db
from portal.models import Mute, Plan
from portal.services import events
from portal.services.unit_of_work import unit_of_work


@unit_of_work
def mute_plan(plan_id: int, *, merchant_id: int) -> None:
    """Stop the reminders of this plan; a mail that waits leaves the plan out. Refuses: not_found."""
    plan = _lock_plan(plan_id, merchant_id)
    if plan.muted_at is None:
        plan.muted_at = clock.now()
        events.record(RemindersMuted(), plan_id=plan.id, by=merchant_id)


@unit_of_work
def unmute_plan(plan_id: int, *, merchant_id: int) -> None:
    """Resume the reminders of this plan with the next one. Refuses: not_found."""
    plan = _lock_plan(plan_id, merchant_id)
    if plan.muted_at is not None:
        plan.muted_at = None
        events.record(RemindersUnmuted(), plan_id=plan.id, by=merchant_id)


@unit_of_work
def mute_customer(customer_id: int, *, merchant_id: int) -> None:
    """Stop this merchant's reminders to this customer. Refuses: not_found (no plan between them)."""
    _check_customer(customer_id, merchant_id)
    new_rows = db.session.execute(
        upsert(Mute)
        .values(merchant_id=merchant_id, customer_id=customer_id, created_at=clock.now())
        .on_conflict_do_nothing()
        .returning(Mute.customer_id)
    ).all()
    if new_rows:
        _record_event(CustomerMuted(), customer_id, merchant_id)


@unit_of_work
def unmute_customer(customer_id: int, *, merchant_id: int) -> None:
    """Resume the reminders to this customer with the next one. Refuses: not_found (no plan between them)."""
    _check_customer(customer_id, merchant_id)
    mute = db.session.get(Mute, (merchant_id, customer_id), with_for_update=True)
    if mute is not None:
        db.session.delete(mute)
        _record_event(CustomerUnmuted(), customer_id, merchant_id)


def _lock_plan(plan_id: int, merchant_id: int) -> Plan:
    plan = Plan.lock(plan_id)
    if plan is None or plan.merchant_id != merchant_id:
        raise NotFound()
    return plan


def _check_customer(customer_id: int, merchant_id: int) -> None:
    query = Plan.of_merchant(merchant_id).where(Plan.customer_id == customer_id)
    if db.session.scalar(query.with_only_columns(Plan.id).limit(1)) is None:
        raise NotFound()


def _record_event(payload: Payload, customer_id: int, merchant_id: int) -> None:
    """Write the event on the timeline of every active plan between them."""
    plans = select(Plan.id).where(
        Plan.merchant_id == merchant_id, Plan.customer_id == customer_id, Plan.state == "active"
    )
    events.record_all([(plan_id, payload) for plan_id in db.session.scalars(plans)], by=merchant_id)
