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
    """An account that was erased: id, aware instants of its registration and of its erasure, hash of its email."""

    user_id: int
    created_at: datetime
    erased_at: datetime
    email_hash: bytes | None = None

    @classmethod
    def parse(cls, line: str) -> Self:
        """Raises NotAList."""
        try:
            row = json.loads(line)
            created_at, erased_at = (datetime.fromisoformat(row[name]) for name in ("created_at", "erased_at"))
            email_hash = bytes.fromhex(row.get("email_hash") or "") or None
            return cls(int(row["user_id"]), created_at, erased_at, email_hash)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise NotAList(f"not a line of qist erasures: {line.strip()}") from None


def written() -> Iterator[str]:
    """The lines of this installation's list, oldest erasure first."""
    for row in erasures.listed():
        names = {"user_id": row.user_id, "created_at": row.created_at, "erased_at": row.erased_at}
        names["email_hash"] = row.email_hash.hex() if row.email_hash is not None else None
        yield json.dumps(names, default=str) + "\n"


def read(lines: Iterable[str]) -> list[Erased]:
    """The accounts of a list. Raises NotAList before anything is erased."""
    return [Erased.parse(line) for line in lines if line.strip()]
