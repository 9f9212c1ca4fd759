"""Close a business: no new plans, then the wind-down, and an end when nothing is left to do.

The end comes by itself (`end_closed`) when no plan is open, no payment or refund is in flight, and HOLD_DAYS of
portal/reports/operations/wind_downs.py have passed since the last payment by card.
"""

from typing import Final

import structlog
from sqlalchemy import delete, select, update

from portal.domain import clock
from portal.domain.permissions import Actor
from portal.errors import Refused
from portal.extensions import db
from portal.models import ApiKey, Merchant, PlanDraft
from portal.reports.operations import wind_downs
from portal.services import emails, sweeps
from portal.services.accounts import api_keys
from portal.services.operations.merchant_deactivations import lock
from portal.services.unit_of_work import MAX_SECONDS, unit_of_work

log = structlog.get_logger(__name__)

BATCH: Final = 200
BUDGET: Final = 30.0
"""Seconds after which the job leaves the remaining businesses to the next run."""
MAX_STEP_SECONDS: Final = MAX_SECONDS


@unit_of_work
def start(actor: Actor, *, shown_plans: int) -> None:
    """Begin to close the actor's business. It makes no new plans, and its drafts are deleted at its end.

    `shown_plans` is the number of open plans that the confirmation showed. Refuses: forbidden; merchant_deactivated;
    merchant_closed; already_closing; figures_changed (facts: open_plans); busy.
    """
    merchant = lock(actor.business("own"))
    if merchant.standing == "deactivated":
        raise Refused("merchant_deactivated")
    if merchant.closing_at is not None:
        raise Refused("already_closing")
    open_plans = wind_downs.of_merchant(merchant.id).open_plans
    if open_plans != shown_plans:
        raise Refused("figures_changed", open_plans=open_plans)
    merchant.closing_at = merchant.updated_at = clock.now()


@unit_of_work
def stop(actor: Actor) -> None:
    """Open the business again, before its wind-down has ended. Refuses: forbidden; not_closing; busy."""
    merchant = lock(actor.business("own"))
    if merchant.closing_at is None or merchant.closed_at is not None:
        raise Refused("not_closing")
    merchant.closing_at, merchant.updated_at = None, clock.now()


def end_closed() -> int:
    """End the businesses whose wind-down is over. Returns how many were looked at. Two runs at once are safe."""
    query = select(Merchant.id).where(Merchant.closing_at.is_not(None), Merchant.closed_at.is_(None)).limit(BATCH)
    ids = list(db.session.scalars(query))
    return sweeps.sweep(ids, _end, budget=BUDGET, event="merchant.not_closed", field="merchant_id")


@unit_of_work
def _end(merchant_id: int) -> None:
    merchant = lock(merchant_id)
    if merchant.standing != "closing" or not wind_downs.of_merchant(merchant_id).is_over:
        return
    now = clock.now()
    merchant.closed_at = merchant.updated_at = now
    db.session.execute(
        update(ApiKey).where(ApiKey.merchant_id == merchant_id, ApiKey.revoked_at.is_(None)).values(revoked_at=now)
    )
    db.session.execute(delete(PlanDraft).where(PlanDraft.merchant_id == merchant_id))
    for owner_id in api_keys.owner_ids(merchant_id):
        emails.post(
            "merchant_closed",
            to_user_id=owner_id,
            dedupe_key=f"merchant_closed:{merchant_id}:{now:%Y%m%dT%H%M%S}:{owner_id}",
            data={"merchant_id": merchant_id},
        )
    log.info("merchant.closed", merchant_id=merchant_id)
