"""The revisions of the migrations of this version, read without Alembic.

Alembic would cost each process that serves a tenth of a second and several megabytes.
"""

import ast
import functools
from pathlib import Path
from typing import Any, Final

DIRECTORY: Final = Path(__file__).parents[3] / "migrations"
BASELINE_COMMENT: Final = "Qist, baseline 21"
"""The comment that the first migration of the baseline sets on the table alembic_version. Its number grows with each
edit of the baseline, which keeps its revision ids."""


@functools.cache
def revisions(directory: Path = DIRECTORY) -> tuple[set[str], set[str]]:
    """All revisions of the migrations in `directory`, and the newest of them."""
    known: set[str] = set()
    followed: set[str] = set()
    for path in (directory / "versions").glob("*.py"):
        values = _assignments(path)
        known.add(values["revision"])
        before = values["down_revision"]
        followed |= {before} if isinstance(before, str) else set(before or ())
    return known, known - followed


def _assignments(path: Path) -> dict[str, Any]:
    """The values of `revision` and `down_revision` in a migration."""
    assignments = (node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Assign))
    named = {ast.unparse(node.targets[0]): node.value for node in assignments}
    return {name: ast.literal_eval(named[name]) for name in ("revision", "down_revision")}
