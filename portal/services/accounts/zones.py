"""The time zone of a business: who may change it, and to which one."""

from sqlalchemy import select

from portal.domain import clock
from portal.domain.permissions import Actor
from portal.errors import Fault
from portal.extensions import db
from portal.models import Merchant


def change_faults(merchant: Merchant, time_zone: str, actor: Actor) -> list[Fault]:
    """Inside a unit of work that holds the lock of the business: the faults of a change to this zone (IANA).

    owners_zone: a manager could begin another day, and refund a day's limit again. zone_before_closing: the day until
    which the books are closed (`day`) is not over there.
    """
    if time_zone == merchant.time_zone:
        return []
    faults = [] if actor.may("own") else [Fault("time_zone", "owners_zone")]
    closed = db.session.scalar(select(Merchant.books_closed_until).where(Merchant.id == merchant.id))
    if closed is not None and time_zone in clock.zones() and clock.today(time_zone) <= closed:
        faults.append(Fault("time_zone", "zone_before_closing", day=closed))
    return faults
