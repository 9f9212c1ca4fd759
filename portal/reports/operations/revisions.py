"""The revision of the database beside the revisions of this code: may it be used, upgraded, or neither."""

import functools
from pathlib import Path
from typing import Final, Literal

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from sqlalchemy import Connection, inspect, text

from portal.extensions import db

MARK: Final = "Qist, baseline 1"
"""The comment of the table alembic_version in every database that the first migration of the baseline made."""
PROBLEMS: Final = {
    "behind": "not up to date: run qist db upgrade",
    "newer": "those of a newer version",
    "unreleased": "the database was made by an unreleased version and can't be upgraded: "
    "set it aside with qist dev --set-aside, or give DATABASE_URL= an empty database",
}

State = Literal["current", "behind", "newer", "unreleased"]


def state(connection: Connection, directory: str) -> State:
    """How the database compares with the migrations in `directory`.

    current: at the newest revision. behind: an upgrade is due; an empty database, too. newer: upgraded by a later
    version, while this one may go on serving. unreleased: made by a version from before the baseline, of which no
    migration knows anything.
    """
    current = set(MigrationContext.configure(connection).get_current_heads())
    known, heads = _revisions(directory)
    if not current:
        tables = set(inspect(connection).get_table_names())
        return "unreleased" if tables & set(db.metadata.tables) else "behind"
    if current <= known:
        return "current" if current == heads else "behind"
    return "newer" if _mark(connection) == MARK else "unreleased"


def of_this_database() -> State:
    """The state of the application's own database beside the application's own migrations."""
    with db.engine.connect() as connection:
        return state(connection, current_app.extensions["migrate"].directory)


def sentence(state: State) -> str:
    """The line that `qist db upgrade` and `qist dev` refuse a database with."""
    if state == "newer":
        return "The database was made by a newer version of Qist, so this one can't upgrade it."
    return f"{PROBLEMS[state][0].upper()}{PROBLEMS[state][1:]}."


def _mark(connection: Connection) -> str | None:
    mark: str | None = connection.scalar(text("SELECT obj_description(to_regclass('alembic_version'), 'pg_class')"))
    return mark


@functools.cache
def _revisions(directory: str) -> tuple[set[str], set[str]]:
    """The revisions that this version knows, and the newest of them."""
    config = Config()
    config.set_main_option("script_location", str(Path(directory)).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    return {script.revision for script in scripts.walk_revisions()}, set(scripts.get_heads())
