"""The error codes of the API: the enum of the document, and the page docs/errors.md.

`python -m portal.api` prints the page. A test compares it with the file.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from typing import Any, Final

from portal.api import problems
from portal.api.endpoints import declared
from portal.wording.lazy import Lazy
from portal.wording.refusals.faults import FAULTS
from portal.wording.refusals.refused import REFUSALS
from portal.wording.refusals.sentences import Sentence, Table

ON_THE_COMMAND_LINE: Final = frozenset({"not_simulated"})
"""Codes that no request is answered with."""
UNREADABLE: Final = {
    "address_too_long": (414, "The address is too long."),
    "headers_too_large": (431, "The headers are too large, or too many."),
    "request_too_slow": (408, "The request did not arrive in time."),
}
"""The codes of requests that the server can't read (portal/gunicorn_worker.py), always in English."""
CODES: Final[tuple[str, ...]] = tuple(
    sorted({code for table in (REFUSALS, FAULTS) for code, _ in table} - ON_THE_COMMAND_LINE | set(UNREADABLE))
)
"""Every code of a refusal and of a fault. A code without a sentence can't be answered."""
ANYWHERE: Final[dict[str, int]] = {
    "account_deactivated": 403,
    "answer_gone": 409,
    "email_unproven": 403,
    "idempotency_key_reused": 422,
    "invalid": 422,
    "merchant_closed": 403,
    "merchant_closing": 403,
    "merchant_deactivated": 403,
    "merchant_draft": 409,
    "no_token": 401,
    "outcome_unknown": 503,
    "own_plan": 403,
    "read_only_key": 403,
    "second_factor_needed": 403,
    "still_running": 409,
}
"""Codes that endpoints answer without declaring them, with their statuses."""
HEAD: Final = """\
# Error codes

Every error is a problem document with a `code` ([api.md](api.md#errors)). Evaluate the code and the status; the
sentence may change, and comes in the reader's language. `ErrorCode` in `/api/openapi.json` has the same codes. New ones
may be added: treat a code that you don't know by its status.

This page is made from the code: `python -m portal.api > docs/errors.md`. A code has one of its
sentences here; names in braces stand for figures.
"""


class _Figure(int):
    """A number that shows as a name in braces, and counts as many."""

    name: str

    def __str__(self) -> str:
        return f"{{{self.name}}}"

    def __format__(self, spec: str) -> str:
        return str(self)

    def __iter__(self) -> Iterator[str]:
        return iter((str(self),))


class _Names(dict[str, Any]):
    """Values of placeholders: each shows as its name."""

    def __missing__(self, key: str) -> _Figure:
        figure = _Figure(2)
        figure.name = key
        return figure


def page() -> str:
    """The Markdown of docs/errors.md, in English. It is made outside an application, where nothing is translated."""
    statuses = _statuses()
    refusals = [code for code in CODES if _is_in(REFUSALS, code)]
    answered = [_row(REFUSALS, code, statuses[code]) for code in refusals if code in statuses]
    answered += [f"| `{code}` | {status} | {words} |" for code, (status, words) in UNREADABLE.items()]
    others = [_row(REFUSALS, code) for code in refusals if code not in statuses]
    faults = [_row(FAULTS, code) for code in CODES if _is_in(FAULTS, code)]
    return "\n".join(
        (
            HEAD,
            "## Refusals\n",
            "| code | status | sentence |",
            "|---|---|---|",
            *answered,
            "",
            "## Faults of a field\n",
            "The status is 422. Each entry of `errors` has one of these. `code` of the document is the same if",
            "there is one fault, and `invalid` if there are several.\n",
            "| code | sentence |",
            "|---|---|",
            *faults,
            "",
            "## Refusals of pages\n",
            "No endpoint declares them.\n",
            "| code | sentence |",
            "|---|---|",
            *others,
            "",
        )
    )


def _statuses() -> dict[str, list[int]]:
    """The statuses of each code that endpoints answer as a refusal. 422 of a code of faults is left to the faults."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    for declaration in declared.values():
        for status, codes in declaration.codes.items():
            for code in codes:
                found[code].add(status)
    for status, code in [*problems.CODES.items(), *((status, code) for code, status in ANYWHERE.items())]:
        found[code].add(status)
    for code in found:
        if _is_in(FAULTS, code) and code not in ANYWHERE:
            found[code].discard(422)
    return {code: sorted(numbers) for code, numbers in found.items() if numbers}


def _is_in(table: Table, code: str) -> bool:
    return any(name == code for name, _ in table)


def _row(table: Table, code: str, statuses: list[int] | None = None) -> str:
    sentence: Sentence = next(table[key] for key in sorted(table) if key[0] == code)
    values = _Names(day=date(2026, 8, 31))
    words = re.sub(r"%\((\w+)\)s", r"{\1}", str(sentence) if isinstance(sentence, Lazy) else str(sentence(values)))
    cells = [f"`{code}`", *([", ".join(map(str, statuses))] if statuses else []), words]
    return f"| {' | '.join(cells)} |"
