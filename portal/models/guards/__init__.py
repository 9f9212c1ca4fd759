"""The guards: the current text of every function and trigger of the database, one .sql file for each function.

A file holds the function `qist_<file name>` and the triggers that call it. Migrations read the files: 0002_guards.py
creates the guards of the baseline. A later migration that changes a guard edits the file and calls
`migrations.steps.guard`. A fresh database runs 0002_guards.py with the present files, so a guard on a table or column
that a later migration adds belongs in a new file, which that migration creates.
"""

from pathlib import Path

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The names of all guards, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.rglob("*.sql"))


def text(name: str) -> str:
    """The SQL of one guard: statements that start with CREATE and end with a semicolon. Raises ValueError."""
    (path,) = FOLDER.rglob(f"{name}.sql")
    return path.read_text()
