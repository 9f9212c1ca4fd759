"""Signing in with a passkey: after the password, or in place of it."""

from flask import Blueprint, Response, g, session
from wtforms import HiddenField

from portal.errors import Invalid, NotFound
from portal.services.security import passkeys, sign_in_steps
from portal.web import rate_limits
from portal.web.accounts import sessions
from portal.web.accounts.sign_in_steps import CodeForm, page_of, waiting
from portal.web.forms import Form
from portal.web.respond import local_path
from portal.web.security.challenges import browser, challenge
from portal.wording.refusals import sentence

bp = Blueprint("passkey_sign_ins", __name__, url_prefix="/login/passkey")


class PasskeyForm(Form):
    credential = HiddenField()
    next = HiddenField()


@bp.post("/options")
@rate_limits.trying_passkey
def options() -> Response:
    """A challenge for the account whose password was right, or for any account."""
    step = waiting()
    return challenge("sign_in", None) if step is None else challenge("second", step.user_id)


@bp.post("")
@rate_limits.trying_passkey
def create() -> Response:
    """Check the browser's answer, and sign in."""
    form = PasskeyForm()
    next_path = local_path(form.next.data)
    step, token = waiting(), session.get(sessions.STEP, "")
    expected = step.user_id if step is not None else None
    try:
        purpose = "sign_in" if expected is None else "second"
        user_id = passkeys.use(purpose, browser(), form.credential.data or "", expected)  # type: ignore[arg-type]
        if expected is not None:
            user_id = sign_in_steps.end(token)
    except (Invalid, NotFound) as refused:
        g.pop("sign_in_step", None)
        return _again(sentence(refused), next_path, refused.status)
    return sessions.enter(user_id, next_path)


def _again(problem: str, next_path: str | None, status: int) -> Response:
    if waiting() is not None:
        form = CodeForm(formdata=None)
        form.next.data = next_path
        return page_of(form, status, problem=problem)
    sign_in_form = sessions.SignInForm(formdata=None)
    sign_in_form.next.data = next_path
    return sessions.sign_in_page(sign_in_form, status, problem=problem)
