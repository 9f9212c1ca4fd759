"""Registration of merchants and customers, on one page, and what a registration may change before its proof."""

import functools
import re
from typing import Any

from babel.core import get_global
from babel.numbers import get_currency_name, get_territory_currencies
from flask import Blueprint, Response, flash, g, request, session, url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from wtforms import EmailField, PasswordField, RadioField, SelectField, StringField

from portal import rate_limits
from portal.domain import clock, money
from portal.errors import Invalid, Refused
from portal.services.accounts import accounts, operators, proofs, registrations
from portal.web.accounts.email_proofs import EmailForm, ask_for_proof, asker, proof_page
from portal.web.accounts.sessions import sign_in
from portal.web.authorization import login_or_registration_needed, me, signed_in_user, start_page
from portal.web.forms import Form, apply_faults, choices
from portal.web.middleware import language
from portal.web.respond import go, page
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.refusals import sentence

bp = Blueprint("registrations", __name__)

TIME_ZONE_AREAS = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")


@functools.cache
def time_zones() -> list[str]:
    """UTC and the zones named after places, without the old names and fixed offsets that the database also holds."""
    return ["UTC", *sorted(name for name in clock.zones() if name.split("/")[0] in TIME_ZONE_AREAS)]


def zones() -> list[Any]:
    """The choices of the time zone field."""
    return choices((name, name) for name in time_zones())


@functools.cache
def currencies_of_zones() -> dict[str, str]:
    """The currency of the country of each time zone, where there is one; a suggestion."""
    aliases, territories = get_global("zone_aliases"), get_global("zone_territories")
    codes = {name: _currency_of(territories.get(aliases.get(name, name), "")) for name in time_zones()}
    return {name: code for name, code in codes.items() if code}


def _currency_of(territory: str) -> str | None:
    codes = get_territory_currencies(territory) if territory else []
    return codes[0] if codes and codes[0] in money.CURRENCIES else None


def currencies() -> list[Any]:
    """The choices of the currency field: the code, and the code with its name in the reader's language."""
    return choices((code, _("%(code)s · %(name)s", code=code, name=name)) for code, name in _names(str(get_locale())))


@functools.cache
def _names(locale: str) -> list[tuple[str, str]]:
    return [(code, get_currency_name(code, locale=locale)) for code in money.CURRENCIES]


ROLES = {"merchant": _l("A merchant"), "customer": _l("A customer")}


class RegistrationForm(Form):
    role = RadioField(
        _l("I am registering as"),
        choices=choices(ROLES.items()),
        default="merchant",
        validate_choice=False,
    )
    business_name = StringField(_l("Business name"))
    home_currency = SelectField(_l("Currency"), choices=currencies, default="USD", validate_choice=False)
    time_zone = SelectField(_l("Time zone"), choices=zones, default="UTC", validate_choice=False)
    username = StringField(_l("Username"))
    email = EmailField(_l("Email"))
    password = PasswordField(_l("Password"))
    roles: list[str]
    """The roles that the form offers."""


def _readers_currency() -> str | None:
    """The currency of the first region that the browser names, such as SAR for "ar-SA"; a suggestion."""
    tags = [tag for tag, quality in request.accept_languages if quality]
    regions = [tag[-2:].upper() for tag in tags if re.fullmatch(r"[a-z]{2,3}-[a-z]{2}", tag, re.IGNORECASE)]
    return _currency_of(regions[0]) if regions else None


def _form() -> RegistrationForm:
    """The form. Without the merchant's role where the installation takes no new businesses."""
    form = RegistrationForm()
    if not form.is_submitted():
        form.time_zone.choices = choices(((name, name) for name in time_zones()), data_currency=currencies_of_zones())
        form.home_currency.data = _readers_currency() or form.home_currency.data
    form.roles = [role for role in ROLES if role == "customer" or operators.takes_merchants()]
    form.role.choices = choices((role, ROLES[role]) for role in form.roles)
    if form.roles == ["customer"] and not form.is_submitted():
        form.role.data = "customer"
    return form


@bp.get("/register")
def new() -> Response:
    """The form. ?role=customer preselects the customer's role."""
    if (user := signed_in_user()) is not None:
        return go(start_page(user))
    form = _form()
    if request.args.get("role") in form.roles:
        form.role.data = request.args["role"]
    return page("accounts/registrations_new.html", form=form)


@bp.post("/register")
@rate_limits.registering
def create() -> Response:
    """Create the account and sign in. An account whose email is not proven gets the mail that proves it."""
    form = _form()
    if not form.validate():
        return page("accounts/registrations_new.html", 422, form=form)
    try:
        user_id = accounts.register(
            accounts.NewAccount(
                role="customer" if form.role.data == "customer" else "merchant",
                username=form.username.data or "",
                email=form.email.data or "",
                password=form.password.data or "",
                business_name=form.business_name.data or "",
                home_currency=form.home_currency.data or "USD",
                time_zone=form.time_zone.data or "UTC",
            )
        )
    except Invalid as invalid:
        apply_faults(form, invalid)
        return page("accounts/registrations_new.html", invalid.status, form=form)
    language.keep(user_id)
    sign_in(user_id)
    if not me().is_proven:
        return ask_for_proof()
    flash(_("Your account is ready."), "success")
    return go(start_page(me()))


@bp.post("/account/registration")
@rate_limits.registering
@login_or_registration_needed
def update() -> Response:
    """Correct the email of a registration, and mail a proof of the new one."""
    form = EmailForm()
    if not form.validate():
        return proof_page(422, email_form=form)
    try:
        proofs.correct(me().id, form.email.data or "", asker())
    except Invalid as invalid:
        apply_faults(form, invalid)
        return proof_page(invalid.status, email_form=form)
    except Refused as refused:
        return proof_page(refused.status, email_form=form, problem=sentence(refused))
    g.pop("_login_user", None)
    return go(start_page(me()))


@bp.post("/account/registration/leave")
@rate_limits.registering
@login_or_registration_needed
def destroy() -> Response:
    """Remove a registration that has not proven its email."""
    registrations.leave(me().id)
    session.clear()
    g.pop("_login_user", None)
    flash(_("Your registration is removed. Nothing of it is kept."), "success")
    return go(url_for("registrations.new"))
