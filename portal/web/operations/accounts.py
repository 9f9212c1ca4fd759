"""Accounts for the operators: the list, one account, and its deactivation."""

from typing import Final

from flask import Blueprint, Response, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from portal.errors import NotFound
from portal.reports import security_events
from portal.reports.operations import accounts as reports
from portal.reports.operations.accounts import AccountDetails
from portal.services.operations import account_deactivations, lost_factors
from portal.services.security import second_factors
from portal.web import rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.lists.filters import ListQuery
from portal.web.lists.list_page import list_page
from portal.web.operations.decisions import Decision, ask, decide
from portal.web.respond import page
from portal.web.security.fresh_sign_ins import fresh
from portal.wording.lists import listed

bp = Blueprint("operator_accounts", __name__, url_prefix="/operator/accounts")

PAGE_LENGTH: Final = 30


@bp.get("")
@needs("operate")
def index() -> ResponseReturnValue:
    """Accounts, newest first."""
    query = ListQuery()
    state, search = query.choice("state", reports.STATES), query.text("search")
    return list_page(
        query,
        lambda: reports.list_accounts(state=state, search=search, limit=PAGE_LENGTH, cursor=query.cursor),
        rows="rows",
        page="operations/people/accounts_index.html",
        fragment="operations/people/_accounts_list.html",
        states=reports.STATES,
    )


@bp.get("/<int:user_id>")
@needs("operate")
def show(user_id: int) -> Response:
    """One account: its businesses, what it is signed in with, the acts on it, and its newest security events."""
    details = _find(user_id)
    events = security_events.of_account(user_id).items
    return page(
        "operations/people/accounts_show.html",
        details=details,
        events=events,
        factors=second_factors.state(user_id),
        removal=lost_factors.waiting(user_id),
    )


@bp.get("/<int:user_id>/deactivate")
@needs("operate")
def ask_to_deactivate(user_id: int) -> Response:
    """The page that says what a deactivation ends, with the form for the reason."""
    return ask(_deactivating(_find(user_id)))


@bp.post("/<int:user_id>/deactivate")
@rate_limits.writing
@needs("operate")
def deactivate(user_id: int) -> Response:
    """Deactivate the account."""
    return decide(
        _deactivating(_find(user_id)),
        lambda reason: account_deactivations.deactivate(user_id, actor=my_actor(), reason=reason),
    )


@bp.get("/<int:user_id>/reactivate")
@needs("operate")
def ask_to_reactivate(user_id: int) -> Response:
    """The page that says what a reactivation means, with the form for the reason."""
    return ask(_reactivating(_find(user_id)))


@bp.post("/<int:user_id>/reactivate")
@rate_limits.writing
@needs("operate")
def reactivate(user_id: int) -> Response:
    """Reactivate the account."""
    return decide(
        _reactivating(_find(user_id)),
        lambda reason: account_deactivations.reactivate(user_id, actor=my_actor(), reason=reason),
    )


@bp.get("/<int:user_id>/remove-factors")
@needs("operate")
def ask_to_remove_factors(user_id: int) -> Response:
    """The page that says what the removal of lost factors means, with the form for the reason."""
    return ask(_removing_factors(_find(user_id)))


@bp.post("/<int:user_id>/remove-factors")
@rate_limits.writing
@needs("operate")
@fresh("operator_accounts.ask_to_remove_factors")
def remove_factors(user_id: int) -> Response:
    """Ask for the removal of the account's factors, 24 hours from now."""
    return decide(
        _removing_factors(_find(user_id)),
        lambda reason: lost_factors.ask(user_id, actor=my_actor(), reason=reason),
    )


def _find(user_id: int) -> AccountDetails:
    details = reports.find(user_id)
    if details is None:
        raise NotFound()
    return details


def _deactivating(details: AccountDetails) -> Decision:
    about = [
        _("The person can't sign in, and gets mails about refunds and this decision only."),
        _(
            "What ends for good: %(sessions)s, %(tokens)s, %(keys)s.",
            sessions=ngettext("%(num)s session", "%(num)s sessions", details.sessions),
            tokens=ngettext("%(num)s sign-in over the API", "%(num)s sign-ins over the API", details.tokens),
            keys=ngettext("%(num)s API key", "%(num)s API keys", details.keys),
        ),
    ]
    if details.open_plans:
        about.append(
            ngettext(
                "%(num)s open plan stays, without automatic payment and reminders.",
                "%(num)s open plans stay, without automatic payment and reminders.",
                details.open_plans,
            )
        )
    if details.memberships:
        about.append(_("The businesses of the person go on."))
    if details.only_owner_of:
        names = listed(row.merchant.business_name for row in details.only_owner_of)
        about.append(
            _("Nobody else owns %(businesses)s: nobody can change the team or the keys there.", businesses=names)
        )
    return Decision(
        title=_("Deactivate this account?"),
        subject=details.user.display_name,
        about=about,
        button=_("Deactivate account"),
        back=url_for("operator_accounts.show", user_id=details.user.id),
        done=_("The account is deactivated."),
    )


def _removing_factors(details: AccountDetails) -> Decision:
    return Decision(
        title=_("Remove the second factors?"),
        subject=details.user.display_name,
        about=[
            _("The person is told by mail at once. A link in the mail stops the removal."),
            _("24 hours from now all factors and recovery codes end, and signing in takes the password alone."),
            _("Make sure who asks: a phone call to a number that you know, or a document."),
        ],
        button=_("Remove in 24 hours"),
        back=url_for("operator_accounts.show", user_id=details.user.id),
        done=_("The removal is asked for. The person is told by mail."),
    )


def _reactivating(details: AccountDetails) -> Decision:
    return Decision(
        title=_("Reactivate this account?"),
        subject=details.user.display_name,
        about=[_("The person can sign in again. Sessions, tokens and API keys that ended stay ended.")],
        button=_("Reactivate account"),
        back=url_for("operator_accounts.show", user_id=details.user.id),
        done=_("The account is active again."),
        danger=False,
    )
