"""The second step of a sign-in: the code of the app, or a recovery code."""

from flask import Blueprint, Response, flash, g, request, session, url_for
from flask_babel import gettext as _
from wtforms import HiddenField, StringField
from wtforms.validators import Length

from portal.errors import Invalid, Refused
from portal.models import SignInStep
from portal.services.security import second_factors, sign_in_steps
from portal.web import rate_limits
from portal.web.accounts import sessions
from portal.web.authorization import signed_in_user, start_page
from portal.web.forms import Form, Needed, apply_faults
from portal.web.respond import go, local_path, page
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.refusals import sentence

bp = Blueprint("sign_in_steps", __name__, url_prefix="/login")


class CodeForm(Form):
    code = StringField(_l("Code"), [Needed(_l("Enter the code.")), Length(max=60, message=_l("That is too long."))])
    next = HiddenField()


def waiting() -> SignInStep | None:
    """The sign-in of this browser that waits for a factor."""
    if "sign_in_step" not in g:
        token = session.get(sessions.STEP)
        g.sign_in_step = sign_in_steps.find(token) if isinstance(token, str) else None
    return g.sign_in_step  # type: ignore[no-any-return]


def _account() -> int | None:
    step = waiting()
    return step.user_id if step is not None else None


@bp.get("/code")
def new() -> Response:
    """The page that asks for the second factor."""
    form = CodeForm()
    form.next.data = local_path(request.args.get("next"))
    return page_of(form, 200)


@bp.post("/code")
@rate_limits.trying_code(_account)
def create() -> Response:
    """Check the code, and sign in."""
    form = CodeForm()
    form.next.data = local_path(form.next.data)
    step, token = waiting(), session.get(sessions.STEP, "")
    if step is None or not form.validate():
        return page_of(form, 422)
    g.pop("sign_in_step")
    try:
        user_id = sign_in_steps.use_code(token, form.code.data or "")
    except Invalid as invalid:
        rate_limits.count_wrong_code()
        apply_faults(form, invalid)
        return page_of(form, invalid.status)
    except Refused as refused:
        rate_limits.count_wrong_code()
        return _again(sentence(refused), form.next.data)
    return sessions.enter(user_id, form.next.data)


def _again(reason: str, next_path: str | None) -> Response:
    """Back to the password."""
    session.pop(sessions.STEP, None)
    flash(reason, "warn")
    return go(url_for("sessions.new", next=next_path))


def page_of(form: CodeForm, status: int, *, problem: str = "") -> Response:
    """The page that asks for the second factor; back to the password if no sign-in waits for one."""
    step = waiting()
    if step is None:
        if (user := signed_in_user()) is not None:
            return go(form.next.data or start_page(user))
        return _again(_("This sign-in took too long. Sign in again."), form.next.data)
    return page(
        "accounts/sign_in_steps_new.html",
        status,
        form=form,
        problem=problem,
        state=second_factors.state(step.user_id),
    )
