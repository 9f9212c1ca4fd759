"""A link of a plan. The pay link shows the plan to pay; the customer's link also begins to claim the account.

The address holds the token, so its pages send no Referer, no cache stores them, and no log line holds the path.
"""

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext as _
from sqlalchemy.orm import joinedload, selectinload
from wtforms import PasswordField, StringField

from portal import rate_limits
from portal.domain.identifiers import masked_email
from portal.errors import Invalid, NotFound
from portal.extensions import db
from portal.models import Invitation, Letterhead, Plan
from portal.services.mail.facts import sender
from portal.services.plans import invitations
from portal.web.accounts.email_proofs import ask_for_proof
from portal.web.accounts.sessions import sign_in
from portal.web.agreements.acceptances import Addresses, agreement_of
from portal.web.agreements.proposals import question_of
from portal.web.error_pages import show as show_failure
from portal.web.forms import Form, apply_faults
from portal.web.labels import state_of
from portal.web.middleware import language
from portal.web.respond import confidential, page
from portal.wording.lazy import lazy_gettext as _l

bp = Blueprint("invitations", __name__)


class ClaimForm(Form):
    username = StringField(_l("Username"))
    password = PasswordField(_l("Password"))


@bp.get("/invitations/<token>")
def show(token: str) -> Response:
    """The plan and, by the customer's link, the form that begins to claim the account."""
    invitation = invitations.find(token)
    if invitation is None:
        return closed(token)
    if invitation.kind == "customer" and invitation.opened_at is None and _is_opened_by_a_person():
        invitations.mark_opened(invitation.id)
        invitation = invitations.find(token)
        if invitation is None:
            return closed(token)
    return _page(invitation, token, ClaimForm(), 200)


@bp.post("/invitations/<token>")
@rate_limits.registering
def update(token: str) -> Response:
    """Register for the email of the plan, sign in, and ask for its proof, which alone claims the plan's account."""
    form = ClaimForm()
    invitation = invitations.find(token)
    if invitation is None:
        return closed(token)
    if invitation.kind == "pay":
        return only_pays(invitation)
    plan_id = invitation.plan_id
    if not form.validate():
        return _page(invitation, token, form, 422)
    try:
        user_id = invitations.begin_claim(token, username=form.username.data or "", password=form.password.data or "")
    except NotFound:
        return closed(token)
    except Invalid as invalid:
        apply_faults(form, invalid)
        invitation = invitations.find(token)
        return closed(token) if invitation is None else _page(invitation, token, form, invalid.status)
    language.keep(user_id)
    sign_in(user_id)
    return ask_for_proof(then=url_for("plans.show", plan_id=plan_id))


def _is_opened_by_a_person() -> bool:
    """A browser shows the page. HEAD requests of mail scanners and prefetches (Sec-Purpose) are not that."""
    purpose = request.headers.get("Sec-Purpose", "") + request.headers.get("Purpose", "")
    return request.method == "GET" and "prefetch" not in purpose


def plan_of(invitation: Invitation) -> Plan:
    """The plan with its parties and installments."""
    return db.session.get_one(
        Plan,
        invitation.plan_id,
        options=[
            joinedload(Plan.merchant),
            joinedload(Plan.customer),
            joinedload(Plan.open_proposal),
            selectinload(Plan.installments),
        ],
        populate_existing=True,
    )


def _page(invitation: Invitation, token: str, form: ClaimForm, status: int) -> Response:
    plan = plan_of(invitation)
    states = [state_of(row) for row in plan.installments]
    upcoming = next((row for row in plan.installments if row.is_open), None)
    return confidential(
        page(
            "invitations/show.html",
            status,
            form=form,
            plan=plan,
            contact=Letterhead.of(plan.merchant_id),
            states=states,
            checking="checking" in states,
            upcoming=upcoming,
            written_off=0 if upcoming else sum(row.payable for row in plan.installments),
            token=token,
            invitation=invitation,
            reader_email=reader_email(invitation),
            question=question_of(plan, plan.installments, url_for("link_agreements.days", token=token))
            if invitation.kind == "customer"
            else None,
            agreement=agreement_of(
                plan, plan.installments, _addresses(token) if invitation.kind == "customer" else None
            ),
        )
    )


def _addresses(token: str) -> Addresses:
    return Addresses(
        accept=url_for("link_agreements.accept", token=token),
        dispute=url_for("link_agreements.new", token=token),
        uphold=url_for("link_agreements.uphold", token=token),
    )


def reader_email(invitation: Invitation) -> str:
    """The plan's email as the link's reader sees it: masked on the pay link, whose reader may be anybody."""
    email = invitation.plan.customer.email
    return masked_email(email) if invitation.kind == "pay" else email


def only_pays(invitation: Invitation) -> Response:
    """The 403 page of an act that only the customer's link permits."""
    return confidential(
        show_failure(
            403,
            _("This link is for paying only"),
            _(
                "It shows the plan and takes payments. An account is set up with the link in the mails to %(email)s.",
                email=reader_email(invitation),
            ),
        )
    )


def closed(token: str) -> Response:
    """The 404 page of a link that ended, or that never was: what happened, and whom to ask."""
    ended = invitations.ended(token)
    happened = _why_ended(ended) if ended is not None else _("This address leads to no plan. It may be mistyped.")
    return confidential(
        show_failure(
            404,
            _("This link can't be used"),
            happened,
            action_href=url_for("sessions.new"),
            action_text=_("Sign in"),
        )
    )


def _why_ended(ended: Invitation) -> str:
    merchant, contact, _letterhead = sender(ended.plan.merchant_id)
    names = {"merchant": merchant.business_name, "contact": contact}
    if ended.claimed_at is not None:
        return str(_("An account was set up for this plan, so sign in to see it."))
    if ended.revoked_for == "renewed":
        return str(
            _("A newer link took its place. Use the newest one, or ask %(merchant)s (%(contact)s) for one.", **names)
        )
    if ended.revoked_for == "corrected":
        return str(_("%(merchant)s had made this plan for a wrong email and corrected that. You owe nothing.", **names))
    if ended.revoked_for == "revoked":
        words = _("%(merchant)s ended this link. If you have a question about the plan, ask %(contact)s.", **names)
    else:
        words = _("It worked for 30 days. Ask %(merchant)s (%(contact)s) for a new one.", **names)
    register = _("You can always register with your email, and see your plans once you have proven that it is yours.")
    return f"{words} {register}" if ended.kind == "customer" else str(words)
