"""The contents of a database in a form that can be compared: rows, and definitions of objects."""

import os
import re
from contextlib import closing
from dataclasses import dataclass

import psycopg
from psycopg import sql

from tests.fixtures import servers

OBJECTS = """
    SELECT 'trigger', tgrelid::regclass::text, concat(pg_get_triggerdef(oid), tgenabled) FROM pg_trigger
        WHERE NOT tgisinternal
    UNION ALL SELECT 'constraint', conrelid::regclass::text, concat(conname, ' ', pg_get_constraintdef(oid))
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT 'index', tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'function', proname, pg_get_functiondef(oid) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'
    UNION ALL SELECT 'column', table_name, concat_ws(' ', column_name, data_type, is_nullable, column_default,
        generation_expression, identity_generation) FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT 'sequence', sequencename, coalesce(last_value, 0)::text FROM pg_sequences
"""

SPELLING = re.compile(r"::[a-z ]+(\[\])?|[()]")
"""Casts and brackets, which differ between an original definition and a restored one."""


@dataclass
class Contents:
    """A comparable database: the number and a digest of the rows of each table, and the definition of each object."""

    rows: dict[str, tuple[int, str]]
    objects: set[tuple[str, str, str]]


def contents(database: str) -> Contents:
    with closing(connect(database)) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
        digest = sql.SQL('SELECT count(*), md5(string_agg(r::text, chr(10) ORDER BY r::text COLLATE "C")) FROM {} AS r')
        rows = {name: connection.execute(digest.format(sql.Identifier(name))).fetchone() for (name,) in tables}
        objects = {(kind, name, SPELLING.sub("", definition)) for kind, name, definition in connection.execute(OBJECTS)}
        return Contents(rows, objects)


def connect(database: str) -> psycopg.Connection:
    url = os.environ[servers.POSTGRES].replace("/qist?", f"/{database}?").replace("postgresql+psycopg:", "postgresql:")
    return psycopg.connect(url, autocommit=True)
