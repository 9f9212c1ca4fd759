"""Close the books until a day: the journal, the trial balance and the statements up to it never change again."""

from datetime import date, timedelta

from sqlalchemy import select

from portal.domain import clock
from portal.domain.permissions import Actor
from portal.errors import Fault, Invalid
from portal.extensions import db
from portal.models import Merchant
from portal.services import security_events
from portal.services.books import numbers
from portal.services.unit_of_work import unit_of_work


@unit_of_work
def close(actor: Actor, *, until: date) -> None:
    """Close the books of the actor's business until this local date, and number the entries up to it.

    Later acts that belong to a closed day are booked on the first open one. The lock waits for the bookings that have
    begun. Refuses: forbidden; Invalid on until (books_after_yesterday, books_closed_already; limit: the last day that
    may be closed, the day until which they are); busy.
    """
    merchant_id = actor.business("own")
    merchant = db.session.scalars(select(Merchant).where(Merchant.id == merchant_id).with_for_update()).one()
    db.session.refresh(merchant)
    yesterday = clock.today(merchant.time_zone) - timedelta(days=1)
    if until > yesterday:
        raise Invalid(Fault("until", "books_after_yesterday", day=yesterday))
    closed = merchant.books_closed_until
    if closed is not None and until <= closed:
        raise Invalid(Fault("until", "books_closed_already", day=closed))
    numbers.number(merchant.id)
    merchant.books_closed_until, merchant.updated_at = until, clock.now()
    security_events.record("books_closed", actor.user_id, merchant_id=merchant.id, until=until.isoformat())
