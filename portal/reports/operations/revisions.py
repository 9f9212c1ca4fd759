"""The revision of the database compared with the migrations of this version."""

from pathlib import Path
from typing import Final, Literal

from sqlalchemy import Connection, inspect, text

from portal.extensions import db
from portal.reports.operations.migration_files import BASELINE_COMMENT, DIRECTORY, revisions

State = Literal["current", "behind", "newer", "unreleased", "too_old"]
OLDEST_SERVER: Final = 17
"""The oldest major version of PostgreSQL that has what the tables and queries use, such as the collation pg_c_utf8."""


_BASELINE: Final = text(
    "SELECT to_regclass('alembic_version') IS NULL, obj_description(to_regclass('alembic_version'), 'pg_class')"
)


def state(connection: Connection, directory: Path = DIRECTORY) -> State:
    """The state of the database relative to the migrations in `directory`.

    - current: at the newest revision.
    - behind: an upgrade is due, or the database is empty.
    - newer: upgraded by a later version. This version may go on serving.
    - unreleased: created by a version from before the baseline. No migration can upgrade it.
    - too_old: PostgreSQL is older than OLDEST_SERVER.
    """
    if server_version(connection) < (OLDEST_SERVER,):
        return "too_old"
    current, comment = _of_database(connection)
    if not current:
        tables = set(inspect(connection).get_table_names())
        return "unreleased" if tables & set(db.metadata.tables) else "behind"
    if comment != BASELINE_COMMENT:
        return "unreleased"
    known, newest = revisions(directory)
    if current <= known:
        return "current" if current == newest else "behind"
    return "newer"


def server_version(connection: Connection) -> tuple[int, ...]:
    """The version of PostgreSQL, such as (17, 2)."""
    return tuple(int(part) for part in connection.dialect.server_version_info or ())


def old_server() -> str | None:
    """The version of this application's PostgreSQL if it is older than OLDEST_SERVER, such as "15.4"; else None."""
    with db.engine.connect() as connection:
        version = server_version(connection)
    return ".".join(map(str, version)) if version < (OLDEST_SERVER,) else None


def of_this_database() -> State:
    """The state of the application's database relative to the application's migrations."""
    with db.engine.connect() as connection:
        return state(connection)


def _of_database(connection: Connection) -> tuple[set[str], str | None]:
    """The revisions of the database, and the comment of its baseline."""
    is_missing, comment = connection.execute(_BASELINE).one()
    return set() if is_missing else set(connection.scalars(text("SELECT version_num FROM alembic_version"))), comment
