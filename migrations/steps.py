"""Steps of migrations. Steps for large tables run while the present version goes on serving.

Steps for large tables belong inside `op.get_context().autocommit_block()`: each commits by itself, so that no lock
outlives its statement. Each step is repeatable, because a migration that was interrupted, or failed on a lock timeout,
starts again from its beginning.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from alembic import op
from sqlalchemy import text

from portal.models import guards

BATCH = 2_000
INDEX_LOCK_TIMEOUT = "30s"
"""The time for which a concurrent index build waits for a transaction. The wait blocks no other statement."""


def run(sql: str) -> None:
    """Execute the statements of a .sql file. Each starts with CREATE at the beginning of a line."""
    for statement in re.split(r"^(?=CREATE )", re.sub(r"^--.*\n", "", sql, flags=re.MULTILINE), flags=re.MULTILINE):
        if statement.strip():
            op.execute(statement.strip().removesuffix(";"))


def guard(name: str) -> None:
    """Create the guard `name` and its triggers from portal/models/guards, in place of an existing version.

    Runs in the migration's transaction, outside an autocommit block, so that other sessions never miss the guard.
    """
    op.execute(f"DROP FUNCTION IF EXISTS qist_{name} CASCADE")
    run(guards.text(name))


def fill(table: str, values: str, *, where: str) -> None:
    """UPDATE `table` SET `values` WHERE `where`, in batches of BATCH ids."""
    bind = op.get_bind()
    last, end = 0, bind.scalar(text(f"SELECT coalesce(max(id), 0) FROM {table}"))  # noqa: S608 constants of a migration
    update = text(f"UPDATE {table} SET {values} WHERE ({where}) AND id > :last AND id <= :next")  # noqa: S608
    while last < end:
        bind.execute(update, {"last": last, "next": last + BATCH})
        last += BATCH


def index(name: str, table: str, rest: str, *, unique: bool = False) -> None:
    """Build an index without blocking writers. An invalid index of an interrupted build is dropped first."""
    valid = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
    if op.get_bind().scalar(valid, {"name": name}) is False:
        drop_index(name)
    with _index_lock_timeout():
        kind = "UNIQUE INDEX" if unique else "INDEX"
        op.execute(f"CREATE {kind} CONCURRENTLY IF NOT EXISTS {name} ON {table} {rest}")


def drop_index(name: str) -> None:
    """Drop an index without blocking readers."""
    with _index_lock_timeout():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


def check(table: str, name: str, rule: str) -> None:
    """Replace the CHECK `name`. It is added NOT VALID, so that new rows obey it at once, and then validated."""
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}, ADD CONSTRAINT {name} CHECK ({rule}) NOT VALID")
    op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")


def not_null(table: str, column: str) -> None:
    """Set NOT NULL. A validated CHECK makes the scan under the exclusive lock unnecessary."""
    rule = f"ck_{table}_{column}_is_there"
    check(table, rule, f"{column} IS NOT NULL")
    op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL")
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {rule}")


@contextmanager
def _index_lock_timeout() -> Iterator[None]:
    """Raise lock_timeout inside the block. A failure does not restore it, because env.py sets it at each attempt."""
    before = op.get_bind().scalar(text("SELECT current_setting('lock_timeout')"))
    op.execute(f"SET lock_timeout = '{INDEX_LOCK_TIMEOUT}'")
    yield
    op.execute(f"SET lock_timeout = '{before}'")
