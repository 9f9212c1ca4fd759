"""The merchant's buttons that send reminders now: of a plan, to a customer, and to the selected customers of a list."""

from typing import Final

from flask import flash, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext, pgettext

from portal import access
from portal.domain.identifiers import MAX_ID
from portal.errors import Refused
from portal.services.reminders import manual_reminders
from portal.services.reminders.manual_reminders import Reminded
from portal.web import rate_limits
from portal.web.authorization import my_actor, my_merchant, needs
from portal.web.lists.filters import ListQuery
from portal.web.merchants import customers
from portal.web.reminders.blueprint import bp as bp
from portal.web.respond import go
from portal.wording.refusals import sentence

DASHBOARD: Final = "dashboard"
"""The form's field `from` of a button on the dashboard."""


@bp.post("/plans/<int:plan_id>/reminders")
@rate_limits.writing
@needs("remind")
def create(plan_id: int) -> ResponseReturnValue:
    """Remind the plan's customer now."""
    access.our_plan(my_actor(), plan_id)
    try:
        manual_reminders.send_now(plan_id, actor=my_actor())
    except Refused as refused:
        flash(sentence(refused), "warn")
    else:
        flash(_("The reminder is on its way."), "success")
    return go(_back() or url_for("plans.show", plan_id=plan_id))


@bp.post("/customers/<int:customer_id>/reminders")
@rate_limits.writing
@needs("remind")
def create_for_customer(customer_id: int) -> ResponseReturnValue:
    """Remind a customer now of all that is due."""
    access.our_customer(my_actor(), customer_id)
    _tell(manual_reminders.send_to([customer_id], actor=my_actor()))
    return go(url_for("customers.show", customer_id=customer_id))


@bp.post("/customers/reminders")
@rate_limits.writing
@needs("remind")
def create_for_selection() -> ResponseReturnValue:
    """Remind the selected customers of a page of the list now, or all of that page."""
    names = "shown" if request.form.get("all") else "customer"
    typed = [value for value in request.form.getlist(names)[: customers.PAGE_LENGTH] if value.isdecimal()]
    customer_ids = [int(value) for value in typed if int(value) <= MAX_ID]
    if customer_ids:
        _tell(manual_reminders.send_to(customer_ids, actor=my_actor()))
    else:
        flash(_("Select at least one customer."), "warn")
    query = ListQuery()
    customers.filters_of(query, my_merchant().time_zone)
    parameters = query.parameters | ({"cursor": query.cursor} if query.cursor else {})
    return go(url_for("customers.index", **parameters))


def _back() -> str | None:
    """The address of the page whose button was pressed, for a button that stands outside the plan's page."""
    return url_for("dashboard.show") if request.form.get("from") == DASHBOARD else None


def _tell(reminded: Reminded) -> None:
    """Flash what happened: "11 queued, 1 reminded today already"."""
    counts = (
        (reminded.queued, ngettext("%(num)s reminder queued", "%(num)s reminders queued", reminded.queued)),
        (
            reminded.already,
            ngettext("%(num)s reminded today already", "%(num)s reminded today already", reminded.already),
        ),
        (
            reminded.left_out,
            ngettext(
                "%(num)s not reminded: muted, nothing to remind of, or mailed often enough",
                "%(num)s not reminded: muted, nothing to remind of, or mailed often enough",
                reminded.left_out,
            ),
        ),
    )
    phrases = [words for count, words in counts if count]
    joined = str(pgettext("between the items of a list", ", ")).join(phrases)
    flash(joined, "success" if reminded.queued else "warn")
