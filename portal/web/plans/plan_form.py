"""The form of a new plan: its values, its faults and the schedule it would create."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from wtforms import FieldList, FormField, HiddenField, RadioField, SelectField, StringField
from wtforms import Form as Fields
from wtforms.validators import Regexp

from portal.domain import clock, money, schedule, typed_text
from portal.domain.schedule import Row
from portal.errors import Fault
from portal.models import Merchant, UsualTerms
from portal.services.accounts.accounts import email_faults
from portal.services.plans.plans import NewPlan, plan_faults, schedule_of
from portal.web.forms import Form, choices
from portal.web.labels import KEY, one_use_key
from portal.wording.labels import INTERVAL_CHOICES
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.refusals import fault_sentence

SHOWN_ROWS = 4
"""Rows for own dates and amounts that an empty form has, and that "More rows" adds."""
PERCENT = re.compile(r"\s*(\d{1,2})\s*[%٪]\s*")
"""A deposit that is a part of the total, in the digits of any script."""
NO_TOTAL = _l("Enter a total to see the schedule.")
NO_ROWS = _l("Enter amounts and days to see the schedule.")


class RowFields(Fields):
    """One installment of own dates and amounts."""

    amount = StringField(_l("Amount"))
    due_date = StringField(_l("Due on"))


class PlanForm(Form):
    """Fields hold the typed text. `read` turns it into values in the merchant's currency and calendar."""

    key = HiddenField(default=one_use_key, validators=[Regexp(rf"\A{KEY}\Z")])
    customer_email = StringField(_l("Customer’s email"))
    total_amount = StringField(_l("Total"))
    num_installments = StringField(_l("Number of installments"), default="4")
    rows = FieldList(FormField(RowFields, separator="_"), max_entries=schedule.MAX_INSTALLMENTS)
    schedule = RadioField(
        _l("How it is paid"),
        choices=choices(
            (
                ("even", _l("In equal payments")),
                ("deposit", _l("A deposit now, the rest in equal payments")),
                ("own", _l("On days and in amounts of your own")),
            )
        ),
    )
    deposit = StringField(_l("Deposit"))
    interval = SelectField(_l("How often"), choices=choices(INTERVAL_CHOICES.items()))
    start_date = StringField(_l("First payment is due on"))
    description = StringField(_l("What was bought"))

    def __init__(self, **values: Any) -> None:
        values.setdefault("interval", "monthly")
        values.setdefault("schedule", "even")
        super().__init__(**values)
        self.interval.validate_choice = False
        self.schedule.validate_choice = False
        if self.schedule.data not in ("deposit", "own"):
            self.schedule.data = "even"
        self.add_rows(max(SHOWN_ROWS - len(self.rows.entries), 0))

    def add_rows(self, count: int) -> None:
        """Add this many empty rows, up to the largest schedule."""
        for _ in range(min(count, schedule.MAX_INSTALLMENTS - len(self.rows.entries))):
            self.rows.append_entry()

    def fill(self, values: Mapping[str, str]) -> None:
        """Put these values into the fields of their names. The others keep what was typed."""
        for name, value in values.items():
            self[name].data = value

    @property
    def typed_rows(self) -> list[tuple[int, Any]]:
        """The rows with a text in them, each with its place in the form."""
        entries = enumerate(entry.form for entry in self.rows.entries)
        return [(place, row) for place, row in entries if _text(row.amount) or _text(row.due_date)]

    def take_row_faults(self, faults: list[Fault]) -> list[Fault]:
        """Put the faults of rows beside their fields. Returns the other faults."""
        others = []
        for fault in faults:
            place = self._field_in_row(fault)
            if place is None:
                others.append(fault.at("rows") if fault.field == "installments" else fault)
            else:
                place.errors = [*place.errors, fault_sentence(fault)]
        return others

    def _field_in_row(self, fault: Fault) -> Any | None:
        """The field of an own row that the fault is about; None for other faults."""
        place, _, name = fault.field.partition("installments/")[2].partition("/")
        return self.rows.entries[self.typed_rows[int(place)][0]].form[name] if name else None

    def sentences(self, faults: list[Fault]) -> dict[str, str]:
        """The sentences of faults in what was typed, by the ids of the fields. An empty field has none yet."""
        shown = {}
        for fault in faults:
            place = self._field_in_row(fault) or self._fields.get(fault.field)
            if place is not None and _text(place):
                shown[place.id] = fault_sentence(fault)
        return shown

    @property
    def row_errors(self) -> list[tuple[str, str]]:
        """The errors of the rows, for the summary: the id of the field, and the sentence."""
        fields = [field for _, row in self.typed_rows for field in (row.amount, row.due_date)]
        return [(field.id, str(text)) for field in fields for text in field.errors]

    def renew_key(self, message: str) -> None:
        """Replace a used or malformed one-use key and say so: the next submit creates another plan."""
        self.key.data, self.key.errors = one_use_key(), ()
        self.form_errors.append(str(message))


