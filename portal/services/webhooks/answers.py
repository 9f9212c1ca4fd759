"""The beginnings of receivers' answers, which may repeat what they got: a customer who is gone is not kept in them."""

from sqlalchemy import ColumnElement, Select, case, func, literal, select, update

from portal.extensions import db
from portal.models import Plan, PublicEvent, User, WebhookAttempt, WebhookDelivery
from portal.models.webhooks import EXCERPT


def shared_lock(customer_id: int) -> ColumnElement[None]:
    """SQL: lock the answers about this customer against `blank` until the transaction ends."""
    return func.pg_advisory_xact_lock_shared(_lock_of(customer_id))


def kept_excerpt(excerpt: str, event_id: int, customer_id: int) -> ColumnElement[str]:
    """SQL, behind `shared_lock`: the excerpt of an answer to an event that was sent while its plan was this customer's.

    Empty if the plan is another's now, or the customer is erased.
    """
    theirs = (
        select(Plan.id)
        .join(PublicEvent, PublicEvent.plan_id == Plan.id)
        .join(User, User.id == Plan.customer_id)
        .where(PublicEvent.event_id == event_id, Plan.customer_id == customer_id, User.erased_at.is_(None))
    )
    return case((theirs.exists(), literal(excerpt[:EXCERPT])), else_="")


def blank(customer_id: int, plans: Select[int]) -> None:
    """Blank what receivers answered to events of these plans (a query of ids).

    Inside a unit of work that takes the plans from their customer, or erases the customer. An answer that is about to
    be logged waits for the commit.
    """
    db.session.execute(select(func.pg_advisory_xact_lock(_lock_of(customer_id))))
    deliveries = select(WebhookDelivery.id).join(PublicEvent).where(PublicEvent.plan_id.in_(plans))
    db.session.execute(update(WebhookAttempt).where(WebhookAttempt.delivery_id.in_(deliveries)).values(excerpt=""))


def _lock_of(customer_id: int) -> ColumnElement[int]:
    return func.hashtextextended(f"webhook_answers:{customer_id}", 0)
