"""Mails that tell an account of a new browser, a new password, factor or API key, or a disabled webhook endpoint."""

from typing import Final
from urllib.parse import urlsplit

from flask import current_app
from flask_babel import gettext as _
from flask_babel import ngettext

from portal.extensions import db
from portal.models import ApiKey, Email, FactorRemoval, Membership, User, WebhookEndpoint
from portal.services.mail.facts import Facts, NoLongerTrue, link, mail_kind
from portal.services.operations import lost_factors
from portal.services.security import sign_in_codes
from portal.wording.lazy import lazy_pgettext

NOTICE: Final = "security_notice"
"""The template of all of them."""


@mail_kind(
    "new_browser",
    lazy_pgettext("kind of mail", "Sign-in with a new browser"),
    template=NOTICE,
    to_deactivated_accounts=True,
)
def new_browser(row: Email) -> Facts:
    """A sign-in from a browser that the account does not know."""
    values = {
        "browser": row.data["browser"] or _("an unknown browser"),
        "address": row.data["address"] or _("an unknown address"),
    }
    return {
        **_account(row),
        "title": _("A new browser signed in"),
        "text": _(
            "Your account at %(host)s was signed in to with %(browser)s from %(address)s.", host=_host(), **values
        ),
        "advice": _("If it was not you, change your password now: every other browser is signed out."),
        "button": _("See where you are signed in"),
        "url": link("/account/sessions"),
    }


@mail_kind(
    "password_changed", lazy_pgettext("kind of mail", "Password changed"), template=NOTICE, to_deactivated_accounts=True
)
def password_changed(row: Email) -> Facts:
    """The account has a new password."""
    advice = (
        _("The API keys that you made are revoked. If it was not you, ask for a new password by mail.")
        if row.data["revoked"]
        else _("API keys stay as they are. If it was not you, ask for a new password by mail.")
    )
    return {
        **_account(row),
        "title": _("Your password was changed"),
        "text": _("Your account at %(host)s has a new password. Every other browser is signed out.", host=_host()),
        "advice": advice,
        "button": _("Ask for a new password"),
        "url": link("/password-resets/new"),
    }


@mail_kind(
    "factor_added",
    lazy_pgettext("kind of mail", "Second factor turned on"),
    template=NOTICE,
    to_deactivated_accounts=True,
)
def factor_added(row: Email) -> Facts:
    """The account has a new second factor."""
    text = (
        _("Signing in to your account at %(host)s now takes a code of your authenticator app, too.", host=_host())
        if row.data["factor"] == "app"
        else _("Your account at %(host)s has a new passkey.", host=_host())
    )
    return _of_factors(row, _("A second factor was turned on"), text)


@mail_kind(
    "factor_removal_asked",
    lazy_pgettext("kind of mail", "Second factors to be removed"),
    template=NOTICE,
    to_deactivated_accounts=True,
)
def factor_removal_asked(row: Email) -> Facts:
    """An operator was asked to remove the account's factors. The link stops it."""
    removal = db.session.get(FactorRemoval, row.data["removal_id"], populate_existing=True)
    if removal is None or removal.ended_at is not None:
        raise NoLongerTrue("removal_ended")
    user = _account(row)
    token = lost_factors.issue(row.data["removal_id"])
    if token is None:
        raise NoLongerTrue("removal_ended")
    return {
        **user,
        "title": _("Your second factors are to be removed"),
        "text": _(
            "An operator of %(host)s was asked to remove your second factors, because they are lost. It happens in "
            "24 hours. Signing in then takes your password alone.",
            host=_host(),
        ),
        "advice": _("If you did not ask for this, keep them, and change your password: somebody may know it."),
        "button": _("Keep my second factors"),
        "url": link(f"/factor-removals/{token}"),
        "secret": [token],
    }


@mail_kind(
    "factor_removed",
    lazy_pgettext("kind of mail", "Second factor turned off"),
    template=NOTICE,
    to_deactivated_accounts=True,
)
def factor_removed(row: Email) -> Facts:
    """The account has a second factor less."""
    text = (
        _("Signing in to your account at %(host)s takes no code of an authenticator app any more.", host=_host())
        if row.data["factor"] == "app"
        else _("A passkey was removed from your account at %(host)s.", host=_host())
    )
    if row.data["factor"] == "all":
        text = _(
            "All second factors of your account at %(host)s were removed, as an operator was asked to.", host=_host()
        )
    elif row.data["factor"] == "new":
        text = _(
            "The change of the email of your account at %(host)s was undone. Second factors and recovery codes made in "
            "the 72 hours before that change, or since, were removed. If some were yours, make new ones.",
            host=_host(),
        )
    return _of_factors(row, _("A second factor was turned off"), text)


@mail_kind(
    "recovery_codes_made",
    lazy_pgettext("kind of mail", "New recovery codes"),
    template=NOTICE,
    to_deactivated_accounts=True,
)
def recovery_codes_made(row: Email) -> Facts:
    """The account has new recovery codes."""
    text = _("Your account at %(host)s has new recovery codes. The codes from before work no more.", host=_host())
    return _of_factors(row, _("New recovery codes"), text)


@mail_kind(
    "recovery_code_used",
    lazy_pgettext("kind of mail", "Recovery code used"),
    template=NOTICE,
    to_deactivated_accounts=True,
)
def recovery_code_used(row: Email) -> Facts:
    """A recovery code was used."""
    text = ngettext(
        "A recovery code of your account at %(host)s was used. %(num)s code is left.",
        "A recovery code of your account at %(host)s was used. %(num)s codes are left.",
        row.data["left"],
        host=_host(),
    )
    return _of_factors(row, _("A recovery code was used"), text)


