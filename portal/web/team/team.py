"""The team of a business, for its owners: invite, change a role or a refund limit, remove, hand over."""

from collections.abc import Callable
from typing import Any, cast

from flask import Blueprint, Response, flash, g, url_for
from flask_babel import gettext as _
from wtforms import BooleanField, EmailField, RadioField, StringField

from portal.domain import clock, money
from portal.domain.permissions import ROLES, Role
from portal.errors import Invalid, NotFound, Refused
from portal.models import Membership
from portal.reports.merchants import team as reports
from portal.services.team import invitations, members
from portal.web import rate_limits
from portal.web.authorization import me, my_actor, my_merchant, needs
from portal.web.forms import Form, Needed, apply_faults, choices, read_limit
from portal.web.respond import go, page
from portal.web.security.fresh_sign_ins import fresh
from portal.wording import labels
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.refusals import sentence

bp = Blueprint("team", __name__, url_prefix="/settings/team")


def role_choices() -> list[Any]:
    """The choices of a role field: the role, and what it permits."""
    return choices(
        (role, _("%(role)s · %(may)s", role=labels.team_role(role), may=labels.role_permissions(role)))
        for role in ROLES
    )


class InvitationForm(Form):
    email = EmailField(_l("Email"), [Needed(_l("Enter an email address."))])
    role = RadioField(_l("Role"), choices=role_choices, default="collector", validate_choice=False)


class MemberForm(Form):
    role = RadioField(_l("Role"), choices=role_choices, validate_choice=False)
    refund_limit = StringField(_l("Refunds a day, at most"))


class RemovalForm(Form):
    revoke_keys = BooleanField(_l("Also revoke the API keys that they made"))


@bp.get("")
@needs("team")
def index() -> Response:
    """The members, the open invitations, the form that invites, and who made which API key."""
    return _index(InvitationForm(), 200)


@bp.post("/invitations")
@rate_limits.writing
@needs("team")
@fresh("team.index")
def invite() -> Response:
    """Invite an email. The response does not tell whether it has an account."""
    form = InvitationForm()
    if not form.validate():
        return _index(form, 422)
    email = (form.email.data or "").strip()
    try:
        invitations.invite(my_actor(), email=email, role=cast(Role, form.role.data))
    except (Invalid, Refused) as error:
        apply_faults(form, error)
        return _index(form, error.status)
    flash(_("The invitation goes to %(email)s by mail. It can be accepted for 7 days.", email=email), "success")
    return go(url_for("team.index"))


@bp.post("/invitations/<int:invitation_id>/send-again")
@rate_limits.writing
@needs("team")
@fresh("team.index")
def send_again(invitation_id: int) -> Response:
    """Send a new link in place of the one before."""
    return _act(
        lambda: invitations.send_again(invitation_id, actor=my_actor()),
        _("A new invitation is on its way. The link before it has ended."),
    )


@bp.post("/invitations/<int:invitation_id>/revoke")
@rate_limits.writing
@needs("team")
def revoke(invitation_id: int) -> Response:
    """End an invitation."""
    return _act(
        lambda: invitations.revoke(invitation_id, actor=my_actor()),
        _("The invitation is revoked. Its link does not work any more."),
    )


@bp.get("/<int:member_id>")
@needs("team")
def edit(member_id: int) -> Response:
    """The form with a member's role and refund limit."""
    member = _member(member_id)
    form = MemberForm(obj=member)
    currency = my_merchant().home_currency
    if "kept_fields" not in g:
        form.refund_limit.data = money.plain(member.refund_limit, currency) if member.refund_limit is not None else ""
    return _edit(form, member, 200)


