"""The customer's choice about early reminders, in the account's settings and by a mail's link."""

from flask import Response, flash, url_for
from flask_babel import gettext as _
from wtforms import BooleanField

from portal.services.reminders.settings import choose_early
from portal.services.reminders.unsubscribe import customer_of
from portal.web import rate_limits
from portal.web.authorization import me, needs
from portal.web.error_pages import show as show_failure
from portal.web.forms import Form
from portal.web.reminders.blueprint import bp as bp
from portal.web.respond import confidential, go, page
from portal.web_extensions import csrf
from portal.wording.lazy import lazy_gettext as _l


class EarlyForm(Form):
    early = BooleanField(_l("Remind me before a payment is due"))


@bp.get("/account/reminders")
@needs("customer")
def settings() -> Response:
    """The form, with the customer's current choice."""
    return page("reminders/settings.html", form=EarlyForm(early=me().early_reminders))


@bp.post("/account/reminders")
@rate_limits.writing
@needs("customer")
def choose() -> Response:
    """Save the choice."""
    form = EarlyForm()
    if not form.validate():
        return page("reminders/settings.html", 422, form=form)
    choose_early(me().id, enabled=bool(form.early.data))
    flash(_("Your choice is saved."), "success")
    return go(url_for("reminders.settings"))


@bp.get("/reminders/off/<off_token>")
def off(off_token: str) -> Response:
    """The page behind a mail's link, with the button that turns early reminders off. Opening it changes nothing."""
    customer = customer_of(off_token)
    if customer is None:
        return _closed()
    done = not customer.early_reminders
    return confidential(page("reminders/off.html", customer=customer, off_token=off_token, done=done))


@bp.post("/reminders/off/<off_token>")
@csrf.exempt  # type: ignore[untyped-decorator]
@rate_limits.writing
def turn_off(off_token: str) -> Response:
    """Turn early reminders off without signing in. The signed token authorizes it, also for one-click unsubscribe.

    RFC 8058: the mail program sends the POST itself, without cookies.
    """
    customer = customer_of(off_token)
    if customer is None:
        return _closed()
    choose_early(customer.id, enabled=False)
    return confidential(page("reminders/off.html", customer=customer, off_token=off_token, done=True))


def _closed() -> Response:
    return confidential(
        show_failure(
            404,
            _("This link can't be used"),
            _("It may have been cut off when it was copied. Sign in to choose what you are reminded of."),
            action_href=url_for("reminders.settings"),
            action_text=_("Sign in"),
        )
    )
