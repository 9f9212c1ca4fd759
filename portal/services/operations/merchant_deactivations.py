"""Deactivate a business: no plans, charges, automatic payment, reminders or lateness, and mails about money back only.

Its members sign in and read. Payments in flight are settled as usual. Refunds that members ask for wait until an
operator releases them (refund_releases.py).
"""

from dataclasses import dataclass
from datetime import datetime

from portal.domain import clock
from portal.domain.permissions import Actor
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.models import Merchant
from portal.services.idempotency import RequestKey
from portal.services.operations import acts
from portal.services.results import Result
from portal.services.unit_of_work import unit_of_work


@unit_of_work
def deactivate(merchant_id: int, *, actor: Actor | None, reason: str) -> None:
    """Deactivate a business. `actor` is an operator; None: the command line.

    Refuses: forbidden; own_business; not_found; already_deactivated; Invalid on reason; busy.
    """
    by = acts.require(actor, merchant_id=merchant_id)
    reason = acts.reason_of(reason)
    merchant = lock(merchant_id)
    if merchant.deactivated_at is not None:
        raise Refused("already_deactivated")
    merchant.deactivated_at = merchant.updated_at = clock.now()
    act_id = acts.record("merchant_deactivated", by=by, merchant=merchant, reason=reason)
    acts.tell_owners("merchant_deactivated", merchant, act_id)


@unit_of_work
def reactivate(merchant_id: int, *, actor: Actor | None, reason: str) -> None:
    """Let the business go on. What is late by then is late from its `late_at` on; missed reminders are not made up for.

    Refunds that wait for a release go on waiting. Refuses: forbidden; own_business; not_found; not_deactivated; Invalid
    on reason; busy.
    """
    by = acts.require(actor, merchant_id=merchant_id)
    reason = acts.reason_of(reason)
    merchant = lock(merchant_id)
    if merchant.deactivated_at is None:
        raise Refused("not_deactivated")
    merchant.deactivated_at, merchant.updated_at = None, clock.now()
    act_id = acts.record("merchant_reactivated", by=by, merchant=merchant, reason=reason)
    acts.tell_owners("merchant_reactivated", merchant, act_id)


@dataclass(frozen=True, slots=True)
class Objected(Result):
    """The objection of a business's owner is sent to the operators."""

    merchant_id: int
    created_at: datetime


@unit_of_work
def object_to(actor: Actor, *, text: str, request_key: RequestKey | None = None) -> Objected:
    """Send an owner's objection to the operators. At most MAX_OBJECTIONS in a day.

    Refuses: forbidden; not_deactivated; too_many_objections; Invalid on reason; idempotency_key_reused; still_running;
    busy.
    """
    merchant = lock(actor.business("own"))
    text = acts.reason_of(text)
    if merchant.deactivated_at is None:
        raise Refused("not_deactivated")
    if acts.objections_today(merchant.id) >= acts.MAX_OBJECTIONS:
        raise Refused("too_many_objections")
    acts.record("merchant_objected", by=actor.user_id, merchant=merchant, reason=text)
    return Objected(merchant.id, clock.now())


def lock(merchant_id: int) -> Merchant:
    """Inside a unit of work: lock a business against other acts on it and new plans. Refuses: not_found."""
    merchant = db.session.get(Merchant, merchant_id, with_for_update={"key_share": True}, populate_existing=True)
    if merchant is None:
        raise NotFound()
    return merchant
