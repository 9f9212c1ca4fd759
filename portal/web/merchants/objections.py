"""An owner objects to the deactivation of their business: a text to the operators."""

from flask import Blueprint, Response, flash, url_for
from flask_babel import gettext as _
from wtforms import StringField

from portal.errors import Invalid, Refused
from portal.services.operations import merchant_deactivations
from portal.web import rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.forms import Form, Needed, OneLine, apply_faults
from portal.web.respond import go, page
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("objections", __name__)


class ObjectionForm(Form):
    reason = StringField(_l("Why it should be active again"), [Needed(_l("Say why, in a few words.")), OneLine()])


@bp.get("/settings/objection")
@needs("own")
def new() -> Response:
    """The form."""
    return _page(ObjectionForm(), 200)


@bp.post("/settings/objection")
@rate_limits.writing
@needs("own")
def create() -> Response:
    """Send the objection to the operators."""
    form = ObjectionForm()
    if not form.validate():
        return _page(form, 422)
    try:
        merchant_deactivations.object_to(my_actor(), text=form.reason.data or "")
    except (Invalid, Refused) as error:
        apply_faults(form, error)
        return _page(form, error.status)
    flash(_("Your objection is sent to the operators."), "success")
    return go(url_for("dashboard.show"))


def _page(form: ObjectionForm, status: int) -> Response:
    return page("merchants/objections_new.html", status, form=form)
