"""The revision of the database compared with the migrations of this version."""

import functools
from pathlib import Path
from typing import Final, Literal

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from sqlalchemy import Connection, inspect, text

from portal.extensions import db

BASELINE_COMMENT: Final = "Qist, baseline 3"
"""The comment that the first migration of the baseline sets on the table alembic_version. Its number grows with each
edit of the baseline, which keeps its revision ids."""

State = Literal["current", "behind", "newer", "unreleased"]


def state(connection: Connection, directory: str) -> State:
    """The state of the database relative to the migrations in `directory`.

    - current: at the newest revision.
    - behind: an upgrade is due, or the database is empty.
    - newer: upgraded by a later version. This version may go on serving.
    - unreleased: created by a version from before the baseline. No migration can upgrade it.
    """
    current = set(MigrationContext.configure(connection).get_current_heads())
    revisions, heads = _revisions(directory)
    if not current:
        tables = set(inspect(connection).get_table_names())
        return "unreleased" if tables & set(db.metadata.tables) else "behind"
    if _comment(connection) != BASELINE_COMMENT:
        return "unreleased"
    if current <= revisions:
        return "current" if current == heads else "behind"
    return "newer"


def of_this_database() -> State:
    """The state of the application's database relative to the application's migrations."""
    with db.engine.connect() as connection:
        return state(connection, current_app.extensions["migrate"].directory)


def _comment(connection: Connection) -> str | None:
    comment: str | None = connection.scalar(text("SELECT obj_description(to_regclass('alembic_version'), 'pg_class')"))
    return comment


@functools.cache
def _revisions(directory: str) -> tuple[set[str], set[str]]:
    """All revisions of this version, and the newest of them."""
    config = Config()
    config.set_main_option("script_location", str(Path(directory)).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    return {script.revision for script in scripts.walk_revisions()}, set(scripts.get_heads())
