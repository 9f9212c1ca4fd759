"""The button that pays an installment, in a plan's headline or row and on the customer's home: its form, its answer."""

import re
from dataclasses import dataclass, replace
from typing import Final

from flask import Response, request, url_for

from portal.domain.permissions import Actor
from portal.models import Installment
from portal.reports.payments import offered_methods
from portal.web.labels import KEY
from portal.web.plans import home, plan_page
from portal.web.plans.plan_page import Note
from portal.web.respond import go, is_htmx, page

PLACES: Final = ("headline", "row")
"""Where a pay button stands on its page."""


@dataclass(frozen=True, slots=True)
class Press:
    """The button's fields. `shown` is the displayed amount in minor units."""

    key: str
    shown: int
    method: str


def read() -> Press | None:
    """The fields of this request; None when one is missing or malformed."""
    key, shown = request.form.get("key", ""), request.form.get("shown", "")
    if not re.fullmatch(KEY, key) or not re.fullmatch(r"[0-9]{1,16}", shown):
        return None
    return Press(key, int(shown), request.form.get("method", offered_methods.default_token())[:64])


def answer(actor: Actor, installment: Installment, note: Note, status: int) -> Response:
    """The fragment or page that held the button, as it is now, with the outcome. The rows re-read themselves."""
    from_home, plan = request.form.get("from") == "home", installment.plan
    note = _placed(note, installment)
    if not is_htmx() and status < 300:
        plan_page.keep_note(note)
        return go(url_for("home.show") if from_home else url_for("plans.show", plan_id=plan.id))
    if from_home:
        return home.answer(actor, note, status)
    shown = plan_page.context(plan, actor, note)
    if is_htmx():
        every_row = shown["checking"] or note.changed
        return plan_page.parts(shown, installment.id, status=status, every_row=every_row)
    return page("plans/show.html", status, **shown, plan_links=None, may_correct_email=False)


def _placed(note: Note, installment: Installment) -> Note:
    """The note with the place of its button, and whether the amount on that button is out of date."""
    place = request.form.get("place", "")
    shown = request.form.get("shown", "")
    changed = not installment.is_open or shown != str(installment.remaining)
    return replace(note, place=place if place in PLACES else "row", changed=changed and note.kind != "success")
