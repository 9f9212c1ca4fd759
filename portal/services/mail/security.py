"""Mails that tell an account of a new browser, a changed password, a new API key or a disabled webhook endpoint."""

from typing import Final
from urllib.parse import urlsplit

from flask import current_app
from flask_babel import gettext as _

from portal.extensions import db
from portal.models import ApiKey, Email, Membership, User, WebhookEndpoint
from portal.services.mail.facts import Facts, NoLongerTrue, link

NOTICE: Final = "security_notice"
"""The template of all of them."""


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
