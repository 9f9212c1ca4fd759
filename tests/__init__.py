"""The tests: real servers, real processes, and pages in a real browser."""

from collections.abc import Iterable
from typing import Any

import pytest


def first_in_time(cells: Iterable[Any]) -> list[Any]:
    """Cells for parametrize: `make test` tries the first one, `make proof-short` the others."""
    first, *others = [cell if isinstance(cell, tuple) else (cell,) for cell in cells]
    return [pytest.param(*first), *(pytest.param(*cell, marks=pytest.mark.long) for cell in others)]