def values_of(terms: UsualTerms, today: date) -> dict[str, str]:
    """The values of the form's fields by usual terms, for a plan of `today` (the merchant's local date)."""
    percent = terms.deposit_percent
    return {
        "schedule": "even" if percent is None else "deposit",
        "num_installments": str(terms.num_installments),
        "interval": terms.interval,
        "start_date": (today + timedelta(days=terms.first_days)).isoformat(),
        **({} if percent is None else {"deposit": f"{percent} %"}),
    }


@dataclass(frozen=True, slots=True)
class Preview:
    """A schedule, or hints while a value is missing. Amounts are minor units of `currency`.

    `wrong` has the sentences of what was typed wrong, by the ids of the fields. `is_begun`: a total was typed.
    """

    currency: str
    total: int = 0
    rows: tuple[Row, ...] = ()
    hints: tuple[str, ...] = ()
    description: str = ""
    business_name: str = ""
    deposit: int | None = None
    wrong: Mapping[str, str] = field(default_factory=dict)
    is_begun: bool = True


def read(form: PlanForm, merchant: Merchant) -> tuple[NewPlan, list[Fault]]:
    """The typed values and all their faults except those of the customer's email.

    Returns: a plan in minor units and local dates. An unreadable value has a fault and is 0 or date.min in the plan.
    """
    faults: list[Fault] = []
    today = clock.today(merchant.time_zone)
    kind, currency = form.schedule.data, merchant.home_currency
    total, count, first, deposit = 0, 0, date.min, None
    try:
        total = money.parse_typed(form.total_amount.data or "", currency)
    except money.BadAmount as error:
        faults.append(Fault("total_amount", "bad_total", about=error.about, **error.facts))
    rows, row_faults = _own_rows(form, currency) if kind == "own" else (None, [])
    faults += row_faults
    if rows is None:
        typed = (form.num_installments.data or "").strip()
        if re.fullmatch(r"[0-9]{1,9}", typed):
            count = int(typed)
        else:
            faults.append(Fault("num_installments", "bad_count", limit=schedule.MAX_INSTALLMENTS))
        try:
            first = schedule.read_date((form.start_date.data or "").strip())
        except ValueError:
            faults.append(Fault("start_date", "bad_date"))
    elif rows:
        first = rows[0][0]
    if kind == "deposit":
        deposit = 0
        try:
            deposit = _deposit(form.deposit.data or "", total, currency)
        except money.BadAmount as error:
            faults.append(Fault("deposit", "bad_amount", about=error.about, **error.facts))
    plan = NewPlan(
        customer_email=(form.customer_email.data or "").strip(),
        total=total,
        num_installments=count if rows is None else len(rows),
        start_date=first,
        interval=form.interval.data,
        description=form.description.data or "",
        deposit=deposit,
        rows=rows,
    )
    return plan, without_repeats(faults + plan_faults(plan, today, currency))


def _deposit(typed: str, total: int, currency: str) -> int:
    """The deposit in minor units: an amount, or a part of `total` such as "25 %", rounded half up. Raises BadAmount."""
    if part := PERCENT.fullmatch(typed):
        return (total * int(part[1]) + 50) // 100
    return money.parse_typed(typed, currency)


def _own_rows(form: PlanForm, currency: str) -> tuple[tuple[tuple[date, int], ...], list[Fault]]:
    """The typed rows, and the faults of those that can't be read. An unreadable value is 0 or date.min."""
    rows, faults = [], []
    for number, (_, row) in enumerate(form.typed_rows):
        due, amount = date.min, 0
        try:
            amount = money.parse_typed(_text(row.amount), currency)
        except money.BadAmount as error:
            faults.append(Fault(f"installments/{number}/amount", "bad_amount", about=error.about, **error.facts))
        try:
            due = schedule.read_date(_text(row.due_date))
        except ValueError:
            faults.append(Fault(f"installments/{number}/due_date", "bad_date", about="start_date"))
        rows.append((due, amount))
    return tuple(rows), faults


def _text(field: Any) -> str:
    return (field.data or "").strip()


def without_repeats(faults: list[Fault]) -> list[Fault]:
    """The first fault of each field. An unreadable value's other faults are noise."""
    return list({fault.field: fault for fault in reversed(faults)}.values())[::-1]


def preview_of(form: PlanForm, merchant: Merchant) -> Preview:
    """The schedule that saving would create now, and what was typed wrong."""
    plan, faults = read(form, merchant)
    email = email_faults(plan.customer_email, "customer_email")
    empty = Preview(merchant.home_currency, business_name=merchant.business_name, wrong=form.sentences(faults + email))
    if form.schedule.data == "own" and not form.typed_rows:
        return replace(empty, hints=(str(NO_ROWS),), is_begun=False)
    described = "" if any(fault.field == "description" for fault in faults) else typed_text.read(plan.description)
    faults = [fault for fault in faults if fault.field != "description"]
    if faults:
        missing = not (form.total_amount.data or "").strip()
        hints = [str(NO_TOTAL)] if missing else []
        hints += [fault_sentence(fault) for fault in faults if not (missing and fault.field == "total_amount")]
        return replace(empty, hints=tuple(dict.fromkeys(hints)), is_begun=not missing)
    rows = tuple(schedule_of(plan, clock.today(merchant.time_zone)))
    return replace(empty, total=plan.total, rows=rows, description=described, deposit=plan.deposit)
