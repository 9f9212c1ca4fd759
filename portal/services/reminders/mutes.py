"""Mutes: a merchant stops the reminders of a plan, or to a customer. Reminders missed meanwhile are not caught up."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from portal.domain import clock
from portal.domain.events import CustomerMuted, CustomerUnmuted, Payload, RemindersMuted, RemindersUnmuted
from portal.domain.permissions import Actor
from portal.errors import NotFound
from portal.extensions import db
from portal.models import Mute, Plan
from portal.services import events
from portal.services.accounts import hats
from portal.services.plans import plan_lock
from portal.services.unit_of_work import unit_of_work


@unit_of_work
def mute_plan(plan_id: int, *, actor: Actor) -> None:
    """Stop the reminders of this plan; a mail that waits leaves the plan out.

    Refuses: forbidden; own_plan; not_found.
    """
    plan = plan_lock.lock(plan_id, actor, "remind")
    if plan.muted_at is None:
        plan.muted_at = clock.now()
        events.record(RemindersMuted(), plan_id=plan.id, by=actor.user_id)


@unit_of_work
def unmute_plan(plan_id: int, *, actor: Actor) -> None:
    """Resume the reminders of this plan with the next one. Refuses: forbidden; own_plan; not_found."""
    plan = plan_lock.lock(plan_id, actor, "remind")
    if plan.muted_at is not None:
        plan.muted_at = None
        events.record(RemindersUnmuted(), plan_id=plan.id, by=actor.user_id)


@unit_of_work
def mute_customer(customer_id: int, *, actor: Actor) -> None:
    """Stop this merchant's reminders to this customer.

    Refuses: forbidden; own_plan; not_found (no plan between them).
    """
    merchant_id = _check_customer(customer_id, actor)
    new_rows = db.session.execute(
        upsert(Mute)
        .values(merchant_id=merchant_id, customer_id=customer_id, created_at=clock.now())
        .on_conflict_do_nothing()
        .returning(Mute.customer_id)
    ).all()
    if new_rows:
        _record_event(CustomerMuted(), customer_id, actor)


@unit_of_work
def unmute_customer(customer_id: int, *, actor: Actor) -> None:
    """Resume the reminders to this customer with the next one.

    Refuses: forbidden; own_plan; not_found (no plan between them).
    """
    merchant_id = _check_customer(customer_id, actor)
    mute = db.session.get(Mute, (merchant_id, customer_id), with_for_update=True)
    if mute is not None:
        db.session.delete(mute)
        _record_event(CustomerUnmuted(), customer_id, actor)


def _check_customer(customer_id: int, actor: Actor) -> int:
    """The id of the actor's business, which has a plan of this customer."""
    merchant_id = actor.business("remind")
    query = Plan.of_merchant(merchant_id).where(Plan.customer_id == customer_id)
    if db.session.scalar(query.with_only_columns(Plan.id).limit(1)) is None:
        raise NotFound()
    actor.act_on(merchant_id, customer_id)
    hats.confirm(actor, "remind")
    return merchant_id


def _record_event(payload: Payload, customer_id: int, actor: Actor) -> None:
    """Write the event on the timeline of every active plan between them."""
    plans = select(Plan.id).where(
        Plan.merchant_id == actor.merchant_id, Plan.customer_id == customer_id, Plan.state == "active"
    )
    events.record_all([(plan_id, payload) for plan_id in db.session.scalars(plans)], by=actor.user_id)
