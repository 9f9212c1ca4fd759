"""The mailed link that stops the removal of an account's factors. Its address holds its token."""

from flask import Blueprint, Response, flash, url_for
from flask_babel import gettext as _

from portal.errors import NotFound
from portal.services.operations import lost_factors
from portal.web import rate_limits
from portal.web.error_pages import show as show_failure
from portal.web.respond import confidential, go, page

bp = Blueprint("factor_removals", __name__, url_prefix="/factor-removals")


@bp.get("/<removal_token>")
def show(removal_token: str) -> Response:
    """The factors that are going to be removed, and the button that stops it."""
    removal = lost_factors.find(removal_token)
    if removal is None:
        return _closed()
    return confidential(page("security/factor_removals_show.html", removal=removal, token=removal_token))


@bp.post("/<removal_token>")
@rate_limits.resetting
def stop(removal_token: str) -> Response:
    """Stop the removal."""
    try:
        lost_factors.stop(removal_token)
    except NotFound:
        return _closed()
    flash(_("Your second factors stay. If you did not ask for this, change your password now."), "success")
    return confidential(go(url_for("sessions.new")))


def _closed() -> Response:
    return confidential(
        show_failure(
            404,
            _("This link can't be used"),
            _("The removal was stopped already, or it is done."),
            action_href=url_for("sessions.new"),
            action_text=_("Sign in"),
        )
    )
