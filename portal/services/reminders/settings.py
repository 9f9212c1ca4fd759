"""Reminder settings: a merchant's days and hour, and a customer's choice about early reminders."""

from collections.abc import Sequence

from portal.domain import clock
from portal.domain.permissions import Actor
from portal.errors import Fault, Invalid, NotFound
from portal.extensions import db
from portal.models import Merchant, User
from portal.models.plans.reminders import FIRST_DAY, LAST_DAY, MAX_DAYS
from portal.services.accounts import hats
from portal.services.unit_of_work import unit_of_work


@unit_of_work
def update(actor: Actor, *, days: Sequence[int], sending_hour: int) -> None:
    """Set a merchant's reminder days, as signed days from the due date (empty: no reminders), and the local hour.

    The days count for open plans too, from today on; earlier days are not caught up. Refuses: not_found; Invalid on
    days_before and days_after (out of range, too many) and on sending_hour (0 to 23).
    """
    merchant = db.session.get(Merchant, actor.business("settings"), with_for_update={"key_share": True})
    if merchant is None:
        raise NotFound()
    hats.confirm(actor, "settings")
    chosen = sorted(set(days))
    faults = []
    if any(day < FIRST_DAY for day in chosen):
        faults.append(Fault("days_before", "too_early", limit=-FIRST_DAY))
    if any(day > LAST_DAY for day in chosen):
        faults.append(Fault("days_after", "too_late", limit=LAST_DAY))
    if len(chosen) > MAX_DAYS:
        faults.append(Fault("days_after", "too_many", limit=MAX_DAYS))
    if not 0 <= sending_hour <= 23:
        faults.append(Fault("sending_hour", "bad_hour"))
    if faults:
        raise Invalid(*faults)
    now = clock.now()
    if chosen != merchant.reminder_days:
        merchant.reminder_days = chosen
        merchant.reminding_since = now
    merchant.sending_hour = sending_hour
    merchant.updated_at = now


@unit_of_work
def choose_early(customer_id: int, *, enabled: bool) -> None:
    """Set whether merchants remind this customer before the due day. Refuses: not_found (not a customer)."""
    customer = db.session.get(User, customer_id, with_for_update={"key_share": True})
    if customer is None or customer.is_operator:
        raise NotFound()
    customer.early_reminders = enabled