@bp.post("/<int:member_id>")
@rate_limits.writing
@needs("team")
@fresh("team.edit")
def update(member_id: int) -> Response:
    """Save a member's role and refund limit."""
    form, member = MemberForm(), _member(member_id)
    if not form.validate():
        return _edit(form, member, 422)
    try:
        limit = read_limit(form.refund_limit, my_merchant().home_currency)
        members.change(member_id, actor=my_actor(), role=cast(Role, form.role.data), refund_limit=limit)
    except (Invalid, Refused) as error:
        apply_faults(form, error)
        return _edit(form, _member(member_id), error.status)
    flash(_("Saved."), "success")
    still_owner = member_id != me().id or form.role.data == "owner"
    return go(url_for("team.index" if still_owner else "dashboard.show"))


@bp.get("/<int:member_id>/remove")
@needs("team")
def confirm_removal(member_id: int) -> Response:
    """The confirmation: what ends with the membership, and which API keys the member made."""
    return _removal(RemovalForm(), _member(member_id), 200)


@bp.post("/<int:member_id>/remove")
@rate_limits.writing
@needs("team")
@fresh("team.confirm_removal")
def remove(member_id: int) -> Response:
    """End a membership."""
    form, member = RemovalForm(), _member(member_id)
    try:
        members.remove(member_id, actor=my_actor(), revoke_keys=bool(form.revoke_keys.data))
    except Refused as refused:
        apply_faults(form, refused)
        return _removal(form, member, refused.status)
    flash(_("The membership has ended, and with it every sign-in to this business."), "success")
    return go(url_for("team.index" if member_id != me().id else "memberships.index"))


@bp.get("/<int:member_id>/hand-over")
@needs("team")
def confirm_hand_over(member_id: int) -> Response:
    """The confirmation of a hand-over."""
    return _hand_over(Form(), _member(member_id), 200)


@bp.post("/<int:member_id>/hand-over")
@rate_limits.writing
@needs("team")
@fresh("team.confirm_hand_over")
def hand_over(member_id: int) -> Response:
    """Make a member an owner, and yourself a manager."""
    form, member = Form(), _member(member_id)
    try:
        members.hand_over(member_id, actor=my_actor())
    except Refused as refused:
        apply_faults(form, refused)
        return _hand_over(form, member, refused.status)
    flash(_("The business is handed over. You are a manager now."), "success")
    return go(url_for("dashboard.show"))


def _act(act: Callable[[], None], done: str) -> Response:
    """Carry out a button of the team page; a refusal is a message on it."""
    try:
        act()
    except Refused as refused:
        flash(sentence(refused), "error")
    else:
        flash(done, "success")
    return go(url_for("team.index"))


def _member(member_id: int) -> Membership:
    """The membership in this business. Raises NotFound."""
    for member in reports.members(my_merchant().id):
        if member.user_id == member_id:
            return member
    raise NotFound()


def _index(form: InvitationForm, status: int) -> Response:
    merchant = my_merchant()
    team, keys = reports.members(merchant.id), reports.keys_by_maker(merchant.id)
    present = {member.user_id for member in team}
    return page(
        "team/index.html",
        status,
        form=form,
        team=team,
        invitations=reports.open_invitations(merchant.id),
        keys=[(rows[0].maker, maker_id in present, rows) for maker_id, rows in keys.items()],
        owners=sum(member.role == "owner" for member in team),
        is_draft=merchant.approved_at is None,
        role_label=labels.team_role,
        now=clock.now(),
        me_id=me().id,
        zone=merchant.time_zone,
        currency=merchant.home_currency,
    )


def _edit(form: MemberForm, member: Membership, status: int) -> Response:
    context = {"form": form, "member": member, "currency": my_merchant().home_currency, "is_me": _is_me(member)}
    return page("team/edit.html", status, **context)


def _removal(form: RemovalForm, member: Membership, status: int) -> Response:
    keys = reports.keys_by_maker(member.merchant_id).get(member.user_id, [])
    return page("team/remove.html", status, form=form, member=member, keys=keys, is_me=_is_me(member))


def _hand_over(form: Form, member: Membership, status: int) -> Response:
    if _is_me(member):
        raise NotFound()
    return page("team/hand_over.html", status, form=form, member=member)


def _is_me(member: Membership) -> bool:
    return member.user_id == me().id
