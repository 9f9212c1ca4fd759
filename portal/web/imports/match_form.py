"""The form that matches the columns of a file to the fields of plans or customers."""

import re
from dataclasses import dataclass
from typing import Any, Final, cast

from flask import request
from wtforms import SelectField, StringField

from portal.domain.schedule import Interval
from portal.errors import Fault
from portal.models import Import
from portal.services.imports.files import Sheet
from portal.services.imports.matching import DATE_ORDERS, FIELDS, DateOrder, Field, Matching, of_json
from portal.web.forms import Form, choices
from portal.wording.labels import INTERVAL_CHOICES
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.refusals import fault_sentence

EXAMPLES: Final = 3
"""Rows whose cells a column shows."""
FIELD_LABELS: Final[dict[Field, Any]] = {
    "customer_email": _l("Customer’s email"),
    "name": _l("Customer’s name"),
    "phone": _l("Phone"),
    "note": _l("Note"),
    "total_amount": _l("Total"),
    "currency": _l("Currency"),
    "num_installments": _l("Number of installments"),
    "interval": _l("How often"),
    "start_date": _l("First payment is due on"),
    "deposit": _l("Deposit"),
    "description": _l("What was bought"),
    "external_id": _l("Your own number"),
}
TWICE: Final = _l("Two columns can't be the same. Leave one of them out.")


class MatchForm(Form):
    """The choices for the whole file. The selects of the columns are read by `chosen_columns`."""

    date_order = SelectField(
        _l("Dates like 03/04/2026 are"),
        choices=choices((("day", _l("3 April (day first)")), ("month", _l("March 4 (month first)")))),
    )
    num_installments = StringField(_l("Number of installments of every plan"))
    interval = SelectField(_l("How often"), choices=choices(INTERVAL_CHOICES.items()))

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.date_order.validate_choice = False
        self.interval.validate_choice = False


@dataclass(slots=True)
class Column:
    """A column of the file with its select. `chosen` is the field's name, or "" to leave the column out."""

    place: int
    name: str
    examples: list[str]
    chosen: str
    error: str = ""

    @property
    def id(self) -> str:
        return f"column-{self.place}"


def stored_form(row: Import) -> MatchForm:
    """The form with the matching that is stored."""
    stored = of_json(row.matching)
    count = "" if stored.num_installments is None else str(stored.num_installments)
    return MatchForm(date_order=stored.date_order, interval=stored.interval, num_installments=count)


def columns_of(sheet: Sheet, row: Import, chosen: dict[int, str] | None = None) -> list[Column]:
    """The columns of the file with what was chosen now, or else is stored."""
    if chosen is None:
        chosen = {place: name for name, place in of_json(row.matching).columns.items()}
    return [
        Column(
            place,
            name,
            [cell for line in sheet.rows[:EXAMPLES] if (cell := sheet.cell(line, place))],
            chosen.get(place, ""),
        )
        for place, name in enumerate(sheet.names)
    ]


def chosen_columns(sheet: Sheet) -> dict[int, str]:
    """The field chosen for each column, by its place."""
    return {place: request.form.get(f"column-{place}", "") for place in range(len(sheet.names))}


def read(form: MatchForm, columns: list[Column], row: Import) -> Matching | None:
    """The matching that was typed. None, with errors beside the columns, if a field was chosen twice or is unknown."""
    places: dict[Field, int] = {}
    for column in columns:
        if not column.chosen:
            continue
        name = cast(Field, column.chosen)
        if name not in FIELDS[row.kind]:
            column.error = fault_sentence(Fault("columns", "bad_choice"))
        elif name in places:
            column.error = str(TWICE)
        else:
            places[name] = column.place
    if any(column.error for column in columns):
        return None
    if row.kind == "customers":
        return Matching(columns=places)
    count = (form.num_installments.data or "").strip()
    order = form.date_order.data if form.date_order.data in DATE_ORDERS else ""
    return Matching(
        columns=places,
        date_order=cast(DateOrder, order),
        interval=cast(Interval, form.interval.data or ""),
        num_installments=int(count) if re.fullmatch("[0-9]{1,4}", count) else None,
    )
