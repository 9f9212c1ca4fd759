"""The operator's pages: queue, workers, failed jobs, dead emails, and the checks of the database's rules."""

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, Response, flash, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from portal import __version__
from portal.domain import clock
from portal.errors import Refused
from portal.reports import webhooks
from portal.reports.operations import background, checks, health, merchants, shop_reports
from portal.services.maintenance import failed_jobs, last_check
from portal.web import rate_limits
from portal.web.authorization import my_actor, needs
from portal.web.respond import fragment_or_page, go, page
from portal.wording import installation
from portal.wording.checks import rule
from portal.wording.refusals import sentence

bp = Blueprint("operator", __name__)


@bp.get("/operator")
@needs("operate")
def show() -> Response:
    """The page. For htmx, which polls, the figures alone."""
    return fragment_or_page(
        "operations/_figures.html",
        "operations/operator_show.html",
        health=health.check(thorough=True),
        background=background.background(),
        mail=background.mail(),
        in_flight=background.in_flight(),
        webhooks=webhooks.counts(),
        shop_reports=shop_reports.open_reports(),
        ago=ago,
        problem=installation.problem,
        version=__version__,
        waiting=merchants.waiting(),
    )


@bp.get("/operator/checks")
@needs("operate")
def checked() -> Response:
    """The violations of each rule, counted over the whole database. The count can take long: it has its own page."""
    counts = list(checks.run())
    last_check.remember(count for _code, count in counts)
    return page("operations/operator_checks.html", checks=[(rule(code), count) for code, count in counts])


@bp.post("/operator/jobs/<job_id>/retry")
@rate_limits.writing
@needs("operate")
def retry_job(job_id: str) -> Response:
    return _carry_out(lambda: failed_jobs.retry(job_id, actor=my_actor()), _("The job is in the queue again."))


@bp.post("/operator/jobs/<job_id>/clear")
@rate_limits.writing
@needs("operate")
def clear_job(job_id: str) -> Response:
    return _carry_out(lambda: failed_jobs.clear(job_id, actor=my_actor()), _("The job is off the list."))


@bp.post("/operator/jobs/clear")
@rate_limits.writing
@needs("operate")
def clear_jobs() -> Response:
    return _carry_out(lambda: failed_jobs.clear_all(actor=my_actor()), _("The list of failed jobs is empty."))


def ago(instant: datetime | None) -> str:
    """ "just now", "40 seconds ago", "3 hours ago", "never" """
    if instant is None:
        return str(_("never"))
    seconds = max(0, int((clock.now() - instant).total_seconds()))
    if days := seconds // 86_400:
        return str(ngettext("%(days)s day ago", "%(days)s days ago", days, days=f"{days:,}"))
    if hours := seconds // 3_600:
        return str(ngettext("%(num)s hour ago", "%(num)s hours ago", hours))
    if minutes := seconds // 60:
        return str(ngettext("%(num)s minute ago", "%(num)s minutes ago", minutes))
    if seconds >= 2:
        return str(ngettext("%(num)s second ago", "%(num)s seconds ago", seconds))
    return str(_("just now"))


def _carry_out(act: Callable[[], object], success: str) -> Response:
    """Call the service function and go back to the page with its outcome as a message."""
    try:
        act()
        flash(success, "success")
    except Refused as refused:
        flash(sentence(refused), "error")
    return go(url_for("operator.show"))
