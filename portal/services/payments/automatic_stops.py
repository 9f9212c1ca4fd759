"""Automatic payment ends with its method. A file apart, so that methods need not know of payments."""

from sqlalchemy import select

from portal.extensions import db
from portal.models import PaymentMethod, Plan
from portal.services import emails, events


def stop(method_id: int) -> None:
    """Inside a verb's transaction that removes a saved method: no plan is collected from it; its customer is told."""
    found = select(Plan).where(Plan.automatic_method_id == method_id).order_by(Plan.id)
    for plan in db.session.scalars(found.with_for_update(key_share=True).execution_options(populate_existing=True)):
        method = db.session.get_one(PaymentMethod, method_id)
        plan.automatic_method_id = plan.automatic_since = None
        events.record("automatic_payment.stopped", plan.id, by=None, last4=method.last4)
        if plan.state == "active":
            emails.post(
                "automatic_stopped",
                to_user_id=plan.customer_id,
                merchant_id=plan.merchant_id,
                plan_id=plan.id,
                dedupe_key=f"automatic_stopped:{plan.id}:{method_id}",
                data={"last4": method.last4},
            )
