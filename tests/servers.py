"""The servers that one test run shares: a PostgreSQL and a Valkey of its own, in a temporary folder.

pytest's controller (or its only process) starts them before the workers, which find the addresses in the environment.
The migrated template database is made by the first test that wants a database, so that pure tests don't wait for it.
"""

import functools
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import flask_migrate
import psycopg
from flask import Flask

from portal import home as homes
from portal.config import Settings, load
from portal.embedded import Postgres, Valkey
from portal.extensions import db

POSTGRES = "QIST_TEST_POSTGRES"
VALKEY = "QIST_TEST_VALKEY"
FOLDER = "qist-tests-"
JUST_MADE = 60.0  # seconds in which a run that has made its folder takes hold of it
TEMPLATE = "qist_template"
MAKING_THE_TEMPLATE = 20_251
BLOAT = 6 * 2**20  # bytes by which an emptied database may have grown
SHAPE = """
    SELECT md5(string_agg(thing, ';' ORDER BY thing)), pg_database_size(current_database()) FROM (
        SELECT format('%s %s %s', oid, relname, relkind) AS thing FROM pg_class
         WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT format('%s %s %s %s', oid, tgname, tgenabled, tgfoid) FROM pg_trigger
        UNION ALL SELECT format('%s %s %s', oid, conname, convalidated) FROM pg_constraint
        UNION ALL SELECT format('%s %s %s', attrelid, attname, atttypid) FROM pg_attribute
         WHERE attnum > 0 AND NOT attisdropped AND attrelid >= 16384
        UNION ALL SELECT format('%s %s %s', oid, proname, md5(prosrc)) FROM pg_proc
         WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT version_num FROM alembic_version
    ) AS things"""
EMPTY = """
    SELECT format('DELETE FROM %I', relname) FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
    UNION ALL
    SELECT format('SELECT setval(%s, 1, false)', quote_literal(oid::regclass)) FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'"""


class Servers:
    """Started once for a run. `stop()` is safe to call twice."""

    def __init__(self) -> None:
        sweep()
        self.home = Path(tempfile.mkdtemp(prefix=FOLDER))
        self.postgres = Postgres(self.home, durable=False)
        self.valkey = Valkey(self.home, durable=False)
        self.holding = ExitStack()

    def start(self) -> None:
        try:
            self.holding.enter_context(homes.held(self.home))
            os.environ[POSTGRES] = self.postgres.start().url
            os.environ[VALKEY] = self.valkey.start().url
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self.valkey.stop(patience=1)
        self.postgres.stop(patience=2)
        self.holding.close()
        os.environ.pop(POSTGRES, None)
        os.environ.pop(VALKEY, None)
        shutil.rmtree(self.home, ignore_errors=True)


def sweep() -> None:
    """Clear away what a killed run has left: a folder that nobody holds any more, and whatever still runs in it."""
    for home in Path(tempfile.gettempdir()).glob(f"{FOLDER}*"):
        with suppress(homes.HomeError, OSError):
            if time.time() - home.stat().st_mtime < JUST_MADE:
                continue
            with homes.held(home):
                Valkey(home).stop(patience=1)
                Postgres(home).stop(patience=1)
                shutil.rmtree(home, ignore_errors=True)


def worker() -> str:
    """gw0, gw1 ... under xdist, otherwise main."""
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


def database_name() -> str:
    return f"qist_{worker()}"


def settings_for(database: str, **more: str) -> Settings:
    """Settings as the environment would give them, on this run's servers and this worker's corner of Valkey."""
    number = 0 if worker() == "main" else int(worker().removeprefix("gw")) + 1
    return load(
        {
            "SECRET_KEY": "only-for-tests-0123456789abcdefghijklmnop",
            "DATABASE_URL": os.environ[POSTGRES].replace("/qist?", f"/{database}?"),
            "REDIS_URL": f"{os.environ[VALKEY]}?db={number}",
            "PUBLIC_URL": "http://localhost",
            "LOG_LEVEL": "warning",
            **more,
        }
    )


@contextmanager
def administrator(database: str = "postgres") -> Iterator[psycopg.Connection]:
    """A connection that may do everything: create and drop databases, and go behind the triggers' backs."""
    host = parse_qs(urlsplit(os.environ[POSTGRES]).query)["host"][0]
    with psycopg.connect(host=host, user="qist", dbname=database, autocommit=True) as connection:
        yield connection


def make_template(app: Flask) -> None:
    """Migrate this worker's database, and keep it as the template that every test's database is a copy of.

    Whichever worker comes first does it for the whole run; the others wait.
    """
    with administrator() as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (MAKING_THE_TEMPLATE,))
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (TEMPLATE,)).fetchone():
            return
        connection.execute(f"CREATE DATABASE {database_name()}")
        with app.app_context():
            flask_migrate.upgrade()
            db.engine.dispose()
        connection.execute(f"ALTER DATABASE {database_name()} RENAME TO {TEMPLATE}")


def fresh_database(name: str) -> None:
    """An empty, migrated database of this name, whoever is still connected to it.

    One that is there and of the template's schema is emptied, which costs a tenth of a new copy. After a test that
    changed the schema, left much behind or holds a lock, the next one gets a new copy.
    """
    with administrator() as connection:
        others = "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = %s"
        connection.execute(others, (name,))
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() and _empty(name):
            return
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")


@functools.cache
def template() -> tuple[str, int, str]:
    """What the template's schema is made of, its size in bytes, and the statements that empty a copy of it."""
    with administrator(TEMPLATE) as connection:
        statements = [statement for (statement,) in connection.execute(EMPTY).fetchall()]
        return *_shape(connection), ";".join(statements)


def _shape(connection: psycopg.Connection) -> tuple[str, int]:
    """A digest of the revision and every table, column, constraint, index, trigger and function; the size in bytes."""
    row = connection.execute(SHAPE).fetchone()
    assert row
    return row[0], row[1]


def _empty(name: str) -> bool:
    """Delete all rows and start all sequences again, behind the triggers' backs. False where a new copy is better."""
    shape, size, statements = template()
    try:
        with administrator(name) as connection:
            now, grown = _shape(connection)
            if now != shape or grown > size + BLOAT:
                return False
            connection.execute(f"SET lock_timeout = '500ms'; SET session_replication_role = replica; {statements}")
            return True
    except psycopg.Error:
        return False
