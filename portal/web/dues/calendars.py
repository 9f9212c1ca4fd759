"""Due dates as iCalendar (RFC 5545): a person's feed at its secret address, and the file of one plan.

A date names the business, the amount and the number of the installment, and nothing else.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, flash, url_for
from flask_babel import gettext as _

from portal import access
from portal import rate_limits as shared_limits
from portal.domain import clock, money
from portal.errors import NotFound
from portal.models import Installment
from portal.services.dues import calendar_feeds
from portal.web import rate_limits
from portal.web.authorization import login_needed, me, my_actor, needs
from portal.web.respond import confidential, go, page
from portal.wording.language import in_language

bp = Blueprint("calendars", __name__)

READS: Final = "120 per hour"
"""Requests of calendar feeds from one address."""
REFRESH: Final = timedelta(hours=12)


@bp.get("/account/calendar")
@needs("customer")
def show() -> Response:
    """Whether the feed is on, and the buttons that make, renew and end its address."""
    return page("dues/calendars_show.html", made_at=me().calendar_made_at, address=None)


@bp.post("/account/calendar")
@rate_limits.writing
@needs("customer")
def create() -> Response:
    """Make a new address, show it once, and end the one before."""
    token = calendar_feeds.make(me().id)
    base: str = current_app.config["QIST"].public_url
    address = base + url_for("calendars.feed", feed_token=token)
    return confidential(page("dues/calendars_show.html", made_at=me().calendar_made_at, address=address))


@bp.post("/account/calendar/end")
@rate_limits.writing
@needs("customer")
def destroy() -> Response:
    """End the address."""
    calendar_feeds.revoke(me().id)
    flash(_("The calendar's address has ended. Calendars that read it get nothing more."), "success")
    return go(url_for("calendars.show"))


@bp.get("/calendar/<feed_token>")
@shared_limits.counted(lambda: READS, "calendar", access.client_address)
def feed(feed_token: str) -> Response:
    """The feed, in the language of the account."""
    owner = calendar_feeds.find(feed_token)
    if owner is None:
        raise NotFound()
    with in_language(owner.language):
        response = _calendar(calendar_feeds.dates_of(owner.id), str(_("Due dates")))
    response.headers["X-Robots-Tag"] = "noindex"
    return confidential(response)


@bp.get("/plans/<int:plan_id>/calendar.ics")
@login_needed
def plan(plan_id: int) -> Response:
    """The open due dates of one plan, as a file for its customer."""
    owed = access.owed_plan(my_actor(), plan_id)
    response = _calendar(calendar_feeds.dates_of(owed.customer_id, owed.id), owed.merchant.business_name)
    response.headers["Content-Disposition"] = f'attachment; filename="qist-{owed.id}.ics"'
    return response


def _calendar(rows: Sequence[Installment], name: str) -> Response:
    from icalendar import Calendar
    from icalendar import Event as DueDate

    host, now = urlsplit(current_app.config["QIST"].public_url).hostname, clock.now()
    calendar = Calendar()
    calendar.add("prodid", "-//Qist//Due dates//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", name)
    calendar.add("refresh-interval", REFRESH, parameters={"value": "DURATION"})
    for row in rows:
        date = DueDate()
        date.add("uid", f"installment-{row.id}@{host}")
        date.add("dtstamp", now)
        date.add("dtstart", row.due_date)
        date.add("dtend", row.due_date + timedelta(days=1))
        date.add("transp", "TRANSPARENT")
        date.add("summary", _summary(row))
        calendar.add_component(date)
    return Response(calendar.to_ical(), mimetype="text/calendar")


def _summary(row: Installment) -> str:
    """ "Amal's Bakery: SAR 100.00, 2 of 4" """
    return str(
        _(
            "%(business)s: %(amount)s, %(number)s of %(count)s",
            business=row.plan.merchant.business_name,
            amount=money.show(row.remaining, row.currency),
            number=row.number,
            count=row.plan.num_installments,
        )
    )
