"""A sample migration changes a table with rows while the present version goes on serving.

`NEXT` is a migration on top of the real ones that uses `migrations/steps.py`: it fills a new column and sets it NOT
NULL, adds a check and indexes, and drops an index.
"""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import IntegrityError

from portal.extensions import db
from portal.local.child_server import marks
from portal.models import User
from portal.reports.operations import revisions
from portal.services import mail_limits, unit_of_work
from portal.services.accounts import accounts
from portal.services.accounts.accounts import NewAccount
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from tests.fixtures import people, servers
from tests.web import browser_of

pytestmark = pytest.mark.usefixtures("context")
ROOT = Path(__file__).parents[2]

NEXT = """
from alembic import op

from migrations import steps

revision = "next"
down_revision = "baseline_guards"
branch_labels = None
depends_on = None


def upgrade():
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE users ADD COLUMN IF NOT EXISTS initial text")
        op.execute("ALTER TABLE users ALTER COLUMN initial SET DEFAULT ''")
        steps.fill("users", "initial = left(email, 1)", where="initial IS NULL")
        steps.check("users", "ck_users_initial", "length(initial) <= 1")
        steps.not_null("users", "initial")
        steps.index("uq_users_initial_id", "users", "(initial, id)", unique=True)
        steps.index("ix_users_initial_prefix", "users", "(initial text_pattern_ops)")
        steps.drop_index("ix_users_username_key_prefix")
"""

ROUND = 60.0
"""Seconds after which a round of the present version's reads and writes counts as hung."""
PEOPLE = """INSERT INTO users (id, registered_as, email, email_key, created_at) OVERRIDING SYSTEM VALUE
    SELECT n, 'customer', n || '@example.org', n || '@example.org', now() FROM generate_series(30000, 39999, 2) AS n
    UNION ALL SELECT 70000, 'customer', '70000@example.org', '70000@example.org', now()"""
"""More than a batch of rows, ids beyond a smallint, and a gap of more than a batch."""
CHANGES = ("ALTER", "CREATE", "DROP", "UPDATE")
LONG = ("UPDATE users", "CREATE INDEX", "CREATE UNIQUE INDEX")
LOCKED = """SELECT string_agg(DISTINCT relation::regclass::text, ', ') FROM pg_locks
    WHERE mode = 'AccessExclusiveLock' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = :name)
    AND relation::regclass::text = 'users'"""


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """The real migrations, and `NEXT` after them."""
    copy = tmp_path / "migrations"
    shutil.copytree(ROOT / "migrations", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "versions" / "0003_next.py").write_text(NEXT)
    return str(copy)


def run(statement: str, **values: Any) -> None:
    with db.engine.begin() as connection:
        connection.execute(text(statement), values)


def upgrade(folder: str) -> None:
    db.session.rollback()
    flask_migrate.upgrade(directory=folder)


@contextmanager
def watched(look: Callable[[str], None]) -> Iterator[None]:
    """Calls `look` with every statement of this thread before it is sent."""
    thread = threading.get_ident()

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if threading.get_ident() == thread:
            look(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


class Present:
    """The present version at work: each act runs repeatedly in a thread of its own until the end of the block."""

    def __init__(self, *acts: Callable[[int], object]) -> None:
        self.errors: list[BaseException] = []
        self.counts = [0] * len(acts)
        self.changed = threading.Condition()
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=pair) for pair in enumerate(acts)]

    def work(self, place: int, act: Callable[[int], object]) -> None:
        while not self.ending.is_set():
            try:
                act(self.counts[place])
            except BaseException as error:
                self.errors.append(error)
                self.ending.set()
            with self.changed:
                self.counts[place] += 1
                self.changed.notify_all()

    def round(self) -> None:
        """Wait until each thread has completed an act that began after this call."""
        with self.changed:
            before = list(self.counts)
            assert self.changed.wait_for(lambda: self.errors or self.is_past(before), ROUND), "it was kept waiting"

    def is_past(self, before: list[int]) -> bool:
        return all(count >= earlier + 2 for count, earlier in zip(self.counts, before, strict=True))

    def __enter__(self) -> "Present":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        for thread in self.threads:
            thread.join()


