"""A merchant's settings."""

from typing import Any

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _
from wtforms import Field, SelectField, StringField

from portal.domain.schedule import MAX_GRACE_DAYS
from portal.errors import Invalid
from portal.reports.merchants import dashboard
from portal.services.accounts import accounts
from portal.services.accounts.merchant_settings import Settings
from portal.web.accounts.registrations import currencies, time_zones
from portal.web.authorization import my_actor, my_merchant, needs
from portal.web.forms import Form, Needed, WholeField, apply_faults, choices
from portal.web.respond import go, page
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.lazy import lazy_pgettext

bp = Blueprint("settings", __name__)


class DaysField(WholeField):
    unit = lazy_pgettext("unit beside a number field", "days")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, render_kw={"inputmode": "numeric", "autocomplete": "off"}, **kwargs)


class SettingsForm(Form):
    business_name = StringField(_l("Business name"))
    home_currency = SelectField(_l("Home currency"), choices=currencies, validate_choice=False)
    time_zone = SelectField(_l("Time zone"), validate_choice=False)
    grace_days = DaysField(
        _l("Grace days"),
        [Needed(_l("Enter 0 to %(most)s days.", most=MAX_GRACE_DAYS))],
        description=_l(
            "How long after the due date an installment may be paid before it is late, 0 to 30. A change counts for "
            "plans made afterwards."
        ),
    )
    withdrawal_days = DaysField(
        _l("Days to withdraw"),
        description=_l(
            "How long after a plan was made its customer may withdraw, 0 to 30, while nothing is delivered. A change "
            "counts for plans made afterwards."
        ),
    )

    def of_later_plans(self) -> list[Field]:
        """The fields behind the time zone, with their help and unit: a change counts for plans made afterwards."""
        names = list(self._fields)
        return [self[name] for name in names[names.index("time_zone") + 1 :] if name != "csrf_token"]


@bp.get("/settings")
@needs("settings")
def show() -> Response:
    return _page(SettingsForm(obj=my_merchant()), 200)


@bp.post("/settings")
@needs("settings")
def update() -> Response:
    """Save the settings. A browser does not send the disabled currency field; the merchant keeps its currency then."""
    form = SettingsForm(obj=my_merchant())
    if not form.validate():
        return _page(form, 422)
    try:
        settings = Settings(
            business_name=form.business_name.data or "",
            time_zone=form.time_zone.data or "",
            grace_days=form.grace_days.data if form.grace_days.data is not None else -1,
            withdrawal_days=_withdrawal_days(form),
            home_currency=form.home_currency.data or my_merchant().home_currency,
        )
        accounts.update_merchant(my_actor(), settings)
    except Invalid as invalid:
        apply_faults(form, invalid)
        return _page(form, invalid.status)
    flash(_("Your settings are saved."), "success")
    return go(url_for("settings.show"))


def _withdrawal_days(form: SettingsForm) -> int | None:
    """The days that were sent. A form without the field keeps the merchant's; an empty field is not valid."""
    field = form.withdrawal_days
    return (field.data if field.data is not None else -1) if field.raw_data else None


def _page(form: SettingsForm, status: int) -> Response:
    """The form. It lists the zones of the selected zone's area; `?zones=all` lists every zone, as 50 KB more.

    A time zone outside the list stays selectable while it is the merchant's own.
    """
    merchant = my_merchant()
    currency_fixed = dashboard.has_plans(merchant.id)
    if currency_fixed:
        form.home_currency.data = merchant.home_currency
    selected, zones = form.time_zone.data or merchant.time_zone, time_zones()
    all_zones = request.args.get("zones") == "all" or "/" not in selected
    if not all_zones:
        zones = ["UTC", *(zone for zone in zones if zone.startswith(selected.partition("/")[0] + "/"))]
    names = zones if selected in zones else [selected, *zones]
    form.time_zone.choices = choices((name, name) for name in names)
    return page("merchants/settings_show.html", status, form=form, currency_fixed=currency_fixed, all_zones=all_zones)
