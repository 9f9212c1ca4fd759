"""The list of erasures, one JSON object a line: `qist erasures` writes it, `qist erase-again` and `restore` read it."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from portal.services.privacy import erasures


class NotAList(Exception):
    """A line is not one of `qist erasures`. The message has the line."""


@dataclass(frozen=True, slots=True)
class Erased:
    """An account that was erased: its id, and the aware instants of its registration and of its erasure."""

    user_id: int
    created_at: datetime
    erased_at: datetime

    @classmethod
    def parse(cls, line: str) -> Self:
        """Raises NotAList."""
        try:
            row = json.loads(line)
            instants = [datetime.fromisoformat(row[name]) for name in ("created_at", "erased_at")]
            return cls(int(row["user_id"]), *instants)
        except (ValueError, TypeError, KeyError):
            raise NotAList(f"not a line of qist erasures: {line.strip()}") from None


def written() -> Iterator[str]:
    """The lines of this installation's list, oldest erasure first."""
    for row in erasures.listed():
        names = {"user_id": row.user_id, "created_at": row.created_at, "erased_at": row.erased_at}
        yield json.dumps(names, default=str) + "\n"


def read(lines: Iterable[str]) -> list[Erased]:
    """The accounts of a list. Raises NotAList before anything is erased."""
    return [Erased.parse(line) for line in lines if line.strip()]
