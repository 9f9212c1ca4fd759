"""A customer's home: installments due now and next, across merchants."""

from typing import Any

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from portal.domain.permissions import Actor
from portal.extensions import db
from portal.models import Installment
from portal.reports.payments import shop_dues
from portal.reports.plans import home
from portal.web.authorization import my_actor, needs
from portal.web.labels import state_of
from portal.web.method_labels import methods_of
from portal.web.plans.plan_page import Note, take_note
from portal.web.respond import fragments, is_htmx, page

bp = Blueprint("home", __name__)


@bp.get("/home")
@needs("customer")
def show() -> ResponseReturnValue:
    """The customer's home."""
    return whole(my_actor(), take_note())


def whole(actor: Actor, note: Note | None = None, status: int = 200) -> Response:
    """The page, with a note about the last payment."""
    return page("plans/home_show.html", status, **_context(actor, note))


def answer(actor: Actor, note: Note, status: int) -> Response:
    """The response to a button pressed on this page: its fragment for htmx, else the page."""
    return part(actor, note, status) if is_htmx() else whole(actor, note, status)


def part(actor: Actor, note: Note | None = None, status: int = 200) -> Response:
    """The page's fragment."""
    shown = _context(actor, note)
    return fragments(("plans/_home.html", shown), ("plans/_announcement.html", shown), status=status)


def _context(actor: Actor, note: Note | None) -> dict[str, Any]:
    overview = home.home(actor.user_id)
    rows = overview.due + overview.coming
    first = rows[0] if rows else None
    pressed = db.session.get(Installment, note.installment_id) if note and note.takes_focus else None
    failed = note if note and note.belongs_to_headline(first) else None
    together = len(overview.due) > 1 and not (note and note.takes_focus)
    return {
        "home": overview,
        "first": first,
        "together": together,
        "shops": shop_dues.by_shop(actor.user_id) if together else [],
        "also_due": _also_due(overview, note, pressed, every=together),
        "failed": failed,
        "pressed": pressed,
        "busy_plans": {row.plan_id for row in rows if state_of(row) == "checking"},
        "receipts": home.latest_payments(actor.user_id),
        "methods": methods_of(actor.user_id),
        "note": note,
    }


def _also_due(overview: home.Home, note: Note | None, pressed: Installment | None, *, every: bool) -> list[Installment]:
    """The due installments below the headline; `every` one when the headline is the sum of what is due.

    A refused row keeps its place, so that no other button moves there.
    """
    rows = overview.due if every or (note and note.kind == "success") else overview.due[1:]
    if note is None or note.place != "row" or pressed is None or pressed in rows:
        return rows
    return sorted([*rows, pressed], key=lambda row: (row.due_date, row.id))
