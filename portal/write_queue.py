"""Writes of a unit of work that wait for nothing: they go to PostgreSQL together, in one statement.

A service queues a new event, a mail, a ledger entry. The session writes the queue, with the columns of loaded rows that
have changed since, before its next statement and before the commit. Each part is a CTE of one statement, so every part
runs on the same snapshot; constraints, guards and triggers that follow a row run at the statement's end.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from psycopg.types.json import Jsonb
from sqlalchemy import Column, Connection, Dialect, MetaData, Table, inspect
from sqlalchemy.orm import InstanceState, Mapper, PassiveFlag
from sqlalchemy.orm.exc import StaleDataError

MAX_ROWS: Final = 1_000
"""New rows of a table in one statement, which may have 65,535 values."""
MAX_CHANGED: Final = 200
"""Changed rows that go with the queue. More are written by the ORM, table by table, before it."""


@dataclass(slots=True)
class Queue:
    """The parts that wait. New rows of one table are one part, in the order in which they were added."""

    rows: dict[tuple[str, tuple[str, ...], str], list[tuple[Any, ...]]] = field(default_factory=dict)
    parts: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.rows or self.parts)

    def add_row(self, table: str, values: dict[str, Any], conflict: str = "") -> None:
        """Queue a new row. `conflict` is the statement's ON CONFLICT clause."""
        self.rows.setdefault((table, tuple(values), conflict), []).append(tuple(map(_adapted, values.values())))

    def add_part(self, ctes: str, values: Sequence[Any]) -> None:
        """Queue CTEs: comma-separated, with a `#` in each name, and `%s` for each of `values`."""
        self.parts.append((ctes, tuple(map(_adapted, values))))

    def clear(self) -> None:
        self.rows.clear()
        self.parts.clear()

    def write(self, connection: Connection, changed: Sequence[InstanceState[Any]], returning: str = "") -> Any:
        """Write the parts, and the changed columns of these rows, and empty the queue.

        `returning` is a scalar query over the CTEs of the last queued part; its value is returned.
        Raises StaleDataError if a changed row is gone.
        """
        ctes: list[str] = []
        values: list[Any] = []
        counts: list[str] = []
        expected = 0
        for (table, columns), changes in _changes(changed, connection.dialect).items():
            name = f"changed{len(counts)}"
            ctes.append(f"{name} AS ({_update(table, columns, len(changes), connection.dialect)} RETURNING 1)")
            counts.append(f"(SELECT count(*) FROM {name})")  # noqa: S608 a name of this file
            values += [value for row in changes for value in row]
            expected += len(changes)
        for place, (target, rows) in enumerate(self.rows.items()):
            while len(rows) > MAX_ROWS:
                connection.exec_driver_sql(*_insert(target, rows[:MAX_ROWS]))
                del rows[:MAX_ROWS]
            insert, row_values = _insert(target, rows)
            ctes.append(f"new{place} AS ({insert})")
            values += row_values
        for place, (part, part_values) in enumerate(self.parts):
            ctes.append(part.replace("#", str(place)))
            values += part_values
        last = str(len(self.parts) - 1)
        self.clear()
        if not ctes:
            return None
        query = f"SELECT {' + '.join(counts) or '0'}, {returning.replace('#', last) or 'NULL'}"
        count, value = connection.exec_driver_sql(f"WITH {', '.join(ctes)} {query}", tuple(values)).one()
        if count != expected:
            raise StaleDataError(f"{expected} rows were to be changed, {count} were")
        return value


def _insert(target: tuple[str, tuple[str, ...], str], rows: Sequence[tuple[Any, ...]]) -> tuple[str, tuple[Any, ...]]:
    """The INSERT of these rows, with its values."""
    table, columns, conflict = target
    marks = ", ".join(["(" + ", ".join(["%s"] * len(columns)) + ")"] * len(rows))
    statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES {marks} {conflict}"  # noqa: S608 names
    return statement, tuple(value for row in rows for value in row)


