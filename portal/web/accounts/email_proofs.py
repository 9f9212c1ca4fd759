"""Proving an email: by the code of a mail in the browser that asked for it, or by the mail's link anywhere.

The link's address holds its token, so its pages send no Referer and no cache stores them.
"""

from typing import Final

from flask import Blueprint, Response, current_app, flash, g, request, session, url_for
from flask_babel import gettext as _
from wtforms import EmailField, PasswordField, StringField
from wtforms.validators import Length

from portal.access import client_address
from portal.errors import Invalid, NotFound, Refused
from portal.models import EmailProof
from portal.services.accounts import proofs
from portal.services.accounts.proofs import Asker
from portal.services.security import second_factors
from portal.web import rate_limits
from portal.web.accounts.sessions import second_step, sign_in
from portal.web.authorization import login_or_registration_needed, me, my_session, signed_in_user, start_page
from portal.web.error_pages import show as show_failure
from portal.web.forms import Form, Needed, apply_faults
from portal.web.operations import emails
from portal.web.respond import confidential, go, local_path, page
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.refusals import sentence

bp = Blueprint("email_proofs", __name__)

THEN: Final = "after_proof"
"""The cookie's key of the path that follows the proof."""


class CodeForm(Form):
    code = StringField(
        _l("Code"), [Needed(_l("Type the six digits of the mail.")), Length(max=40, message=_l("That is too long."))]
    )


class EmailForm(Form):
    email = EmailField(_l("Email"), [Needed(_l("Enter an email address."))])


class LinkForm(Form):
    """Either of the two: the password that was chosen at the registration, or a new one."""

    password = PasswordField(_l("The password that was chosen"))
    new_password = PasswordField(_l("New password"))


def asker() -> Asker:
    """The origin of this request: this browser's session and its address."""
    return Asker(client_address(), my_session().id)


def ask_for_proof(*, then: str | None = None) -> Response:
    """Mail a proof to the account that has just signed in, and lead to the page that takes its code.

    `then` is the path that follows the proof.
    """
    session[THEN] = then
    try:
        proofs.ask(me().id, asker())
    except Refused as refused:
        flash(sentence(refused), "warn")
    return go(url_for("email_proofs.show"))


@bp.get("/account/email/proof")
@login_or_registration_needed
def show() -> Response:
    """The form for the code. ?leave=1 asks whether to remove the registration."""
    if me().is_proven and proofs.pending(me().id) is None:
        return go(start_page(me()))
    return proof_page(200)


@bp.post("/account/email/proof")
@rate_limits.proving
@login_or_registration_needed
def update() -> Response:
    """Prove the email by the code, which only this browser may use if it asked for it."""
    form = CodeForm()
    if not form.validate():
        return proof_page(422, code_form=form)
    was_proven = me().is_proven
    try:
        proofs.prove(me().id, form.code.data or "", session_id=my_session().id)
    except Invalid as invalid:
        apply_faults(form, invalid)
        return proof_page(invalid.status, code_form=form)
    except Refused as refused:
        return proof_page(refused.status, problem=sentence(refused))
    g.pop("_login_user", None)
    return _proven(is_change=was_proven)


@bp.post("/account/email/proofs")
@rate_limits.proving
@login_or_registration_needed
def create() -> Response:
    """Mail another proof. The one before stops working."""
    try:
        proofs.ask(me().id, asker())
    except Refused as refused:
        return proof_page(refused.status, problem=sentence(refused))
    flash(_("Another mail is on its way. The code of the one before does not work any more."), "success")
    return go(url_for("email_proofs.show"))


@bp.get("/email-proofs/<proof_token>")
def edit(proof_token: str) -> Response:
    """The page of the mailed link. Opening it proves nothing: mail servers open links, too."""
    proof = proofs.find(proof_token)
    return _closed() if proof is None else _link_page(proof, proof_token, LinkForm(), 200)


@bp.post("/email-proofs/<proof_token>")
@rate_limits.proving
def confirm(proof_token: str) -> Response:
    """Prove the email, and sign in. Elsewhere than where the mail was asked for it takes a password, or a new one."""
    form = LinkForm()
    proof = proofs.find(proof_token)
    if proof is None:
        return _closed()
    if not form.validate():
        return _link_page(proof, proof_token, form, 422)
    session_id, is_change = _session_id(), proof.user is not None and proof.user.is_proven
    is_here = proofs.is_from(proof, session_id)
    try:
        user_id = proofs.prove_by_link(
            proof_token,
            session_id=session_id,
            password=form.password.data or None,
            new_password=form.new_password.data or None,
        )
    except Refused as refused:
        return confidential(show_failure(refused.status, _("This email was not proven"), sentence(refused)))
    except (Invalid, NotFound) as error:
        proof = proofs.find(proof_token)
        if proof is None or isinstance(error, NotFound):
            return _closed()
        apply_faults(form, error)
        return _link_page(proof, proof_token, form, error.status)
    g.pop("_login_user", None)
    if not is_here and second_factors.is_on(user_id):
        return confidential(second_step(user_id, url_for("email_changes.show")))
    if not is_here:
        sign_in(user_id)
    return confidential(_proven(is_change=is_change))


def proof_page(
    status: int, *, code_form: CodeForm | None = None, email_form: EmailForm | None = None, problem: str = ""
) -> Response:
    """The page that takes the code, with what a registration can do besides."""
    waiting = proofs.pending(me().id)
    return page(
        "accounts/email_proofs_show.html",
        status,
        form=code_form or CodeForm(formdata=None),
        email_form=email_form or EmailForm(formdata=None, email=me().email),
        email=waiting.email if waiting is not None else me().email,
        is_waiting=waiting is not None,
        is_change=me().is_proven,
        leaves=request.args.get("leave") == "1",
        problem=problem,
        is_stored=current_app.config["QIST"].smtp_host is None,
        can_open=current_app.config["QIST"].smtp_host is None and emails.is_open_here(),
        in_terminal=emails.is_local(),
    )


def _proven(*, is_change: bool) -> Response:
    then = local_path(session.pop(THEN, None))
    if is_change:
        flash(_("Your email is changed. You are signed out everywhere else."), "success")
        return go(url_for("email_changes.show"))
    flash(_("Your email is proven, and your account is ready."), "success")
    return go(then or start_page(me()))


def _session_id() -> int | None:
    return my_session().id if signed_in_user() is not None else None


def _link_page(proof: EmailProof, token: str, form: LinkForm, status: int) -> Response:
    return confidential(
        page(
            "accounts/email_proofs_edit.html",
            status,
            form=form,
            proof=proof,
            token=token,
            is_here=proofs.is_from(proof, _session_id()),
            is_change=proof.user is not None and proof.user.is_proven,
        )
    )


def _closed() -> Response:
    return confidential(
        show_failure(
            404,
            _("This link can't be used"),
            _(
                "It may have been used already, replaced by a newer one, or be older than 15 minutes. "
                "Sign in with the username and password that were chosen, and ask for a new mail there."
            ),
            action_href=url_for("email_proofs.show"),
            action_text=_("Ask for a new mail"),
        )
    )
