"""Reminders: send one now, mute them, and the merchant's rules."""

from flask import Blueprint, Response
from spectree.models import Tag

from portal import access
from portal.api import idempotency, schemas
from portal.api.callers import caller, merchant
from portal.api.endpoints import endpoint
from portal.errors import Invalid
from portal.extensions import db
from portal.services.reminders import manual_reminders, mutes, settings

bp = Blueprint("api_reminders", __name__)
TAG = Tag("Reminders", "Mails that remind a customer of what is due, or will be.")
PLAN_MUTE = "/api/plans/<row:plan_id>/mute/"
CUSTOMER_MUTE = "/api/customers/<row:customer_id>/mute/"


@endpoint(
    bp,
    "POST",
    "/api/plans/<row:plan_id>/reminders/",
    ok={200: schemas.QueuedReminder},
    tag=TAG,
    needs="remind",
    writes=True,
    forbidden="change_plan",
    refuses={
        409: (
            "already_sent_today",
            "disputed",
            "mail_limit",
            "muted",
            "not_accepted",
            "nothing_due",
            "payment_in_flight",
            "shop_reported",
            "still_running",
        )
    },
)
def create(plan_id: int, json: schemas.Nothing) -> Response:
    """Remind the customer now

    Queues a mail about the plan's due installments, or else about its next one. A customer gets one reminder a day from
    you, by a rule or by hand: 409 `already_sent_today` after the first.
    """
    access.our_plan(caller().actor, plan_id)
    key = idempotency.request_key(json)
    result = manual_reminders.send_now(plan_id, actor=caller().actor, request_key=key)
    return idempotency.answer(result, 200, schemas.queued_reminder(result))


@endpoint(bp, "PUT", PLAN_MUTE, ok={204: None}, tag=TAG, needs="remind", writes=True, forbidden="change_plan")
def mute_plan(plan_id: int) -> tuple[str, int]:
    """Mute the reminders of a plan

    Reminders that are missed meanwhile are not caught up. A repetition changes nothing.
    """
    access.our_plan(caller().actor, plan_id)
    mutes.mute_plan(plan_id, actor=caller().actor)
    return "", 204


@endpoint(bp, "DELETE", PLAN_MUTE, ok={204: None}, tag=TAG, needs="remind", writes=True, forbidden="change_plan")
def unmute_plan(plan_id: int) -> tuple[str, int]:
    """Turn the reminders of a plan on again

    They go on with the next one. A repetition changes nothing.
    """
    access.our_plan(caller().actor, plan_id)
    mutes.unmute_plan(plan_id, actor=caller().actor)
    return "", 204


@endpoint(bp, "PUT", CUSTOMER_MUTE, ok={204: None}, tag=TAG, needs="remind", writes=True)
def mute_customer(customer_id: int) -> tuple[str, int]:
    """Mute your reminders to a customer

    It holds for all plans of the customer with you. `muted` of the customer shows it. A repetition changes nothing.
    """
    access.our_customer(caller().actor, customer_id)
    mutes.mute_customer(customer_id, actor=caller().actor)
    return "", 204


@endpoint(bp, "DELETE", CUSTOMER_MUTE, ok={204: None}, tag=TAG, needs="remind", writes=True)
def unmute_customer(customer_id: int) -> tuple[str, int]:
    """Turn your reminders to a customer on again

    A plan that is muted itself stays muted. A repetition changes nothing.
    """
    access.our_customer(caller().actor, customer_id)
    mutes.unmute_customer(customer_id, actor=caller().actor)
    return "", 204


@endpoint(bp, "GET", "/api/merchant/reminders/", ok={200: schemas.ReminderRules}, tag=TAG, needs="view")
def show_rules() -> schemas.ReminderRules:
    """The rules of your reminders"""
    return schemas.reminder_rules(merchant())


@endpoint(
    bp,
    "PATCH",
    "/api/merchant/reminders/",
    ok={200: schemas.ReminderRules},
    tag=TAG,
    needs="settings",
    writes=True,
    refuses={422: ("too_early", "too_late", "too_many")},
)
def update_rules(json: schemas.ReminderRulesChange) -> schemas.ReminderRules:
    """Change the rules of your reminders

    They count from today on, for open plans too. Earlier days are not caught up.
    """
    row = merchant()
    days = row.reminder_days if json.days is None else json.days
    hour = row.sending_hour if json.sending_hour is None else json.sending_hour
    try:
        settings.update(caller().actor, days=days, sending_hour=hour)
    except Invalid as invalid:
        raise Invalid(*(fault.at("days") if "days" in fault.field else fault for fault in invalid.faults)) from None
    return schemas.reminder_rules(db.session.get_one(type(row), row.id, populate_existing=True))
