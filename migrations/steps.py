"""Steps of migrations. Those for large tables run while the present version goes on serving.

Steps for large tables stand inside `op.get_context().autocommit_block()`: each commits by itself, so no lock outlives
its statement. Each can be repeated: a migration that was interrupted, or gave way to a reader, starts again from its
beginning.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from alembic import op
from sqlalchemy import text

from portal.models import guards

BATCH = 2_000
PATIENCE = "30s"
"""How long an index that is built beside the writing waits for a transaction. It is in nobody's way meanwhile."""


def run(sql: str) -> None:
    """Execute the statements of a .sql file. Each starts with CREATE at the beginning of a line."""
    for statement in re.split(r"^(?=CREATE )", re.sub(r"^--.*\n", "", sql, flags=re.MULTILINE), flags=re.MULTILINE):
        if statement.strip():
            op.execute(statement.strip().removesuffix(";"))


def guard(name: str) -> None:
    """Create the guard `name` and its triggers as portal/models/guards has them, in place of any before.

    Runs in the migration's transaction, outside an autocommit block: no statement of another session finds it missing.
    """
    op.execute(f"DROP FUNCTION IF EXISTS qist_{name} CASCADE")
    run(guards.text(name))


def fill(table: str, values: str, *, where: str) -> None:
    """UPDATE `table` SET `values` WHERE `where`, so many rows at a time."""
    bind = op.get_bind()
    last, end = 0, bind.scalar(text(f"SELECT coalesce(max(id), 0) FROM {table}"))  # noqa: S608 our own words
    some = text(f"UPDATE {table} SET {values} WHERE ({where}) AND id > :last AND id <= :next")  # noqa: S608
    while last < end:
        bind.execute(some, {"last": last, "next": last + BATCH})
        last += BATCH


def index(name: str, table: str, rest: str, *, unique: bool = False) -> None:
    """Build an index without stopping who writes. One that was left half built goes first."""
    valid = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
    if op.get_bind().scalar(valid, {"name": name}) is False:
        drop_index(name)
    with _patience():
        kind = "UNIQUE INDEX" if unique else "INDEX"
        op.execute(f"CREATE {kind} CONCURRENTLY IF NOT EXISTS {name} ON {table} {rest}")


def drop_index(name: str) -> None:
    """Drop an index without stopping who reads."""
    with _patience():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


def check(table: str, name: str, rule: str) -> None:
    """A CHECK in place of any of this name: it holds for what is written from now on, and then of every row."""
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}, ADD CONSTRAINT {name} CHECK ({rule}) NOT VALID")
    op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")


def not_null(table: str, column: str) -> None:
    """NOT NULL, which looks at no row under its lock because a CHECK has said so before."""
    rule = f"ck_{table}_{column}_is_there"
    check(table, rule, f"{column} IS NOT NULL")
    op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL")
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {rule}")


@contextmanager
def _patience() -> Iterator[None]:
    """A failure leaves it so: env.py sets it anew at each attempt."""
    before = op.get_bind().scalar(text("SELECT current_setting('lock_timeout')"))
    op.execute(f"SET lock_timeout = '{PATIENCE}'")
    yield
    op.execute(f"SET lock_timeout = '{before}'")
