"""Usual terms of a business: schedules with a name, which fill the form of a new plan."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from portal.domain import typed_text
from portal.domain.permissions import Actor
from portal.domain.schedule import INTERVALS, MAX_INSTALLMENTS
from portal.errors import Fault, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import Merchant, UsualTerms
from portal.models.plans.usual_terms import MAX_FIRST_DAYS, MAX_NAME
from portal.services.accounts import hats
from portal.services.text_faults import text_faults
from portal.services.unit_of_work import unit_of_work

LIMIT: Final = 12
"""Terms of one business."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The values of usual terms: a name, and a schedule without amounts.

    `num_installments` do not count the deposit of `deposit_percent` of the total (None: no deposit). The first of them
    is due `first_days` after the day of the plan.
    """

    name: str
    num_installments: int
    interval: str
    deposit_percent: int | None
    first_days: int


@unit_of_work
def add(actor: Actor, terms: Terms) -> int:
    """Add usual terms behind the others. Returns their id.

    Refuses: forbidden; too_many_terms (LIMIT); Invalid, with all faults at once, on name (required, name_taken and the
    faults of typed texts), num_installments (bad_count), interval (bad_interval), deposit_percent (bad_percent) and
    first_days (bad_first_days); busy.
    """
    rows = _locked(actor)
    if len(rows) >= LIMIT:
        raise Refused("too_many_terms", limit=LIMIT)
    row = UsualTerms(
        merchant_id=actor.business("settings"), position=max((row.position for row in rows), default=0) + 1
    )
    _write(row, terms, rows)
    db.session.add(row)
    db.session.flush()
    return row.id


@unit_of_work
def change(terms_id: int, *, actor: Actor, terms: Terms) -> None:
    """Give usual terms another name or schedule. Plans that were made with them stay as they are.

    Refuses: forbidden; not_found; Invalid as `add`; busy.
    """
    rows = _locked(actor)
    row = _one_of(rows, terms_id)
    _write(row, terms, [other for other in rows if other is not row])


@unit_of_work
def remove(terms_id: int, *, actor: Actor) -> None:
    """Delete usual terms. Refuses: forbidden; not_found; busy."""
    db.session.delete(_one_of(_locked(actor), terms_id))


@unit_of_work
def move(terms_id: int, *, actor: Actor, by: int) -> None:
    """Move usual terms this many places towards the end, or towards the start if it is negative, as far as it goes.

    Refuses: forbidden; not_found; busy.
    """
    rows = _locked(actor)
    place = rows.index(_one_of(rows, terms_id))
    rows.insert(min(max(place + by, 0), len(rows) - 1), rows.pop(place))
    for position, row in enumerate(rows, 1):
        row.position = position


def _locked(actor: Actor) -> list[UsualTerms]:
    """The terms of the actor's business, behind the lock of its row. Refuses: forbidden."""
    merchant_id = actor.business("settings")
    lock = select(Merchant.id).where(Merchant.id == merchant_id).with_for_update(key_share=True)
    db.session.execute(lock)
    hats.confirm(actor, "settings")
    return list(db.session.scalars(UsualTerms.of_merchant(merchant_id).execution_options(populate_existing=True)))


def _one_of(rows: list[UsualTerms], terms_id: int) -> UsualTerms:
    for row in rows:
        if row.id == terms_id:
            return row
    raise NotFound()


def _write(row: UsualTerms, terms: Terms, others: list[UsualTerms]) -> None:
    """Set the values. Refuses: Invalid as `add`."""
    needs_name = Fault("name", "required", about="usual_terms")
    faults = text_faults("name", terms.name, if_empty=needs_name, limit=MAX_NAME)
    if not faults and typed_text.read(terms.name) in {other.name for other in others}:
        faults.append(Fault("name", "name_taken", about="usual_terms"))
    limit = MAX_INSTALLMENTS - (terms.deposit_percent is not None)
    if not 1 <= terms.num_installments <= limit:
        faults.append(Fault("num_installments", "bad_count", limit=limit))
    if terms.interval not in INTERVALS:
        faults.append(Fault("interval", "bad_interval"))
    if terms.deposit_percent is not None and not 1 <= terms.deposit_percent <= 99:
        faults.append(Fault("deposit_percent", "bad_percent"))
    if not 0 <= terms.first_days <= MAX_FIRST_DAYS:
        faults.append(Fault("first_days", "bad_first_days", limit=MAX_FIRST_DAYS))
    elif terms.deposit_percent is not None and not terms.first_days:
        faults.append(Fault("first_days", "bad_first_days", about="deposit"))
    if faults:
        raise Invalid(*faults)
    row.name = typed_text.read(terms.name)
    row.num_installments, row.interval = terms.num_installments, terms.interval  # type: ignore[assignment]
    row.deposit_percent, row.first_days = terms.deposit_percent, terms.first_days
