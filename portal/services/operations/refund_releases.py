"""Refunds that members of a deactivated business asked for: an operator releases or withholds them."""

from sqlalchemy import select

from portal import queue
from portal.domain.permissions import Actor
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.models import Merchant, Plan, Refund
from portal.services.operations import acts
from portal.services.payments import refunds
from portal.services.unit_of_work import after_commit, unit_of_work

WITHHELD = "not_released"
"""The decline code of a refund that an operator withheld."""


@unit_of_work
def release(refund_id: int, *, actor: Actor) -> None:
    """Let a waiting refund go to the gateway. A job sends it at once.

    Refuses: forbidden; own_business; not_found; not_waiting (released or withheld before); busy.
    """
    refund, by = _lock(refund_id, actor)
    refund.awaits_release = False
    db.session.flush()
    acts.record("refund_released", by=by, merchant=db.session.get_one(Merchant, refund.merchant_id), refund=refund)

    def send_now() -> None:
        queue.enqueue("settle_refund", refund_id)

    after_commit(send_now)


@unit_of_work
def withhold(refund_id: int, *, actor: Actor, reason: str) -> None:
    """Decline a waiting refund. The amount may be refunded again later.

    Refuses: forbidden; own_business; not_found; not_waiting; Invalid on reason; busy.
    """
    reason = acts.reason_of(reason)
    refund, by = _lock(refund_id, actor)
    refund.awaits_release = False
    refunds.decline_unsent(refund, WITHHELD)
    merchant = db.session.get_one(Merchant, refund.merchant_id)
    acts.record("refund_withheld", by=by, merchant=merchant, refund=refund, reason=reason)


def _lock(refund_id: int, actor: Actor) -> tuple[Refund, int | None]:
    """The refund behind the lock of its plan, and the operator's id."""
    row = db.session.execute(select(Refund.plan_id, Refund.merchant_id).where(Refund.id == refund_id)).one_or_none()
    by = acts.require(actor, merchant_id=row.merchant_id if row is not None else None)
    if row is None or Plan.lock(row.plan_id) is None:
        raise NotFound()
    refund = db.session.get_one(Refund, refund_id, populate_existing=True)
    if not refund.awaits_release:
        raise Refused("not_waiting")
    return refund, by
