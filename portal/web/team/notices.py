"""The notices of a member: the settings page, and the link in each mail that turns it off without signing in."""

from collections.abc import Sequence
from typing import Any, Final

from flask import Blueprint, Response, flash, url_for
from flask_babel import gettext as _
from wtforms import RadioField, SelectMultipleField
from wtforms.widgets import CheckboxInput, ListWidget

from portal.errors import NotFound
from portal.models.notices import DIGESTED, NOTICES, URGENT, Notice
from portal.services.notices import settings
from portal.services.notices.settings import Unsubscription
from portal.web import rate_limits
from portal.web.authorization import me, my_actor, my_merchant, needs
from portal.web.error_pages import show as show_failure
from portal.web.forms import Form, choices
from portal.web.respond import confidential, go, page
from portal.web_extensions import csrf
from portal.wording import labels
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("notices", __name__)

WHEN: Final = (("daily", _l("Once a day, at 08:00")), ("at_once", _l("At once")))


def _checkboxes(label: Any, notices: Sequence[Notice]) -> SelectMultipleField:
    names = choices([(notice, labels.NOTICES[notice]) for notice in notices])
    return SelectMultipleField(
        label, choices=names, option_widget=CheckboxInput(), widget=ListWidget(), validate_choice=False
    )


class NoticesForm(Form):
    """The notices of the digest, when it is sent, and the notices that are mailed at once."""

    digested = _checkboxes(_l("In one mail"), DIGESTED)
    when = RadioField(_l("When is it sent?"), choices=choices(WHEN))
    urgent = _checkboxes(_l("Each at once, in a mail of its own"), URGENT)


@bp.get("/settings/notices")
@needs("settings")
def edit() -> Response:
    """The form, with the member's choice."""
    chosen = settings.choice_of(me().id, my_merchant().id)
    form = NoticesForm(
        digested=[notice for notice in DIGESTED if notice in chosen.on],
        urgent=[notice for notice in URGENT if notice in chosen.on],
        when="at_once" if chosen.at_once else "daily",
    )
    return _page(form, 200)


@bp.post("/settings/notices")
@rate_limits.writing
@needs("settings")
def update() -> Response:
    """Save the member's choice. It counts for mails that are not sent yet, too."""
    form = NoticesForm()
    valid = form.validate()
    for field, notices in ((form.digested, DIGESTED), (form.urgent, URGENT)):
        if not {*(field.data or [])} <= {*notices}:
            field.errors, valid = [str(_l("Not a valid choice."))], False
    if not valid:
        return _page(form, 422)
    on = [notice for notice in NOTICES if notice in [*(form.digested.data or []), *(form.urgent.data or [])]]
    settings.choose(my_actor(), on=on, at_once=form.when.data == "at_once")
    flash(_("Your choice is saved."), "success")
    return go(url_for("notices.edit"))


@bp.get("/notices/off/<notice_token>")
def off(notice_token: str) -> Response:
    """The page behind a mail's link, with the button that turns such mails off. Opening it changes nothing."""
    target = settings.read(notice_token)
    if target is None:
        return _closed()
    return _off(target, notice_token)


@bp.post("/notices/off/<notice_token>")
@csrf.exempt  # type: ignore[untyped-decorator]
@rate_limits.writing
def turn_off(notice_token: str) -> Response:
    """Turn such mails off without signing in. The signed token authorizes it, also for one-click unsubscribe.

    RFC 8058: the mail program sends the POST itself, without cookies.
    """
    try:
        settings.turn_off(notice_token)
    except NotFound:
        return _closed()
    target = settings.read(notice_token)
    return _off(target, notice_token) if target is not None else _closed()


def _off(target: Unsubscription, token: str) -> Response:
    what = labels.NOTICES[target.what]
    return confidential(page("notices/off.html", target=target, what=what, token=token))


def _page(form: NoticesForm, status: int) -> Response:
    return page("notices/edit.html", status, form=form, merchant=my_merchant())


def _closed() -> Response:
    return confidential(
        show_failure(
            404,
            _("This link can't be used"),
            _("It may have been cut off when it was copied, or you don't look after this business any more."),
            action_href=url_for("notices.edit"),
            action_text=_("Sign in"),
        )
    )