@mail_kind(
    "factor_failed",
    lazy_pgettext("kind of mail", "Wrong codes after a password"),
    template=NOTICE,
    to_deactivated_accounts=True,
)
def factor_failed(row: Email) -> Facts:
    """The password was right, and five codes were wrong."""
    text = _(
        "Somebody at %(address)s typed your right password at %(host)s, and then five wrong codes. Nobody was let in.",
        address=row.data["address"] or _("an unknown address"),
        host=_host(),
    )
    return {
        **_account(row),
        "title": _("Wrong codes after your password"),
        "text": text,
        "advice": _("If it was not you, change your password now: somebody knows it."),
        "button": _("Change your password"),
        "url": link("/account/password"),
    }


def _of_factors(row: Email, title: str, text: str) -> Facts:
    return {
        **_account(row),
        "title": title,
        "text": text,
        "advice": _("If it was not you, change your password now: every other browser is signed out."),
        "button": _("See your second factors"),
        "url": link("/account/second-factors"),
    }


@mail_kind("sign_in_code", lazy_pgettext("kind of mail", "Code for signing in"), template=NOTICE)
def sign_in_code(row: Email) -> Facts:
    """The code by which a new browser may try the password."""
    user = _account(row)
    code = sign_in_codes.issue(row.data["code_id"])
    if code is None:
        raise NoLongerTrue("code_lapsed")
    return {
        **user,
        "title": _("Your code for signing in"),
        "text": _(
            "The code is %(code)s. It works for 15 minutes, in the browser at %(address)s that asked for it.",
            code=code,
            address=row.data["address"] or _("an unknown address"),
        ),
        "advice": _(
            "Many wrong passwords were tried for your account at %(host)s. If you did not ask for it, do nothing: "
            "it lets nobody in without your password.",
            host=_host(),
        ),
        "button": _("Sign in"),
        "url": link("/login"),
        "secret": [code],
    }


@mail_kind("api_key_made", lazy_pgettext("kind of mail", "API key made"), template=NOTICE)
def api_key_made(row: Email) -> Facts:
    """A new API key of a business, for each of its owners."""
    key = db.session.get_one(ApiKey, row.data["key_id"], populate_existing=True)
    reader = db.session.get(Membership, (row.to_user_id, key.merchant_id), populate_existing=True)
    if reader is None or reader.role != "owner" or key.revoked_at is not None:
        raise NoLongerTrue("not_wanted")
    return {
        **_account(row),
        "title": _("A new API key"),
        "text": _(
            "%(person)s made the API key “%(name)s” (%(prefix)s) for %(business)s.",
            person=key.maker.display_name,
            name=key.name,
            prefix=f"qist_{key.prefix}",
            business=key.merchant.business_name,
        ),
        "advice": _("If nobody of your team did this, revoke it now."),
        "button": _("See the API keys"),
        "url": link("/settings/api-keys"),
    }


@mail_kind("webhook_address", lazy_pgettext("kind of mail", "Address of a webhook endpoint"), template=NOTICE)
def webhook_address(row: Email) -> Facts:
    """A new endpoint of a business, or a new address of one, for each of its owners."""
    endpoint = db.session.get_one(WebhookEndpoint, row.data["endpoint_id"], populate_existing=True)
    reader = db.session.get(Membership, (row.to_user_id, endpoint.merchant_id), populate_existing=True)
    if reader is None or reader.role != "owner" or endpoint.deleted_at is not None:
        raise NoLongerTrue("not_wanted")
    maker = db.session.get_one(User, row.data["user_id"], populate_existing=True)
    values = {"person": maker.display_name, "url": endpoint.url, "business": endpoint.merchant.business_name}
    is_new = row.data["is_new"]
    return {
        **_account(row),
        "title": _("A new webhook endpoint") if is_new else _("A webhook endpoint has a new address"),
        "text": _("%(person)s made a webhook endpoint: the events of %(business)s go to %(url)s.", **values)
        if is_new
        else _("%(person)s changed a webhook endpoint: the events of %(business)s go to %(url)s.", **values),
        "advice": _("If nobody of your team did this, turn it off now."),
        "button": _("See the endpoint"),
        "url": link(f"/settings/webhooks/{endpoint.name}"),
    }


@mail_kind("webhook_disabled", lazy_pgettext("kind of mail", "Webhook endpoint turned off"), template=NOTICE)
def webhook_disabled(row: Email) -> Facts:
    """An endpoint of a business was disabled, for each of its owners."""
    endpoint = db.session.get_one(WebhookEndpoint, row.data["endpoint_id"], populate_existing=True)
    reader = db.session.get(Membership, (row.to_user_id, endpoint.merchant_id), populate_existing=True)
    gone = reader is None or reader.role != "owner" or endpoint.deleted_at is not None
    if gone or endpoint.disabled_for not in ("gone", "failing"):
        raise NoLongerTrue("not_wanted")
    values = {"url": endpoint.url, "business": endpoint.merchant.business_name}
    return {
        **_account(row),
        "title": _("A webhook endpoint was turned off"),
        "text": _("%(url)s, an endpoint of %(business)s, answered that it is gone (410).", **values)
        if endpoint.disabled_for == "gone"
        else _("%(url)s, an endpoint of %(business)s, took no event for 5 days.", **values),
        "advice": _("It gets no events until you turn it on again. GET /api/events/ has what it missed."),
        "button": _("See the endpoint"),
        "url": link(f"/settings/webhooks/{endpoint.name}"),
    }


def _account(row: Email) -> Facts:
    """The address of the mail is that of the account as it is now."""
    return {"to": db.session.get_one(User, row.to_user_id, populate_existing=True).email}


def _host() -> str:
    return str(urlsplit(current_app.config["QIST"].public_url).netloc)
