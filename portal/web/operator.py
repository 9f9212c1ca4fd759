"""The operator's pages: what waits, who works on it, what has failed, and the rules that must always hold."""

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, Response, flash, url_for

from portal import clock
from portal.errors import Refused
from portal.reports import checks, health, operations
from portal.services import failed_jobs
from portal.web import limits
from portal.web.guards import role_needed
from portal.web.respond import fragment_or_page, go, page
from portal.web.words import plural

bp = Blueprint("operator", __name__)


@bp.get("/operator")
@role_needed("operator")
def show() -> Response:
    """The whole page; its figures alone for htmx, which asks for them every few seconds."""
    return fragment_or_page(
        "operator/_figures.html",
        "operator/show.html",
        health=health.check(),
        background=operations.background(),
        mail=operations.mail(),
        in_flight=operations.in_flight(),
        ago=ago,
    )


@bp.get("/operator/checks")
@role_needed("operator")
def checked() -> Response:
    """Every rule, counted over the whole database; that may take a while, so it has a page of its own."""
    return page("operator/checks.html", checks=checks.run())


@bp.post("/operator/jobs/<job_id>/retry")
@limits.writing
@role_needed("operator")
def retry_job(job_id: str) -> Response:
    return _done(lambda: failed_jobs.retry(job_id), "The job is in the queue again.")


@bp.post("/operator/jobs/<job_id>/clear")
@limits.writing
@role_needed("operator")
def clear_job(job_id: str) -> Response:
    return _done(lambda: failed_jobs.clear(job_id), "The job is off the list.")


@bp.post("/operator/jobs/clear")
@limits.writing
@role_needed("operator")
def clear_jobs() -> Response:
    return _done(failed_jobs.clear_all, "The list of failed jobs is empty.")


def ago(instant: datetime | None) -> str:
    """ "just now", "40 seconds ago", "3 hours ago", "never" """
    if instant is None:
        return "never"
    seconds = int((clock.now() - instant).total_seconds())
    for size, noun in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= 2 * size or (seconds >= size and noun != "second"):
            return f"{plural(seconds // size, noun)} ago"
    return "just now"


def _done(verb: Callable[[], object], words: str) -> Response:
    """Back to the page, which says what was done or why not."""
    try:
        verb()
        flash(words, "success")
    except Refused as refused:
        flash(refused.message, "error")
    return go(url_for("operator.show"))
