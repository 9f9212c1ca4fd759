"""Approval of new businesses. A business that is not approved keeps its plans as drafts (services/plans/drafts.py)."""

from portal import queue
from portal.domain import clock
from portal.domain.permissions import Actor
from portal.errors import Refused
from portal.services.operations import acts
from portal.services.operations.merchant_deactivations import lock
from portal.services.unit_of_work import after_commit, unit_of_work


@unit_of_work
def approve(merchant_id: int, *, actor: Actor | None) -> None:
    """Approve a business that waits, or was declined. A job makes plans of its drafts at once.

    `actor` is an operator; None: the command line. Refuses: forbidden; own_business; not_found; already_approved;
    unproven_owner (no owner has proven their email, so nobody knows who asks); busy.
    """
    by = acts.require(actor, merchant_id=merchant_id)
    merchant = lock(merchant_id)
    if merchant.approved_at is not None:
        raise Refused("already_approved")
    if not acts.has_proven_owner(merchant_id):
        raise Refused("unproven_owner")
    merchant.approved_at = merchant.updated_at = clock.now()
    merchant.declined_at = None
    act_id = acts.record("merchant_approved", by=by, merchant=merchant)
    acts.tell_owners("merchant_approved", merchant, act_id)
    after_commit(_enqueue_drafts)


@unit_of_work
def decline(merchant_id: int, *, actor: Actor, reason: str) -> None:
    """Decline a business that waits. Its owners are told the reason, and its drafts stay drafts.

    Refuses: forbidden; own_business; not_found; already_approved; already_declined; Invalid on reason; busy.
    """
    by = acts.require(actor, merchant_id=merchant_id)
    reason = acts.reason_of(reason)
    merchant = lock(merchant_id)
    if merchant.approved_at is not None:
        raise Refused("already_approved")
    if merchant.declined_at is not None:
        raise Refused("already_declined")
    merchant.declined_at = merchant.updated_at = clock.now()
    act_id = acts.record("merchant_declined", by=by, merchant=merchant, reason=reason)
    acts.tell_owners("merchant_declined", merchant, act_id)


def _enqueue_drafts() -> None:
    queue.enqueue("open_drafts")
