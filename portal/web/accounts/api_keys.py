"""A merchant's API keys. Only the response that creates a key shows it."""

from datetime import timedelta
from typing import cast

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _
from wtforms import DateField, HiddenField, SelectMultipleField, StringField
from wtforms.validators import Optional, Regexp
from wtforms.widgets import CheckboxInput, ListWidget

from portal.domain.identifiers import MAX_ID
from portal.domain.permissions import GIVEN_TO_KEYS, Permission
from portal.errors import Invalid, NotFound
from portal.extensions import db
from portal.models import ApiKey
from portal.services.accounts import api_keys
from portal.web import rate_limits
from portal.web.authorization import my_actor, my_merchant, needs
from portal.web.forms import Form, Needed, apply_faults, choices, read_limit
from portal.web.labels import KEY, one_use_key
from portal.web.one_use_keys import NotDone, carry_out, request_key
from portal.web.respond import go, page
from portal.web.security.fresh_sign_ins import fresh
from portal.wording import labels
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("api_keys", __name__)

BROKEN = _l("Please send the form again.")
ALREADY_MADE = _l(
    "A key was made from this page already, and can’t be shown again. It is in your list: if you have not copied it, "
    "revoke it. Press again to make another one."
)
WORDS = {"idempotency_key_reused": ALREADY_MADE, "already_made": ALREADY_MADE}


class LastDayField(DateField):
    """A date as date inputs send it: YYYY-MM-DD."""

    def process_formdata(self, valuelist: list[str]) -> None:
        try:
            super().process_formdata(valuelist)
        except ValueError:
            raise ValueError(_("Enter a day like 2026-12-31, or leave it empty.")) from None


def offered() -> list[Permission]:
    """The permissions that the signed-in person can give to a key: those of their own role."""
    return [permission for permission in GIVEN_TO_KEYS if my_actor().may(permission)]


class KeyForm(Form):
    key = HiddenField(default=one_use_key, validators=[Regexp(rf"\A{KEY}\Z")])
    name = StringField(_l("Name"), [Needed(_l("Enter a name that tells you where the key is used."))])
    permissions = SelectMultipleField(
        _l("What it may do beside reading"),
        choices=lambda: choices((code, labels.permission(code)) for code in offered()),
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
        validate_choice=False,
    )
    refund_limit = StringField(_l("Refunds a day"), [Optional()])
    expires_on = LastDayField(_l("Last day"), [Optional()])

    def renew_key(self, message: str) -> None:
        """Replace a used or malformed one-use key and say so: the next submit creates another API key."""
        self.key.data, self.key.errors = one_use_key(), ()
        self.form_errors.append(str(message))


@bp.get("/settings/api-keys")
@needs("keys")
def index() -> Response:
    """The list of keys. ?revoke=<id> asks for confirmation in browsers without JavaScript."""
    return _page(KeyForm(), 200, revoke_id=request.args.get("revoke", type=int))


@bp.post("/settings/api-keys")
@rate_limits.writing
@needs("keys")
@fresh("api_keys.index")
def create() -> Response:
    """Create a key and show it once. The same form sent again creates no other."""
    form = KeyForm()
    if not form.validate():
        if form.key.errors:
            form.renew_key(BROKEN)
        return _page(form, 422)
    name, last_day = form.name.data or "", form.expires_on.data
    given = cast(list[Permission], sorted(form.permissions.data or []))
    try:
        limit = read_limit(form.refund_limit, my_merchant().home_currency) or 0
    except Invalid as invalid:
        apply_faults(form, invalid)
        return _page(form, invalid.status)
    actor = my_actor()
    scope = f"POST /settings/api-keys as {actor.merchant_id}"
    key = request_key(actor.user_id, scope, form.key.data, name, *given, limit, last_day)
    new_key = carry_out(
        lambda: api_keys.create(
            actor, name=name, given=given, refund_limit=limit, expires_on=last_day, request_key=key
        ),
        WORDS,
    )
    if isinstance(new_key, NotDone):
        if isinstance(new_key.error, Invalid):
            apply_faults(form, new_key.error)
        elif new_key.error.code in WORDS:
            form.renew_key(new_key.message)
        else:
            form.form_errors.append(new_key.message)
        return _page(form, new_key.status)
    return _page(KeyForm(formdata=None), 201, new_key=new_key)


@bp.post("/settings/api-keys/<int:key_id>/revoke")
@rate_limits.writing
@needs("keys")
def destroy(key_id: int) -> Response:
    """Revoke a key. It stops working at once. `back` says which page it was revoked on."""
    if key_id > MAX_ID:
        raise NotFound()
    api_keys.revoke(key_id, actor=my_actor())
    flash(_("The key is revoked. Whatever used it is refused from now on."), "success")
    return go(url_for("team.index" if request.form.get("back") == "team" else "api_keys.index"))


def _page(form: KeyForm, status: int, *, new_key: str | None = None, revoke_id: int | None = None) -> Response:
    keys = db.session.scalars(ApiKey.of_merchant(my_merchant().id)).all()
    return page(
        "accounts/api_keys_index.html",
        status,
        form=form,
        keys=keys,
        new_key=new_key,
        key_to_revoke=next((key for key in keys if key.id == revoke_id and key.state == "active"), None),
        permissions_of_key=labels.permissions_of_key,
        last_day=lambda key: key.expires_at - timedelta(microseconds=1),
        zone=my_merchant().time_zone,
        currency=my_merchant().home_currency,
    )
