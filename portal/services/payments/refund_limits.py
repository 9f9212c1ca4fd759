"""Refund limits: how much a member or an API key may refund on one local day of the business."""

from sqlalchemy import func, select

from portal.domain import clock
from portal.domain.money import Money
from portal.domain.permissions import Actor
from portal.errors import Refused
from portal.extensions import db
from portal.models import ApiKey, Membership, Merchant, Plan, Refund


def allowance(actor: Actor) -> int | None:
    """The amount that the actor may still refund today, in minor units of the home currency. None: there is no limit.

    Refunds in flight count, declined ones do not. A key's limit is 0 unless its form said otherwise.
    """
    limit: int | None
    if actor.key_id is not None:
        limit = db.session.scalar(select(ApiKey.refund_limit).where(ApiKey.id == actor.key_id)) or 0
        mine = Refund.api_key_id == actor.key_id
    else:
        member = Membership.user_id == actor.user_id, Membership.merchant_id == actor.merchant_id
        limit = db.session.scalar(select(Membership.refund_limit).where(*member))
        mine = Refund.api_key_id.is_(None)
    if limit is None:
        return None
    zone = db.session.scalars(select(Merchant.time_zone).where(Merchant.id == actor.merchant_id)).one()
    refunded = select(func.coalesce(func.sum(Refund.amount), 0)).where(
        mine,
        Refund.created_by == actor.user_id,
        Refund.merchant_id == actor.merchant_id,
        Refund.state != "declined",
        Refund.created_at >= clock.midnight(clock.today(zone), zone),
    )
    return max(0, limit - int(db.session.scalar(refunded) or 0))


def check(actor: Actor, amount: int, plan: Plan) -> None:
    """Inside a unit of work: check that the actor may refund `amount` minor units now. Others of the actor wait.

    Refuses: refund_limit (facts: allowance).
    """
    name = f"refund-limit:{actor.merchant_id}:{actor.user_id}:{actor.key_id}"
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
    refuse_above(allowance(actor), amount, plan.currency, is_key=actor.key_id is not None)


def refuse_above(limit: int | None, amount: int, currency: str, *, is_key: bool = False) -> None:
    """Refuses: refund_limit (facts: allowance), when `amount` is above the rest of the day's `limit`. Minor units."""
    if limit is not None and amount > limit:
        about = "key" if is_key else "member"
        raise Refused("refund_limit", about=about, limit=Money(limit, currency), allowance=limit)
