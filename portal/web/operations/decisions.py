"""The page before a decision of an operator: what it means, and the reason that the form asks for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flask import Response, flash
from wtforms import StringField

from portal.errors import Invalid, Refused
from portal.web.forms import Form, Needed, OneLine, apply_faults
from portal.web.respond import go, page
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.refusals import sentence


class ReasonForm(Form):
    reason = StringField(_l("Reason"), [Needed(_l("Say why, in a few words.")), OneLine()])


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision about a business, an account or a refund. `about` are sentences; `back` is the subject's page."""

    title: str
    subject: str
    about: Sequence[str]
    button: str
    back: str
    done: str
    danger: bool = True


def ask(decision: Decision) -> Response:
    """The page with the form."""
    return _page(decision, ReasonForm(), 200)


def decide(decision: Decision, act: Callable[[str], object]) -> Response:
    """Call the service function with the reason, and go back to the subject's page."""
    form = ReasonForm()
    if not form.validate():
        return _page(decision, form, 422)
    try:
        act(form.reason.data or "")
    except Invalid as invalid:
        apply_faults(form, invalid)
        return _page(decision, form, invalid.status)
    except Refused as refused:
        flash(sentence(refused), "error")
    else:
        flash(decision.done, "success")
    return go(decision.back)


def press(act: Callable[[], object], done: str, back: str) -> Response:
    """Call the service function of a button without a form, and go back to the subject's page."""
    try:
        act()
    except Refused as refused:
        flash(sentence(refused), "error")
    else:
        flash(done, "success")
    return go(back)


def _page(decision: Decision, form: ReasonForm, status: int) -> Response:
    return page("operations/people/decision.html", status, decision=decision, form=form)
