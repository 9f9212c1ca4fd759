"""The query string of a list: filters, search, order and page. A list and its file read it with the same functions."""

import re
from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any, Final

from flask import request

from portal.domain import clock, schedule
from portal.domain.identifiers import MAX_ID
from portal.domain.money import CURRENCIES
from portal.errors import NotFound

MAX_SEARCH_LENGTH: Final = 254


class ListQuery:
    """Reads the query string.

    `invalid` becomes true when a parameter has an unusable value. `parameters` are the valid ones without the cursor,
    for links to the same list. `bad_days` is "unreadable" or "reversed" if the days of `days` are unusable.
    """

    def __init__(self) -> None:
        self.invalid = False
        self.bad_days: str | None = None
        self.parameters: dict[str, Any] = {}
        self.cursor = request.args.get("cursor", "").strip() or None

    def choice(self, name: str, choices: Collection[str]) -> str | None:
        """One of the choices, or None."""
        value = request.args.get(name, "").strip()
        if value and value not in choices:
            self.invalid = True
            return None
        return self._keep(name, value)

    def currency(self) -> str | None:
        """A currency's code, or None."""
        return self.choice("currency", CURRENCIES)

    def row(self, name: str) -> int | None:
        """The id of a row, or None."""
        value = request.args.get(name, "").strip()
        if value and (not re.fullmatch("[0-9]{1,19}", value) or int(value) > MAX_ID):
            self.invalid = True
            return None
        return int(kept) if (kept := self._keep(name, value)) else None

    def text(self, name: str) -> str:
        """Text to search for. A text with NUL matches no row and is not invalid."""
        value = request.args.get(name, "").strip()[:MAX_SEARCH_LENGTH]
        return self._keep(name, value.replace("\x00", "")) or "" if "\x00" not in value else "\x00"

    def day(self, name: str) -> date | None:
        """A date like 2026-12-31, or None."""
        value = request.args.get(name, "").strip()
        if not value:
            return None
        try:
            day = schedule.read_date(value)
        except ValueError:
            day = None
        if day is None or not schedule.FIRST_DATE <= day <= schedule.LAST_DATE:
            self.invalid = True
            return None
        self._keep(name, value)
        return day

    def days(self) -> tuple[date | None, date | None]:
        """The local days `from` and `to`, both included."""
        first, last = self.day("from"), self.day("to")
        if any(request.args.get(name, "").strip() and name not in self.parameters for name in ("from", "to")):
            self.bad_days = "unreadable"
        elif first and last and last < first:
            self.invalid, self.bad_days = True, "reversed"
        return first, last

    def typed_days(self) -> dict[str, str]:
        """The days as they were typed."""
        return {name: request.args.get(name, "")[:40] for name in ("from", "to")}

    def require_valid(self) -> None:
        """For files, which have no page to explain an invalid address. Raises NotFound."""
        if self.invalid:
            raise NotFound("list")

    def _keep(self, name: str, value: str) -> str | None:
        if value:
            self.parameters[name] = value
        return value or None


def instants_between(first: date | None, last: date | None, zone: str) -> tuple[datetime | None, datetime | None]:
    """The instants at which the local days `first` begins and `last` ends."""
    return (
        clock.midnight(first, zone) if first else None,
        clock.midnight(last + timedelta(days=1), zone) if last else None,
    )
