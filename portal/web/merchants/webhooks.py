"""A merchant's webhook endpoints: made, changed, rotated and deleted by an owner, with the log of each."""

from typing import cast

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _
from markupsafe import Markup
from wtforms import HiddenField, SelectMultipleField, StringField
from wtforms.validators import Regexp
from wtforms.widgets import CheckboxInput, ListWidget

from portal.domain.events import EVENT_TYPES, EventType
from portal.errors import Invalid, Refused
from portal.reports import webhooks
from portal.services.webhooks import endpoints, redelivery
from portal.web import rate_limits
from portal.web.authorization import my_actor, my_merchant, needs
from portal.web.forms import Form, Needed, apply_faults
from portal.web.labels import KEY, one_use_key
from portal.web.one_use_keys import NotDone, carry_out, request_key
from portal.web.respond import go, page
from portal.web.security.fresh_sign_ins import fresh
from portal.wording import labels
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.refusals import sentence

bp = Blueprint("webhooks", __name__, url_prefix="/settings/webhooks")

BROKEN = _l("Please send the form again.")


class EndpointForm(Form):
    key = HiddenField(default=one_use_key, validators=[Regexp(rf"\A{KEY}\Z")])
    url = StringField(_l("Address"), [Needed(_l("Enter the address of your server."))])
    types = SelectMultipleField(
        _l("Events"),
        choices=[(name, Markup("<code>{}</code>").format(name)) for name in EVENT_TYPES],
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
        validate_choice=False,
    )

    def renew_key(self, message: str) -> None:
        """Replace a used or malformed one-use key and say so."""
        self.key.data, self.key.errors = one_use_key(), ()
        self.form_errors.append(str(message))


@bp.get("")
@needs("keys")
def index() -> Response:
    """The list of endpoints, and the form for a new one."""
    return _index(EndpointForm(), 200)


@bp.post("")
@rate_limits.writing
@needs("keys")
@fresh("webhooks.index")
def create() -> Response:
    """Make an endpoint and show its secret once."""
    form = EndpointForm()
    if not form.validate():
        if form.key.errors:
            form.renew_key(BROKEN)
        return _index(form, 422)
    actor = my_actor()
    url, types = form.url.data or "", cast(list[EventType], sorted(form.types.data or []))
    key = request_key(actor.user_id, f"POST /settings/webhooks as {actor.merchant_id}", form.key.data, url, *types)
    made = carry_out(lambda: endpoints.create(actor, url=url.strip(), types=types, request_key=key), {})
    if isinstance(made, NotDone):
        if isinstance(made.error, Invalid):
            apply_faults(form, made.error)
        else:
            form.form_errors.append(made.message)
        return _index(form, made.status)
    if made.secret is None:
        form.renew_key(_("An endpoint was made from this page already. It is in your list."))
        return _index(form, 409)
    return _index(EndpointForm(formdata=None), 201, secret=made.secret)


@bp.get("/<endpoint_name>")
@needs("keys")
def show(endpoint_name: str) -> Response:
    """An endpoint with its newest deliveries and their attempts."""
    return _show(endpoint_name, EndpointForm(obj=endpoints.find(my_merchant().id, endpoint_name)), 200)


@bp.post("/<endpoint_name>")
@rate_limits.writing
@needs("keys")
@fresh("webhooks.show")
def update(endpoint_name: str) -> Response:
    """Change the address and the types."""
    form = EndpointForm()
    if not form.validate():
        return _show(endpoint_name, form, 422)
    types = cast(list[EventType], form.types.data or [])
    try:
        endpoints.change(endpoint_name, actor=my_actor(), url=(form.url.data or "").strip(), types=types)
    except (Invalid, Refused) as error:
        apply_faults(form, error)
        return _show(endpoint_name, form, error.status)
    flash(_("Saved."), "success")
    return _go(endpoint_name)


@bp.post("/<endpoint_name>/rotate")
@rate_limits.writing
@needs("keys")
@fresh("webhooks.show")
def rotate(endpoint_name: str) -> Response:
    """Make a new secret and show it once."""
    made = endpoints.rotate(endpoint_name, actor=my_actor())
    form = EndpointForm(formdata=None, obj=endpoints.find(my_merchant().id, endpoint_name))
    return _show(endpoint_name, form, 200, secret=made.secret)


@bp.post("/<endpoint_name>/state")
@rate_limits.writing
@needs("keys")
@fresh("webhooks.show")
def change_state(endpoint_name: str) -> Response:
    """Turn the endpoint on or off."""
    is_on = request.form.get("enabled") == "yes"
    endpoints.change(endpoint_name, actor=my_actor(), enabled=is_on)
    flash(_("The endpoint is on.") if is_on else _("The endpoint is off."), "success")
    return _go(endpoint_name)


@bp.post("/<endpoint_name>/delete")
@rate_limits.writing
@needs("keys")
@fresh("webhooks.show")
def destroy(endpoint_name: str) -> Response:
    """Delete the endpoint."""
    endpoints.delete(endpoint_name, actor=my_actor())
    flash(_("The endpoint is deleted."), "success")
    return go(url_for("webhooks.index"))


@bp.post("/<endpoint_name>/deliveries/<event_name>/send")
@rate_limits.writing
@needs("keys")
def send_again(endpoint_name: str, event_name: str) -> Response:
    """Send an event again."""
    try:
        redelivery.send_again(endpoint_name, event_name, actor=my_actor())
        flash(_("The event is sent again in a moment."), "success")
    except Refused as refused:
        flash(sentence(refused), "error")
    return _go(endpoint_name)


def _go(endpoint_name: str) -> Response:
    return go(url_for("webhooks.show", endpoint_name=endpoint_name))


def _index(form: EndpointForm, status: int, *, secret: str | None = None) -> Response:
    return page(
        "merchants/webhooks/webhooks_index.html",
        status,
        form=form,
        endpoints=webhooks.list_endpoints(my_merchant().id),
        secret=secret,
        zone=my_merchant().time_zone,
    )


def _show(endpoint_name: str, form: EndpointForm, status: int, *, secret: str | None = None) -> Response:
    row = endpoints.find(my_merchant().id, endpoint_name)
    deliveries = webhooks.list_deliveries(row, limit=20, cursor=request.args.get("cursor"))
    return page(
        "merchants/webhooks/webhooks_show.html",
        status,
        form=form,
        endpoint=row,
        deliveries=deliveries.items,
        next_cursor=deliveries.next_cursor,
        secret=secret,
        problem=labels.webhook_problem,
        zone=my_merchant().time_zone,
    )
