"""Steps of migrations that run while the version before goes on serving, for tables that may be large.

They stand inside `op.get_context().autocommit_block()`: each commits by itself, so no lock outlives its statement. And
each can be done again: who was interrupted, or gave way to a reader, begins the migration anew.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import op
from sqlalchemy import text

BATCH = 2_000
PATIENCE = "30s"
"""How long an index that is built beside the writing waits for a transaction. It is in nobody's way meanwhile."""


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
