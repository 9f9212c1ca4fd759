"""The page that asks for the password again before an act that a stolen session must not reach.

`fresh` stands on the view of the act. The form is kept while the page asks, and comes back as it was typed
(web/kept_forms.py). The person presses its button again; nothing is sent by itself.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from flask import Blueprint, Response, current_app, url_for
from flask.typing import ResponseReturnValue
from wtforms import HiddenField, PasswordField, StringField

from portal.errors import Invalid
from portal.services.security import fresh_sign_ins, passkeys, second_factors
from portal.web import kept_forms, rate_limits
from portal.web.authorization import login_needed, me, my_session
from portal.web.forms import Form, Needed, apply_faults
from portal.web.respond import go, page
from portal.web.security.challenges import browser, challenge
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.refusals import sentence

P = ParamSpec("P")
View = Callable[P, ResponseReturnValue]

bp = Blueprint("fresh_sign_ins", __name__, url_prefix="/account/fresh-sign-in")


class PasswordAgainForm(Form):
    password = PasswordField(_l("Password"), [Needed(_l("Enter your password."))])
    code = StringField(_l("Code"))


class PasskeyAgainForm(Form):
    credential = HiddenField()


def fresh(form_page: str) -> Callable[[View[P]], View[P]]:
    """Restrict a view to sessions in which the password was typed less than fresh_sign_ins.FRESH ago.

    In another session the form is kept, and the person is asked for the password. `form_page` is the endpoint of the
    form's page; it takes the arguments of the view that its address names. Stands below `needs`.
    """

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            if fresh_sign_ins.is_fresh(my_session()):
                return view(*args, **kwargs)
            rule = next(current_app.url_map.iter_rules(form_page))
            path = url_for(form_page, **{name: kwargs[name] for name in rule.arguments})  # type: ignore[arg-type]
            kept_forms.keep(me().id, path)
            return go(url_for("fresh_sign_ins.new"))

        return guarded

    return decorate


@bp.get("")
@login_needed
def new() -> Response:
    """The form that asks for the password."""
    return _page(PasswordAgainForm(), 200)


@bp.post("")
@login_needed
@rate_limits.checking_password
def create() -> Response:
    """Check the password, and go back to the form that waits."""
    form = PasswordAgainForm()
    if not form.validate():
        return _page(form, 422)
    path = kept_forms.path_of()
    try:
        fresh_sign_ins.confirm(my_session().id, form.password.data or "", form.code.data or "")
    except Invalid as invalid:
        rate_limits.count_wrong_password()
        apply_faults(form, invalid)
        return _page(form, invalid.status)
    return _back(path)


@bp.post("/passkey/options")
@login_needed
@rate_limits.writing
def options() -> Response:
    """The challenge for a passkey in place of password and code."""
    return challenge("confirm", me().id)


@bp.post("/passkey")
@login_needed
@rate_limits.writing
def create_by_passkey() -> Response:
    """Check the passkey, and go back to the form that waits."""
    form = PasskeyAgainForm()
    path = kept_forms.path_of()
    session_id = my_session().id
    try:
        passkeys.use("confirm", browser(), form.credential.data or "", me().id)
    except Invalid as invalid:
        return _page(PasswordAgainForm(formdata=None), invalid.status, problem=sentence(invalid))
    fresh_sign_ins.confirm_by_passkey(session_id)
    return _back(path)


def _back(path: str | None) -> Response:
    return go(path or url_for("account.password"))


def _page(form: PasswordAgainForm, status: int, *, problem: str = "") -> Response:
    return page(
        "security/fresh_sign_ins_new.html",
        status,
        form=form,
        problem=problem,
        state=second_factors.state(me().id),
        back=kept_forms.path_of() or url_for("account.password"),
    )
