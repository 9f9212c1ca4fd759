"""Writes of a unit of work that wait for nothing: they go to PostgreSQL together, in one statement.

A service queues a new event, a mail, a ledger entry. The session writes the queue, with the columns of loaded rows that
have changed since, before its next statement and before the commit. Each part is a CTE of one statement, so every part
runs on the same snapshot; constraints, guards and triggers that follow a row run at the statement's end.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from psycopg.types.json import Jsonb
from sqlalchemy import Connection, Dialect, inspect
from sqlalchemy.orm import InstanceState
from sqlalchemy.orm.exc import StaleDataError

MAX_CHANGED: Final = 8
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
        for state in changed:
            update, arguments = _update(state, connection.dialect)
            if update:
                name = f"changed{len(counts)}"
                ctes.append(f"{name} AS ({update} RETURNING 1)")
                counts.append(f"(SELECT count(*) FROM {name})")  # noqa: S608 a name of this file
                values += arguments
        for place, ((table, columns, conflict), rows) in enumerate(self.rows.items()):
            marks = "(" + ", ".join(["%s"] * len(columns)) + ")"
            target = f"{table} ({', '.join(columns)})"
            insert = f"INSERT INTO {target} VALUES {', '.join([marks] * len(rows))} {conflict}"  # noqa: S608 names
            ctes.append(f"new{place} AS ({insert})")
            for row in rows:
                values += row
        for place, (part, part_values) in enumerate(self.parts):
            ctes.append(part.replace("#", str(place)))
            values += part_values
        last = str(len(self.parts) - 1)
        self.clear()
        if not ctes:
            return None
        query = f"SELECT {' + '.join(counts) or '0'}, {returning.replace('#', last) or 'NULL'}"
        count, value = connection.exec_driver_sql(f"WITH {', '.join(ctes)} {query}", tuple(values)).one()
        if count != len(counts):
            raise StaleDataError(f"{len(counts)} rows were to be changed, {count} were")
        return value


def _update(state: InstanceState[Any], dialect: Dialect) -> tuple[str, list[Any]]:
    """The UPDATE of a loaded row's changed columns, with its values; "" if nothing differs."""
    mapper, table = state.mapper, state.mapper.local_table
    columns, values = [], []
    for key in state.committed_state:
        prop = mapper.column_attrs.get(key)
        if prop is None or not state.attrs[key].history.has_changes():
            continue
        column = prop.columns[0]
        columns.append(f"{column.name} = %s")
        values.append(_bound(column.type, state.dict[key], dialect))
    if not columns:
        return "", []
    conditions = []
    for key_column, value in zip(mapper.primary_key, state.identity or (), strict=True):
        conditions.append(f"{key_column.name} = %s")
        values.append(_bound(key_column.type, value, dialect))
    name = table.name  # type: ignore[attr-defined]  # a mapped table
    return f"UPDATE {name} SET {', '.join(columns)} WHERE {' AND '.join(conditions)}", values  # noqa: S608 names


def can_write(states: Sequence[InstanceState[Any]]) -> bool:
    """Whether only columns of these loaded rows changed, and of few rows."""
    if len(states) > MAX_CHANGED:
        return False
    for state in states:
        columns = state.mapper.column_attrs
        if any(key not in columns and state.attrs[key].history.has_changes() for key in state.committed_state):
            return False
    return True


def computed_columns(state: InstanceState[Any]) -> list[str]:
    """The attributes that PostgreSQL computes from others: a change makes their loaded values stale."""
    return [prop.key for prop in state.mapper.column_attrs if getattr(prop.columns[0], "computed", None) is not None]


def state_of(row: Any) -> InstanceState[Any]:
    state: InstanceState[Any] = inspect(row)
    return state


def place_of(state: InstanceState[Any]) -> tuple[Any, ...]:
    """The order of changed rows in the statement, so that equal changes have equal statements."""
    return state.mapper.local_table.name, *(state.identity or ())  # type: ignore[attr-defined]  # a mapped table


def _bound(column_type: Any, value: Any, dialect: Dialect) -> Any:
    process = column_type.dialect_impl(dialect).bind_processor(dialect)
    return value if process is None else process(value)


def _adapted(value: Any) -> Any:
    return Jsonb(value) if isinstance(value, dict) else value
