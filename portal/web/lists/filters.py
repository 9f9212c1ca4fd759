"""What the address of a list asks for: filters, search, order, page. A list and its file are asked for alike."""

from collections.abc import Collection
from datetime import date
from typing import Any

from flask import request

from portal.domain import schedule
from portal.domain.money import CURRENCIES
from portal.errors import NotFound

LONGEST = 254


class ListQuery:
    """Reads the address. `wrong` once something in it can't be meant; `kept` is what links to the same list repeat."""

    def __init__(self) -> None:
        self.wrong = False
        self.kept: dict[str, Any] = {}
        self.cursor = request.args.get("cursor", "").strip() or None

    def choice(self, name: str, offered: Collection[str]) -> str | None:
        """One of the words that are offered, or nothing."""
        value = request.args.get(name, "").strip()
        if value and value not in offered:
            self.wrong = True
            return None
        return self._keep(name, value)

    def currency(self) -> str | None:
        """A currency's code, or nothing."""
        return self.choice("currency", CURRENCIES)

    def text(self, name: str) -> str:
        """What somebody typed to search for. What no name can hold finds nothing, which is no mistake."""
        value = request.args.get(name, "").strip()[:LONGEST]
        return self._keep(name, value.replace("\x00", "")) or "" if "\x00" not in value else "\x00"

    def day(self, name: str) -> date | None:
        """A date like 2026-12-31, or nothing."""
        value = request.args.get(name, "").strip()
        if not value:
            return None
        try:
            found = schedule.read_date(value)
        except ValueError:
            found = None
        if found is None or not schedule.FIRST_DATE <= found <= schedule.LAST_DATE:
            self.wrong = True
            return None
        self._keep(name, value)
        return found

    def right(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """`wanted`, for a file: it has no page on which to say kindly that its address leads nowhere."""
        if self.wrong:
            raise NotFound("This address does not lead to a list.")
        return wanted

    def _keep(self, name: str, value: str) -> str | None:
        if value:
            self.kept[name] = value
        return value or None
