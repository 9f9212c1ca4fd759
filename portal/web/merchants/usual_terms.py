"""Usual terms of a business: the list, and the forms that add and change them."""

from typing import Final

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _
from wtforms import SelectField, StringField

from portal.errors import Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import UsualTerms
from portal.models.plans.usual_terms import MAX_FIRST_DAYS
from portal.services.merchants import usual_terms
from portal.services.merchants.usual_terms import Terms
from portal.web import rate_limits
from portal.web.authorization import my_actor, my_merchant, needs
from portal.web.forms import Form, Needed, WholeField, apply_faults, choices
from portal.web.respond import go, page
from portal.wording.labels import INTERVAL_CHOICES
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("usual_terms", __name__)

PLACES: Final = {"up": -1, "down": 1}


class TermsForm(Form):
    name = StringField(_l("Name"))
    num_installments = WholeField(
        _l("Number of installments"), [Needed(_l("Enter a whole number from 1 to 60."))], default=3
    )
    interval = SelectField(
        _l("How often"), choices=choices(INTERVAL_CHOICES.items()), default="monthly", validate_choice=False
    )
    deposit_percent = WholeField(_l("Deposit"))
    first_days = WholeField(
        _l("First payment after"),
        [Needed(_l("Enter 0 to %(most)s days.", most=MAX_FIRST_DAYS))],
        default=30,
    )

    @property
    def terms(self) -> Terms:
        return Terms(
            name=self.name.data or "",
            num_installments=self.num_installments.data or 0,
            interval=self.interval.data or "",
            deposit_percent=self.deposit_percent.data,
            first_days=self.first_days.data if self.first_days.data is not None else -1,
        )


@bp.get("/settings/terms")
@needs("settings")
def index() -> Response:
    """The terms in their order, and the form for more of them."""
    return _page(TermsForm(), 200)


@bp.post("/settings/terms")
@rate_limits.writing
@needs("settings")
def create() -> Response:
    """Add usual terms."""
    form = TermsForm()
    if not form.validate():
        return _page(form, 422)
    try:
        usual_terms.add(my_actor(), form.terms)
    except (Invalid, Refused) as error:
        apply_faults(form, error)
        return _page(form, error.status)
    flash(_("Your terms are saved. The form of a new plan offers them."), "success")
    return go(url_for("usual_terms.index"))


@bp.get("/settings/terms/<int:terms_id>")
@needs("settings")
def edit(terms_id: int) -> Response:
    """The form of usual terms."""
    row = _mine(terms_id)
    return page("usual_terms/edit.html", form=TermsForm(obj=row), terms=row)


@bp.post("/settings/terms/<int:terms_id>")
@rate_limits.writing
@needs("settings")
def update(terms_id: int) -> Response:
    """Save changed terms."""
    form, row = TermsForm(), _mine(terms_id)
    if not form.validate():
        return page("usual_terms/edit.html", 422, form=form, terms=row)
    try:
        usual_terms.change(terms_id, actor=my_actor(), terms=form.terms)
    except Invalid as invalid:
        apply_faults(form, invalid)
        return page("usual_terms/edit.html", invalid.status, form=form, terms=_mine(terms_id))
    flash(_("Your terms are saved. The form of a new plan offers them."), "success")
    return go(url_for("usual_terms.index"))


@bp.post("/settings/terms/<int:terms_id>/remove")
@rate_limits.writing
@needs("settings")
def destroy(terms_id: int) -> Response:
    """Delete usual terms. Plans that were made with them stay."""
    usual_terms.remove(terms_id, actor=my_actor())
    flash(_("The terms are removed. Plans stay as they are."), "success")
    return go(url_for("usual_terms.index"))


@bp.post("/settings/terms/<int:terms_id>/move")
@rate_limits.writing
@needs("settings")
def move(terms_id: int) -> Response:
    """Move usual terms one place up or down in the list."""
    usual_terms.move(terms_id, actor=my_actor(), by=PLACES.get(request.form.get("to", ""), 0))
    flash(_("The order is saved."), "success")
    return go(url_for("usual_terms.index"))


def _mine(terms_id: int) -> UsualTerms:
    """These terms of the actor's business. Raises NotFound."""
    rows = db.session.scalars(UsualTerms.of_merchant(my_merchant().id))
    for row in rows:
        if row.id == terms_id:
            return row
    raise NotFound()


def _page(form: TermsForm, status: int) -> Response:
    rows = list(db.session.scalars(UsualTerms.of_merchant(my_merchant().id)))
    return page("usual_terms/index.html", status, form=form, rows=rows, limit=usual_terms.LIMIT)
