"""Ranges of instants in the filters of lists."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from sqlalchemy import Select

Q = TypeVar("Q", bound=Select[Any])


@dataclass(frozen=True, slots=True)
class Between:
    """Aware instants: `since` is inclusive, `until` exclusive. None leaves that side open."""

    since: datetime | None = None
    until: datetime | None = None

    def narrow(self, query: Q, column: Any) -> Q:
        """The query with the rows whose `column` is in the range."""
        if self.since is not None:
            query = query.where(column >= self.since)
        if self.until is not None:
            query = query.where(column < self.until)
        return query


ANY_TIME: Final = Between()
