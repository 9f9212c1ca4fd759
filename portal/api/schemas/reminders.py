"""Schemas of reminders and of a merchant's rules for them."""

from datetime import date
from typing import Annotated, Any

from msgspec import Meta

from portal import models
from portal.api.parsing import SignedWhole, whole
from portal.api.schemas.kinds import Id, In, Out
from portal.models.plans.reminders import FIRST_DAY, LAST_DAY, MAX_DAYS
from portal.services.reminders.manual_reminders import ReminderQueued


class QueuedReminder(Out, kw_only=True):
    """A reminder that is on its way to the customer of a plan."""

    plan: Id
    customer: Id
    day: Annotated[date, Meta(description="The merchant's local date. The next reminder goes on a later day.")]


class ReminderRules(Out, kw_only=True):
    """When reminders go to customers: on which days from the due date, and from which hour."""

    days: Annotated[
        list[int], Meta(description="Days from the due date: -3 is three days before it, 0 the day itself.")
    ]
    sending_hour: Annotated[int, Meta(ge=0, le=23, description="The local hour in which sending begins.")]


class ReminderRulesChange(In, kw_only=True):
    """The rules to change. One that is left out, or null, stays. An empty list of days turns reminders off."""

    days: Annotated[
        list[SignedWhole] | None,
        Meta(description=f"Days from the due date, {FIRST_DAY} to {LAST_DAY}, at most {MAX_DAYS} of them."),
    ] = None
    sending_hour: Annotated[Any, whole(0, 23)] | None = None


def queued_reminder(result: ReminderQueued) -> QueuedReminder:
    return QueuedReminder(plan=result.plan_id, customer=result.customer_id, day=result.day)


def reminder_rules(row: models.Merchant) -> ReminderRules:
    return ReminderRules(days=list(row.reminder_days), sending_hour=row.sending_hour)