def _changes(
    states: Sequence[InstanceState[Any]], dialect: Dialect
) -> dict[tuple[Table, tuple[Column[Any], ...]], list[list[Any]]]:
    """The changed columns of loaded rows: by table and columns, the new values and the primary key of each row."""
    changes: dict[tuple[Table, tuple[Column[Any], ...]], list[list[Any]]] = {}
    for state in states:
        attributes = state.mapper.column_attrs
        keys = [key for key in state.committed_state if key in attributes and _has_changed(state, key)]
        if not keys:
            continue
        columns = tuple(cast(Column[Any], attributes[key].columns[0]) for key in keys)
        table = cast(Table, state.mapper.local_table)
        row = [_bound(column, state.dict[key], dialect) for column, key in zip(columns, keys, strict=True)]
        row += [_bound(*pair, dialect) for pair in zip(table.primary_key, state.identity or (), strict=True)]
        changes.setdefault((table, columns), []).append(row)
    return changes


def _update(table: Table, columns: tuple[Column[Any], ...], count: int, dialect: Dialect) -> str:
    """The UPDATE of these columns of `count` rows."""
    key = tuple(table.primary_key)
    if count == 1:
        return f"UPDATE {table.name} SET {_marks(columns, ', ')} WHERE {_marks(key, ' AND ')}"  # noqa: S608 names
    names = [f"c{place}" for place in range(len(columns) + len(key))]
    marks = ", ".join(f"%s::{column.type.compile(dialect)}" for column in (*columns, *key))
    changes = ", ".join(f"{column.name} = v.{name}" for column, name in zip(columns, names, strict=False))
    same = zip(key, names[len(columns) :], strict=True)
    conditions = " AND ".join(f"{table.name}.{column.name} = v.{name}" for column, name in same)
    rows = ", ".join([f"({marks})"] * count)
    source = f"(VALUES {rows}) AS v ({', '.join(names)})"
    return f"UPDATE {table.name} SET {changes} FROM {source} WHERE {conditions}"  # noqa: S608 names


def _marks(columns: tuple[Column[Any], ...], between: str) -> str:
    return between.join(f"{column.name} = %s" for column in columns)


def can_write(states: Sequence[InstanceState[Any]]) -> bool:
    """Whether only columns of these loaded rows changed, and of few rows."""
    if len(states) > MAX_CHANGED:
        return False
    for state in states:
        columns = state.mapper.column_attrs
        if any(key not in columns and _has_changed(state, key) for key in state.committed_state):
            return False
    return True


def reaches_others(state: InstanceState[Any]) -> bool:
    """Whether a changed column is copied to other tables, by a foreign key with ON UPDATE CASCADE.

    In one statement with changes of those tables, the foreign key would be checked before all copies are written.
    """
    copied = _copied_columns(state.mapper.local_table.metadata)  # type: ignore[attr-defined]  # a mapped table
    columns = state.mapper.column_attrs
    return any(columns[key].columns[0] in copied for key in state.committed_state if key in columns)


@functools.cache
def _copied_columns(metadata: MetaData) -> frozenset[Any]:
    keys = (key for table in metadata.tables.values() for key in table.foreign_keys)
    return frozenset(key.column for key in keys if key.onupdate == "CASCADE")


@functools.cache
def computed_columns(mapper: Mapper[Any]) -> tuple[str, ...]:
    """The attributes that PostgreSQL computes from others: a change makes their loaded values stale."""
    columns = mapper.column_attrs
    return tuple(prop.key for prop in columns if getattr(prop.columns[0], "computed", None) is not None)


def _has_changed(state: InstanceState[Any], key: str) -> bool:
    return state.get_history(key, PassiveFlag.PASSIVE_NO_INITIALIZE).has_changes()


def state_of(row: Any) -> InstanceState[Any]:
    state: InstanceState[Any] = inspect(row)
    return state


def place_of(state: InstanceState[Any]) -> tuple[Any, ...]:
    """The order of changed rows in the statement, so that equal changes have equal statements."""
    return state.mapper.local_table.name, *(state.identity or ())  # type: ignore[attr-defined]  # a mapped table


def _bound(column: Any, value: Any, dialect: Dialect) -> Any:
    process = column.type.dialect_impl(dialect).bind_processor(dialect)
    return value if process is None else process(value)


def _adapted(value: Any) -> Any:
    return Jsonb(value) if isinstance(value, dict) else value
