"""docs/asvs.md has every requirement of levels 1 and 2 once, with evidence that exists or a reason."""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from flask.testing import FlaskClient

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "asvs.md").read_text()
STATES = ("met", "not applicable", "not met")
CHAPTERS = {1: 27, 2: 11, 3: 19, 4: 10, 5: 9, 6: 35, 7: 18, 8: 7, 9: 7, 10: 29, 11: 14, 12: 9, 13: 13, 14: 9, 15: 13}
CHAPTERS |= {16: 16, 17: 7}
"""The number of requirements of levels 1 and 2 in each chapter."""


class Row(NamedTuple):
    number: str
    level: str
    about: str
    state: str
    evidence: str


ROWS = [Row(*row) for row in re.findall(r"^\| (\d+\.\d+\.\d+) \| ([12]) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.M)]


def test_each_number_occurs_once() -> None:
    assert len(ROWS) == len({row.number for row in ROWS}) == 253
    assert sum(row.level == "1" for row in ROWS) == 70
    assert Counter(int(row.number.split(".")[0]) for row in ROWS) == CHAPTERS
    assert len(re.findall(r"^\| \d+\.", PAGE, re.M)) == 253


def test_the_numbers_stand_in_order() -> None:
    numbers = [tuple(map(int, row.number.split("."))) for row in ROWS]
    assert numbers == sorted(numbers)


def test_what_is_met_has_evidence_that_exists_and_the_rest_a_reason() -> None:
    for row in ROWS:
        assert row.state in STATES, row
        paths = re.findall(r"`([^`]+)`", row.evidence)
        if row.state == "met":
            assert paths and [path for path in paths if not (ROOT / path).exists()] == [], row
        else:
            assert len(row.evidence.split()) >= 2 and row.evidence.endswith("."), row


def test_the_sums_are_those_of_the_rows() -> None:
    for level in "12":
        counts = Counter(row.state for row in ROWS if row.level == level)
        cells = [*(str(counts[state]) for state in STATES), str(sum(counts.values()))]
        assert f"| level {level} | {' | '.join(cells)} |" in PAGE


def test_trace_is_refused(client: FlaskClient) -> None:
    """13.4.4"""
    for address in ("/", "/login", "/api/plans/"):
        assert client.open(address, method="TRACE").status_code in (405, 501)
