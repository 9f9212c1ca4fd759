"""Reminders: the button that sends one, when a merchant sends them, and what a customer wants to hear."""

import re
from typing import Any, Final

from flask import Blueprint, Response, flash, url_for
from flask.typing import ResponseReturnValue
from wtforms import BooleanField, Field, SelectField, StringField

from portal import access
from portal.errors import Invalid, NotFound, Refused
from portal.extensions import csrf
from portal.models import Merchant
from portal.services.reminders import manual_reminders, unsubscribe
from portal.services.reminders import settings as reminder_settings
from portal.web import rate_limits
from portal.web.error_pages import show as show_failure
from portal.web.forms import Form, apply_faults, choices
from portal.web.guards import me, my_merchant, role_needed
from portal.web.respond import go, page

bp = Blueprint("reminders", __name__)

HOURS: Final = [(str(hour), f"{hour:02}:00") for hour in range(24)]
NOT_DAYS: Final = "Enter whole days with commas between, such as 1, 7, 14."


class DaysForm(Form):
    """A merchant's reminders: days before, the day itself, days after, and the hour."""

    days_before = StringField("Days before the due date")
    due_day = BooleanField("On the due day")
    days_after = StringField("Days after the due date")
    sending_hour = SelectField("Send from", choices=choices(HOURS), validate_choice=False)


class EarlyForm(Form):
    early = BooleanField("Remind me before a payment is due")


@bp.get("/settings/reminders")
@role_needed("merchant")
def edit() -> Response:
    """When this merchant's customers are reminded."""
    merchant = my_merchant()
    days = merchant.reminder_days
    form = DaysForm(
        days_before=", ".join(str(-day) for day in days if day < 0),
        due_day=0 in days,
        days_after=", ".join(str(day) for day in days if day > 0),
        sending_hour=str(merchant.sending_hour),
    )
    return _days_page(form, merchant, 200)


@bp.post("/settings/reminders")
@rate_limits.writing
@role_needed("merchant")
def update() -> Response:
    """Save them. They count from today on."""
    form = DaysForm()
    valid = form.validate()
    before, after = _days(form.days_before), _days(form.days_after)
    if not valid or before is None or after is None:
        return _days_page(form, my_merchant(), 422)
    days = [-day for day in before] + [0] * bool(form.due_day.data) + after
    hour = form.sending_hour.data or ""
    try:
        reminder_settings.update(me().id, days=days, sending_hour=int(hour) if hour in dict(HOURS) else -1)
    except Invalid as invalid:
        apply_faults(form, invalid)
        return _days_page(form, my_merchant(), invalid.status)
    flash("Your reminders are saved. They count from today on.", "success")
    return go(url_for("reminders.edit"))


@bp.post("/plans/<int:plan_id>/reminders")
@rate_limits.writing
@role_needed("merchant")
def create(plan_id: int) -> ResponseReturnValue:
    """Remind this plan's customer now."""
    access.my_plan(me(), plan_id)
    try:
        manual_reminders.send_now(plan_id, merchant_id=me().id)
    except NotFound:
        raise
    except Refused as refused:
        flash(refused.message, "warn")
    else:
        flash("The reminder is on its way.", "success")
    return go(url_for("plans.show", plan_id=plan_id))


@bp.get("/account/reminders")
@role_needed("customer")
def settings() -> Response:
    """What this customer wants to be reminded of."""
    return page("reminders/settings.html", form=EarlyForm(early=me().early_reminders))


@bp.post("/account/reminders")
@rate_limits.writing
@role_needed("customer")
def choose() -> Response:
    """Save it."""
    form = EarlyForm()
    if not form.validate():
        return page("reminders/settings.html", 422, form=form)
    reminder_settings.choose_early(me().id, enabled=bool(form.early.data))
    flash("Your choice is saved.", "success")
    return go(url_for("reminders.settings"))


@bp.get("/reminders/off/<off_token>")
def off(off_token: str) -> Response:
    """Where a mail's link leads: the button that turns early reminders off. Opening it changes nothing."""
    customer = unsubscribe.customer_of(off_token)
    if customer is None:
        return _closed()
    done = not customer.early_reminders
    return _quietly(page("reminders/off.html", customer=customer, off_token=off_token, done=done))


@bp.post("/reminders/off/<off_token>")
@csrf.exempt  # type: ignore[untyped-decorator]
@rate_limits.writing
def turn_off(off_token: str) -> Response:
    """Turn them off, without signing in: the signed address is the permission, also for a mail program's one click."""
    customer = unsubscribe.customer_of(off_token)
    if customer is None:
        return _closed()
    reminder_settings.choose_early(customer.id, enabled=False)
    return _quietly(page("reminders/off.html", customer=customer, off_token=off_token, done=True))


def _days_page(form: DaysForm, merchant: Merchant, status: int) -> Response:
    return page("reminders/edit.html", status, form=form, merchant=merchant)


def _days(field: Field) -> list[int] | None:
    """Whole days from 1 on, as typed; None, and an error beside the field, when it is something else."""
    typed: Any = field.data or ""
    parts = [part for part in re.split(r"[,\s]+", typed) if part]
    if len(typed) <= 200 and all(re.fullmatch(r"[0-9]{1,3}", part) and int(part) > 0 for part in parts):
        return [int(part) for part in parts]
    field.errors = [*field.errors, NOT_DAYS]
    return None


def _closed() -> Response:
    return _quietly(
        show_failure(
            404,
            "This link can't be used",
            "It may have been cut off when it was copied. Sign in to choose what you are reminded of.",
            action_href=url_for("reminders.settings"),
            action_text="Sign in",
        )
    )


def _quietly(answer: Response) -> Response:
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["Cache-Control"] = "no-store"
    return answer