@pytest.mark.long
def test_the_present_version_serves_during_the_next_migration(
    app: Flask, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each change of the migration, registrations, plans, payments, invitations and pages have succeeded.

    No act has waited for a lock of the migration until the lock timeout of services.
    """
    monkeypatch.setattr(mail_limits, "NEW_BUSINESS", 10_000)
    retries: list[str] = []
    log = SimpleNamespace(warning=lambda event, **facts: retries.append(facts["reason"]))
    monkeypatch.setattr(unit_of_work, "log", log)
    amal, omar = people.amal(), people.omar()
    today = people.today_of(amal)
    run(PEOPLE)

    def register_and_invite(number: int) -> None:
        with app.app_context():
            accounts.register(NewAccount("customer", f"new{number}", f"new{number}@example.com", people.PASSWORD))
            plans.open_plan(people.owner(amal), NewPlan(f"guest{number}@example.com", 60_00, 2, today))

    def sell_and_pay(number: int) -> None:
        with app.app_context():
            opened = plans.open_plan(people.owner(amal), NewPlan("omar@example.com", 60_00, 2, today))
            people.pay(people.installments_of(opened.plan_id)[0].id, omar)

    def search(number: int) -> None:
        with app.app_context():
            assert db.session.scalars(User.by_login("omar")).one().id == omar
            assert db.session.scalar(db.select(db.func.count(User.id)).where(User.starts_with("3000"))) == 5

    def visit(number: int) -> None:
        assert browser_of(app, "omar").get("/plans").status_code == 200

    changes: list[str] = []
    with Present(register_and_invite, sell_and_pay, search, visit) as present:

        def look(statement: str) -> None:
            if statement.startswith(CHANGES):
                changes.append(statement)
                present.round()

        with watched(look):
            upgrade(folder)
        present.round()
    assert present.errors == []
    assert "lock timeout" not in retries
    assert len(changes) > 15
    with db.engine.connect() as connection:
        assert revisions.state(connection, Path(folder)) == "current"
        assert connection.scalar(text("SELECT count(*) FROM users WHERE initial NOT IN (left(email, 1), '')")) == 0
        older = "SELECT count(*) FROM users WHERE initial = left(email, 1) AND id >= 30000"
        assert connection.scalar(text(older)) == 5001


@pytest.mark.long
def test_long_statements_hold_no_table_lock(folder: str) -> None:
    run(PEOPLE)
    long, sent = [], []
    with servers.administrator() as watcher:

        def look(statement: str) -> None:
            sent.append(statement)
            if statement.startswith(LONG) or "VALIDATE" in statement:
                locked = watcher.execute(LOCKED.replace(":name", f"'{servers.database_name()}'")).fetchone()
                long.append((statement, locked and locked[0]))

        with watched(look):
            upgrade(folder)
    assert {locked for _, locked in long} == {None}
    assert {words for words in LONG if any(statement.startswith(words) for statement, _ in long)} == set(LONG)
    assert any("VALIDATE" in statement for statement, _ in long)
    indexes = [statement for statement in sent if " INDEX " in statement and "pg_index" not in statement]
    assert len(indexes) == 3
    assert all("CONCURRENTLY" in statement for statement in indexes)
    rules = [statement for statement in sent if "ADD CONSTRAINT" in statement]
    assert len(rules) == 2
    assert all("NOT VALID" in statement for statement in rules)


@pytest.mark.long
def test_an_interrupted_migration_is_completed_by_the_next_run(folder: str) -> None:
    before = _schema()
    run(PEOPLE)
    seen = set()

    def interrupt(statement: str) -> None:
        if statement.startswith(CHANGES) and statement not in seen:
            seen.add(statement)
            raise InterruptedError(statement)

    with watched(interrupt):
        for _ in range(100):
            try:
                upgrade(folder)
            except InterruptedError:
                continue
            break
    assert len(seen) >= 12
    added = _schema() - before
    assert {line for line in added if "initial" not in line} == {"alembic_version next"}
    assert [line for line in before - _schema() if "username_key_prefix" not in line] == [
        "alembic_version baseline_guards"
    ]
    with db.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM users WHERE initial = left(email, 1)")) == 5001


@pytest.mark.long
def test_an_invalid_index_is_rebuilt(folder: str) -> None:
    run(PEOPLE)
    run("ALTER TABLE users ADD COLUMN initial text")
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        with pytest.raises(IntegrityError):
            connection.execute(text("CREATE UNIQUE INDEX CONCURRENTLY uq_users_initial_id ON users ((1))"))
        assert connection.scalar(text("SELECT count(*) FROM pg_index WHERE NOT indisvalid")) == 1
    upgrade(folder)
    assert any("uq_users_initial_id ON public.users USING btree (initial, id) t" in line for line in _schema())


@pytest.mark.long
def test_the_migration_retries_while_a_reader_holds_the_table(folder: str) -> None:
    """It retries with a short lock timeout, so that no other reader waits behind it for long."""
    tries = []
    with db.engine.connect() as reader:
        reader.execute(text("SELECT FROM users LIMIT 1"))

        def look(statement: str) -> None:
            if statement.startswith("ALTER TABLE users"):
                tries.append(statement)
                if len(tries) == 3:
                    reader.rollback()

        with watched(look):
            upgrade(folder)
    assert tries[0] == tries[1] == tries[2]
    with db.engine.connect() as connection:
        assert connection.scalar(text("SHOW lock_timeout")) == "0"


@pytest.mark.long
def test_several_machines_may_migrate_at_once(app: Flask, folder: str) -> None:
    settings = app.config["QIST"]
    command = [sys.executable, "-c", "from portal.cli import main; main()", "db", "upgrade", "--directory", folder]
    environment = {
        **marks(os.environ), "PATH": os.environ["PATH"], "FLASK_SKIP_DOTENV": "1", "SECRET_KEY": settings.secret_key,
        "DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url,
    }  # fmt: skip
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    machines = [subprocess.Popen(command, cwd=ROOT, env=environment, **output) for _ in range(3)]
    said = [machine.communicate(timeout=120)[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0, 0], said
    assert "alembic_version next" in _schema()


def test_a_migration_replaces_a_guard_with_its_file_and_leaves_the_others(tmp_path: Path, folder: str) -> None:
    """`steps.guard` on a database in which the guard has another text and lacks a trigger."""
    before = _schema()
    run("CREATE OR REPLACE FUNCTION qist_plans_state() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    run("DROP TRIGGER plans_state_parts ON installments")
    assert _schema() != before
    (Path(folder) / "versions" / "0003_next.py").write_text(
        NEXT.partition("def upgrade")[0] + "def upgrade():\n    steps.guard('plans_state')\n"
    )
    upgrade(folder)
    assert _schema() ^ before == {"alembic_version next", "alembic_version baseline_guards"}


def _schema() -> set[str]:
    """The definitions of all columns, constraints, indexes and guards, and the revision."""
    with db.engine.connect() as connection:
        return set(_definitions(connection))


def _definitions(connection: Connection) -> Iterator[str]:
    yield from connection.scalars(
        text(
            """SELECT concat_ws(' ', attrelid::regclass, attname, atttypid::regtype, attnotnull,
                      (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum))
               FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
               WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
               UNION SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated)
               FROM pg_constraint WHERE connamespace = 'public'::regnamespace
               UNION SELECT concat_ws(' ', pg_get_indexdef(indexrelid), indisvalid) FROM pg_index
               JOIN pg_class ON pg_class.oid = indrelid WHERE relnamespace = 'public'::regnamespace
               UNION SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
               UNION SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
               UNION SELECT 'alembic_version ' || version_num FROM alembic_version"""
        )
    )
