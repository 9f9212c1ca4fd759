"""The merchant's reminder settings: the days and the hour of sending."""

import re
from typing import Any, Final

from flask import Response, flash, url_for
from flask_babel import gettext as _
from wtforms import BooleanField, Field, SelectField, StringField

from portal.errors import Invalid
from portal.models import Merchant
from portal.services.reminders import settings
from portal.web import rate_limits
from portal.web.authorization import my_actor, my_merchant, needs
from portal.web.forms import Form, apply_faults, choices
from portal.web.reminders.blueprint import bp as bp
from portal.web.respond import go, page
from portal.wording.lazy import lazy_gettext as _l

HOURS: Final = [(str(hour), f"{hour:02}:00") for hour in range(24)]
NOT_DAYS: Final = _l("Enter whole days with commas between, such as 1, 7, 14.")


class SettingsForm(Form):
    """Days before the due date, the due day itself, days after it, and the hour in the merchant's time zone."""

    days_before = StringField(_l("Days before the due date"))
    due_day = BooleanField(_l("On the due day"))
    days_after = StringField(_l("Days after the due date"))
    sending_hour = SelectField(_l("Send from"), choices=choices(HOURS), validate_choice=False)


@bp.get("/settings/reminders")
@needs("settings")
def edit() -> Response:
    """The form, with the merchant's current settings."""
    merchant = my_merchant()
    days = merchant.reminder_days
    form = SettingsForm(
        days_before=", ".join(str(-day) for day in days if day < 0),
        due_day=0 in days,
        days_after=", ".join(str(day) for day in days if day > 0),
        sending_hour=str(merchant.sending_hour),
    )
    return _page(form, merchant, 200)


@bp.post("/settings/reminders")
@rate_limits.writing
@needs("settings")
def update() -> Response:
    """Save the settings. They apply from today on."""
    form = SettingsForm()
    valid = form.validate()
    before, after = _days(form.days_before), _days(form.days_after)
    if not valid or before is None or after is None:
        return _page(form, my_merchant(), 422)
    days = [-day for day in before] + [0] * bool(form.due_day.data) + after
    hour = form.sending_hour.data or ""
    try:
        settings.update(my_actor(), days=days, sending_hour=int(hour) if hour in dict(HOURS) else -1)
    except Invalid as invalid:
        apply_faults(form, invalid)
        return _page(form, my_merchant(), invalid.status)
    flash(_("Your reminders are saved. They count from today on."), "success")
    return go(url_for("reminders.edit"))


def _page(form: SettingsForm, merchant: Merchant, status: int) -> Response:
    return page("reminders/edit.html", status, form=form, merchant=merchant)


def _days(field: Field) -> list[int] | None:
    """The typed days, each 1 or more. Anything else adds an error to the field and returns None."""
    typed: Any = field.data or ""
    parts = [part for part in re.split(r"[,،\s]+", typed) if part]
    if len(typed) <= 200 and all(re.fullmatch(r"[0-9]{1,3}", part) and int(part) > 0 for part in parts):
        return [int(part) for part in parts]
    field.errors = [*field.errors, str(NOT_DAYS)]
    return None
