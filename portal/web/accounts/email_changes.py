"""The account's email: change it, and undo a change by the link that the old address got.

The link's address holds its token, so its pages send no Referer and no cache stores them.
"""

from flask import Blueprint, Response, flash, url_for
from flask_babel import gettext as _
from wtforms import BooleanField, EmailField, PasswordField

from portal.errors import Invalid, NotFound, Refused
from portal.models import EmailChange
from portal.services.accounts import api_keys, email_changes, proofs
from portal.services.security import email_undos
from portal.web import rate_limits
from portal.web.accounts.email_proofs import asker
from portal.web.authorization import login_needed, me
from portal.web.error_pages import show as show_failure
from portal.web.forms import Form, Needed, apply_faults, has_fault
from portal.web.respond import confidential, go, page
from portal.web.security.fresh_sign_ins import fresh
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.refusals import sentence

bp = Blueprint("email_changes", __name__)


class ChangeForm(Form):
    email = EmailField(_l("New email"), [Needed(_l("Enter an email address."))])
    current_password = PasswordField(_l("Current password"), [Needed(_l("Enter the password you use now."))])


class UndoForm(Form):
    new_password = PasswordField(_l("New password"), [Needed(_l("Enter a new password."))])
    revoke_keys = BooleanField(_l("Also revoke the API keys that you made"))


@bp.get("/account/email")
@login_needed
def show() -> Response:
    """The email of the account, and the form that changes it."""
    return _page(ChangeForm(), 200)


@bp.post("/account/email")
@rate_limits.proving
@login_needed
@fresh("email_changes.show")
@rate_limits.checking_password
def create() -> Response:
    """Mail a proof to the new email. The account keeps its own until the new one is proven."""
    form = ChangeForm()
    if not form.validate():
        return _page(form, 422)
    email, password = form.email.data or "", form.current_password.data or ""
    try:
        proofs.ask_change(me().id, email, password=password, asker=asker())
    except Invalid as invalid:
        if has_fault(invalid, "wrong_password"):
            rate_limits.count_wrong_password()
        apply_faults(form, invalid)
        return _page(form, invalid.status)
    except Refused as refused:
        return _page(form, refused.status, problem=sentence(refused))
    return go(url_for("email_proofs.show"))


@bp.get("/email-undos/<undo_token>")
def edit(undo_token: str) -> Response:
    """The form that gives the account its old email back, with a new password."""
    change = email_changes.find(undo_token)
    return _closed() if change is None else _undo_page(change, undo_token, UndoForm(), 200)


@bp.post("/email-undos/<undo_token>")
@rate_limits.resetting
def undo(undo_token: str) -> Response:
    """Give the account its old email back, and end every session and every new factor of it."""
    form = UndoForm()
    change = email_changes.find(undo_token)
    if change is None:
        return _closed()
    if not form.validate():
        return _undo_page(change, undo_token, form, 422)
    try:
        email_undos.undo(undo_token, new_password=form.new_password.data or "", revoke_keys=bool(form.revoke_keys.data))
    except NotFound:
        return _closed()
    except Invalid as invalid:
        apply_faults(form, invalid)
        change = email_changes.find(undo_token)
        return _closed() if change is None else _undo_page(change, undo_token, form, invalid.status)
    flash(_("Your account has its email back. Every browser is signed out: sign in with the new password."), "success")
    return confidential(go(url_for("sessions.new")))


def _page(form: ChangeForm, status: int, *, problem: str = "") -> Response:
    waiting = proofs.pending(me().id)
    return page(
        "accounts/email_changes_show.html",
        status,
        form=form,
        email=me().email,
        waiting=waiting.email if waiting is not None else "",
        until=email_changes.open_until(me().id),
        problem=problem,
    )


def _undo_page(change: EmailChange, token: str, form: UndoForm, status: int) -> Response:
    keys = api_keys.count_of(change.user_id, undoing=True)
    return confidential(
        page("accounts/email_changes_edit.html", status, form=form, change=change, token=token, keys=keys)
    )


def _closed() -> Response:
    return confidential(
        show_failure(
            404,
            _("This link can't be used"),
            _(
                "It may have been used already, or be older than 72 hours. "
                "If somebody else took your account, ask whoever runs this installation for help."
            ),
            action_href=url_for("sessions.new"),
            action_text=_("Sign in"),
        )
    )
