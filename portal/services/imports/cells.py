"""The values of a row: amounts, days, counts and words as spreadsheets write them, and all faults of the row."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

from portal.domain import identifiers, money, schedule, typed_text
from portal.domain.schedule import Interval
from portal.errors import Fault
from portal.models import Merchant
from portal.services.accounts import accounts
from portal.services.imports.files import Row, Sheet
from portal.services.imports.matching import DateOrder, Field, Matching, digits
from portal.services.plans import pairs, plans
from portal.services.plans.pairs import Words
from portal.services.plans.plans import NewPlan

_INTERVALS: Final[dict[Interval, str]] = {
    "weekly": "weekly, week, every week, 7 days, اسبوعي, اسبوع, كل اسبوع, أسبوعي, أسبوع, كل أسبوع, أسبوعيا, أسبوعيًا",
    "biweekly": "biweekly, bi-weekly, fortnightly, every two weeks, every 2 weeks, two weeks, 2 weeks, 14 days, "
    "كل أسبوعين, كل اسبوعين, أسبوعين, اسبوعين, نصف شهري",
    "monthly": "monthly, month, every month, شهري, شهر, كل شهر, شهريا, شهريًا",
}
_BY_WORD: Final = {word.strip(): known for known, words in _INTERVALS.items() for word in words.split(",")}
_ISO: Final = re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})")
_NUMBERS: Final = re.compile(r"([0-9]{1,2})[-/.]([0-9]{1,2})[-/.]([0-9]{4})")
_MIDNIGHT: Final = re.compile(r"[ T]0?0:00(?::00(?:\.0+)?)?Z?$")


@dataclass(frozen=True, slots=True)
class Line:
    """The contents of a row: the email with its key, the words about the person, and the plan in a file of plans."""

    number: int
    email: str
    email_key: str
    words: Words
    plan: NewPlan | None


def read_line(
    sheet: Sheet, row: Row, matching: Matching, merchant: Merchant, today: date, *, has_plan: bool
) -> tuple[Line, list[Fault]]:
    """The values of the row and its faults by field, at most one a field. `today` is the merchant's local date.

    An unreadable value has a fault, and is empty, 0 or date.min in the line.
    """
    reader = _Reader(sheet, row, matching, merchant.home_currency)
    typed = reader.text("customer_email")
    stored = identifiers.email(typed)
    if stored is None:
        reader.faults += accounts.email_faults(typed, "customer_email")
    words = Words(*(reader.text(name) for name in ("name", "phone", "note")))
    reader.faults += pairs.word_faults(words)
    if len(row.cells) > len(sheet.names) and any(cell.strip() for cell in row.cells[len(sheet.names) :]):
        reader.faults.append(Fault("", "too_many_cells", limit=len(sheet.names)))
    plan = reader.plan(stored or "") if has_plan else None
    if plan is not None:
        reader.faults += plans.plan_faults(plan, today, merchant.home_currency, past_dates=True)
    line = Line(row.line, stored or "", identifiers.stored_email_key(stored) if stored else "", words, plan)
    return line, list({fault.field: fault for fault in reversed(reader.faults)}.values())[::-1]


def read_day(typed: str, order: DateOrder) -> date:
    """A day like 2026-12-31, or 31/12/2026 by `order`; with a time only at midnight. Raises ValueError."""
    text = _MIDNIGHT.sub("", digits(typed))
    if match := _ISO.fullmatch(text):
        return date(*(int(part) for part in match.groups()))
    if match := _NUMBERS.fullmatch(text):
        first, second, year = (int(part) for part in match.groups())
        return date(year, second, first) if order == "day" else date(year, first, second)
    raise ValueError("A day is written like 2026-12-31 or 31/12/2026.")


def stored_words(words: Words) -> dict[str, str | None]:
    """The words as they are stored, None where there are none. They have no faults."""
    return {
        "name": typed_text.read(words.name or "") or None,
        "phone": identifiers.phone(words.phone or ""),
        "note": typed_text.read(words.note or "", pairs.NOTE_MAX) or None,
    }


class _Reader:
    """Reads the fields of one row and collects their faults."""

    def __init__(self, sheet: Sheet, row: Row, matching: Matching, currency: str) -> None:
        self.sheet, self.row, self.matching, self.currency = sheet, row, matching, currency
        self.faults: list[Fault] = []

    def text(self, name: Field) -> str:
        """The text of the field; "" for a field without a column."""
        column = self.matching.columns.get(name)
        return self.sheet.cell(self.row, column) if column is not None else ""

    def plan(self, email: str) -> NewPlan:
        currency = self.text("currency").upper()
        if currency and currency != self.currency:
            self.faults.append(Fault("currency", "other_currency", currency=self.currency))
        has_count = "num_installments" in self.matching.columns
        deposit = self.amount("deposit") if self.text("deposit") else None
        return NewPlan(
            customer_email=email,
            total=self.amount("total_amount"),
            num_installments=self.count() if has_count else self.matching.num_installments or 0,
            start_date=self.day("start_date"),
            interval=self.interval(),
            description=self.text("description"),
            external_id=self.text("external_id") or None,
            deposit=deposit or None,
        )

    def amount(self, name: Field) -> int:
        try:
            return money.parse_typed(self.text(name), self.currency)
        except money.BadAmount as error:
            code = "bad_total" if name == "total_amount" else "bad_amount"
            self.faults.append(Fault(name, code, about=error.about, **error.facts))
            return 0

    def count(self) -> int:
        typed = digits(self.text("num_installments"))
        if match := re.fullmatch(r"([0-9]{1,9})(?:[.,]0+)?", typed):
            return int(match[1])
        self.faults.append(Fault("num_installments", "bad_count", limit=schedule.MAX_INSTALLMENTS))
        return 0

    def day(self, name: Field) -> date:
        try:
            return read_day(self.text(name), self.matching.date_order)
        except ValueError:
            order = "month" if self.matching.date_order == "month" else "day"
            self.faults.append(Fault(name, "bad_date", about=order))
            return date.min

    def interval(self) -> Interval:
        typed = " ".join(self.text("interval").casefold().split())
        if not typed:
            return self.matching.interval
        if typed not in _BY_WORD:
            self.faults.append(Fault("interval", "bad_interval"))
        return _BY_WORD.get(typed, "monthly")
