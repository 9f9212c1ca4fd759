"""The pair of a business and a person: whether it has accepted a plan, and whether the business may make new ones."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from portal.domain import clock
from portal.errors import NotFound
from portal.extensions import db
from portal.models import Customer
from portal.services.unit_of_work import unit_of_work


def lock(merchant_id: int, user_id: int) -> Customer:
    """Inside a unit of work: the pair, written if it is new, and locked until the transaction ends."""
    key = {"merchant_id": merchant_id, "user_id": user_id}
    statement = insert(Customer).values(key | {"created_at": clock.now()})
    unchanged = {"created_at": Customer.created_at}
    statement = statement.on_conflict_do_update(index_elements=list(key), set_=unchanged)
    query = select(Customer).from_statement(statement.returning(Customer))
    pair: Customer = db.session.scalars(query.execution_options(populate_existing=True)).one()
    return pair


def block(merchant_id: int, *, user_id: int) -> None:
    """The person blocks the business: it makes no plan for them. Existing plans go on. Refuses: not_found."""
    _block(merchant_id, user_id, clock.now())


def allow(merchant_id: int, *, user_id: int) -> None:
    """The person allows the business to make plans for them again, after a block or a dispute. Refuses: not_found."""
    _block(merchant_id, user_id, None)


@unit_of_work
def _block(merchant_id: int, user_id: int, since: datetime | None) -> None:
    pair = db.session.get(Customer, (merchant_id, user_id), with_for_update=True, populate_existing=True)
    if pair is None:
        raise NotFound()
    pair.blocked_at = (pair.blocked_at or since) if since is not None else None
    if since is None:
        pair.barred_at = None
