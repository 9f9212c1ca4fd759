"""The database is brought up to date while the version before goes on serving, large tables and all."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import IntegrityError

from portal.domain import identifiers
from portal.extensions import db
from portal.models import Invitation, User
from portal.services.mail import delivery
from portal.services.plans import invitations, plans
from portal.services.plans.plans import NewPlan
from tests.fixtures import mails, people, servers
from tests.fixtures.mails import Catcher, sending, text_of

pytestmark = pytest.mark.usefixtures("context")
ROOT = Path(__file__).parents[2]

BEFORE = "0007"
"""The revision of the version before: what it writes is what stands here as SQL."""
SINCE = ("0008", "0009", "0010", "0011", "0012", "0013")

NEW_USER = """INSERT INTO users (role, email, username, password_hash, created_at, deactivated_at)
    VALUES ('customer', :email, :username, 'h', now(), NULL) RETURNING id, early_reminders"""
NEW_RECORD = """INSERT INTO users (role, email, early_reminders, created_at) VALUES ('customer', :email, true, now())
    ON CONFLICT DO NOTHING"""
REVOKE = """UPDATE invitations SET revoked_at = now()
    WHERE plan_id = :plan AND revoked_at IS NULL AND claimed_at IS NULL"""
INVITE = """INSERT INTO invitations (plan_id, token_hash, created_at, expires_at, revoked_at, claimed_at)
    VALUES (:plan, sha256(convert_to(:token, 'UTF8')), now(), now() + interval '30 days', NULL, NULL)"""
TELL = """INSERT INTO outbox (dedupe_key, kind, to_user_id, merchant_id, plan_id, data, state, next_try_at, created_at)
    SELECT 'invitation:' || :token, 'invitation', customer_id, merchant_id, id, jsonb_build_object('token', :token),
    'waiting', now(), now() FROM plans WHERE id = :plan ON CONFLICT (dedupe_key) DO NOTHING RETURNING id"""
CLAIM = "UPDATE users SET username = :username, password_hash = 'h' WHERE email = :email"
CLAIMED = "UPDATE invitations SET claimed_at = now() WHERE token_hash = sha256(convert_to(:token, 'UTF8'))"
MOVE = "UPDATE users SET email = :email WHERE username = :username"

LONG = ("UPDATE users", "UPDATE invitations", "UPDATE outbox", "SELECT id, ", "CREATE INDEX", "CREATE UNIQUE INDEX")
LOCKED = """SELECT string_agg(DISTINCT relation::regclass::text, ', ') FROM pg_locks
    WHERE mode = 'AccessExclusiveLock' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = :name)
    AND relation::regclass::text IN ('users', 'payments', 'invitations', 'outbox')"""


def run(*statements: str, **values: Any) -> None:
    with db.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement), values)


def back_to(revision: str) -> None:
    db.session.rollback()
    flask_migrate.downgrade(revision=revision)


@contextmanager
def asked(look: Callable[[str], None]) -> Iterator[None]:
    """`look` is told every statement before it is sent."""

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        look(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def the_version_before_serves(plan_id: int, mark: str) -> None:
    """It registers people, makes a record for an unknown email, sends a link anew, and lets somebody claim a record."""
    run(NEW_USER, email=f"Rami-{mark}@Example.com", username=f"Rami-{mark}")
    run(NEW_USER, email=f"Straße-{mark}@example.com", username=f"STRASSE-{mark}")
    run(NEW_USER, email=f"Hala-{mark}@example.com", username=f"hala-{mark}@EXAMPLE.com")
    run(NEW_RECORD, email=f"Lina-{mark}@example.com")
    run(NEW_RECORD, email=f"lina-{mark}@EXAMPLE.com")
    run(REVOKE, INVITE, TELL, plan=plan_id, token=f"link-{mark}")
    run(CLAIM, email=f"Lina-{mark}@example.com", username=f"LINA-{mark}")
    run(MOVE, username=f"Rami-{mark}", email=f"Rami.{mark}@Example.com")


def an_invited_plan() -> tuple[int, int, str]:
    amal = people.amal()
    opened = plans.open_plan(amal, NewPlan("nadia@example.com", 60_00, 2, people.today_of(amal)))
    return amal, opened.plan_id, opened.invitation_token or ""


@pytest.mark.parametrize("revision", [BEFORE, *SINCE])
def test_at_every_step_the_version_before_goes_on(revision: str) -> None:
    _, plan_id, _ = an_invited_plan()
    back_to(revision)
    the_version_before_serves(plan_id, "1")
    for email, name in (("rami.1@example.com", "rami"), ("x@example.com", "RAMI-1"), ("lina-1@EXAMPLE.com", "lina")):
        with pytest.raises(IntegrityError):
            run(NEW_USER, email=email, username=name)
    with pytest.raises(IntegrityError):
        run(NEW_USER, email="y@example.com", username="rami.1@example.com")
    flask_migrate.upgrade()
    the_version_before_serves(plan_id, "2")
    everybody = db.session.scalars(db.select(User).order_by(User.id)).all()
    assert len(everybody) == 2 + 2 * 4
    for user in everybody:
        assert user.email_key == identifiers.key(user.email)
        assert user.username_key == (identifiers.key(user.username) if user.username else None)
    for mark in ("1", "2"):
        for login in (f"rami.{mark}@example.com", f"strasse-{mark}@EXAMPLE.com", f"straße-{mark}", f"lina-{mark}"):
            assert db.session.scalars(User.by_login(login)).one()
    seeds = db.session.scalars(db.select(Invitation.seed)).all()
    assert len(set(seeds)) == len(seeds) == 3
    run(CLAIM, email="nadia@example.com", username="Nadia")
    run(CLAIMED, token="link-2")
    assert db.session.scalars(User.by_login("nadia")).one().email == "nadia@example.com"


def test_a_key_that_python_made_is_left_alone() -> None:
    """Also where the database's Unicode is not of the same year as Python's."""
    keys = "SELECT email_key || ' ' || username_key FROM users WHERE id = :id"
    omar = people.omar()
    run("UPDATE users SET email = 'ω@example.com', email_key = 'w@example.com' WHERE id = :id", id=omar)
    run("UPDATE users SET username = 'Ω', username_key = 'w' WHERE id = :id", id=omar)
    assert db.session.execute(text(keys), {"id": omar}).scalar_one() == "w@example.com w"


def test_a_mail_of_the_version_before_brings_its_link_and_the_token_goes(app: Flask) -> None:
    _, plan_id, _ = an_invited_plan()
    back_to(BEFORE)
    run("DELETE FROM outbox")
    run(REVOKE, INVITE, TELL, plan=plan_id, token="waited-before")
    flask_migrate.upgrade()
    assert mails.outbox()[0].data == {"token": "waited-before"}  # the version before can still send it
    with Catcher() as catcher, sending(app, catcher):
        delivery.drain()
        run(REVOKE, INVITE, TELL, plan=plan_id, token="written-meanwhile")
        delivery.drain()
        run(TELL, plan=plan_id, token="of-no-link")
        delivery.drain()
    assert [mail.state for mail in mails.outbox()] == ["sent", "sent", "dropped"]
    assert "/invitations/waited-before" in text_of(catcher.mails[0])
    assert "/invitations/written-meanwhile" in text_of(catcher.mails[1])
    assert len(catcher.mails) == 2
    _no_token_is_left("waited-before", "written-meanwhile", "of-no-link")


def test_a_mail_that_was_given_up_can_be_sent_again_and_holds_no_token(app: Flask) -> None:
    _, plan_id, _ = an_invited_plan()
    back_to(BEFORE)
    run("DELETE FROM outbox")
    end = "UPDATE outbox SET state = 'dead', ended_at = now(), last_error = 'no' WHERE data ->> 'token' = :token"
    run(REVOKE, INVITE, TELL, end, plan=plan_id, token="given-up-before")
    run(TELL, end, plan=plan_id, token="of-no-link")
    flask_migrate.upgrade()
    invitation = db.session.scalars(Invitation.live(hashlib.sha256(b"given-up-before").digest(), _now())).one()
    assert [mail.data for mail in mails.outbox()] == [{"invitation_id": invitation.id}, {}]
    with Catcher() as catcher, sending(app, catcher):
        catcher.answer = lambda recipient: "550 5.1.1 nobody of this name"
        run(REVOKE, INVITE, TELL, plan=plan_id, token="given-up-since")
        delivery.drain()
        _no_token_is_left("given-up-before", "given-up-since", "of-no-link")
        catcher.answer = lambda recipient: None
        for mail in mails.outbox():
            delivery.resend(mail.id)
        delivery.drain()
    assert [mail.state for mail in mails.outbox()] == ["dropped", "dropped", "sent"]
    (link,) = [line for line in text_of(catcher.mails[0]).split() if "/invitations/" in line]
    assert invitations.find(link.rpartition("/")[2]) is not None


def test_nothing_that_takes_long_is_done_while_a_table_is_locked() -> None:
    _, plan_id, _ = an_invited_plan()
    back_to(BEFORE)
    run(REVOKE, INVITE, TELL, plan=plan_id, token="some")
    long, sent = [], []
    with servers.administrator() as watcher:

        def look(statement: str) -> None:
            sent.append(statement)
            if statement.startswith(LONG) or "VALIDATE" in statement:
                locked = watcher.execute(LOCKED.replace(":name", f"'{servers.database_name()}'")).fetchone()
                long.append((statement, locked and locked[0]))

        people_of_before()
        with asked(look):
            flask_migrate.upgrade()
    assert {locked for _, locked in long} == {None}
    assert {words for words in LONG if any(statement.startswith(words) for statement, _ in long)} == set(LONG)
    made = [statement for statement in sent if " INDEX " in statement and "pg_index" not in statement]
    assert made
    assert all("CONCURRENTLY" in statement for statement in made)
    rules = [statement for statement in sent if "ADD CONSTRAINT" in statement]
    assert rules
    assert all("NOT VALID" in statement for statement in rules)


def test_who_was_interrupted_goes_on_from_there() -> None:
    before = _schema()
    back_to(BEFORE)
    people_of_before()
    seen = set()

    def interrupt(statement: str) -> None:
        if statement.startswith(("ALTER", "CREATE", "DROP", "UPDATE")) and statement not in seen:
            seen.add(statement)
            raise InterruptedError(statement)

    with asked(interrupt):
        for _ in range(200):
            try:
                flask_migrate.upgrade()
            except InterruptedError:
                continue
            break
    assert len(seen) > 30
    assert _schema() == before
    assert {user.email_key for user in db.session.scalars(db.select(User))} == {
        "rami@example.com", "strasse@example.com", "STRAßE@example.com",
    }  # fmt: skip


def test_every_account_of_many_gets_its_keys() -> None:
    """More than one batch, and ids beyond what a smallint holds."""
    back_to(BEFORE)
    run(
        """INSERT INTO users (id, role, email, created_at) OVERRIDING SYSTEM VALUE
           SELECT n, 'customer', CASE WHEN n % 3 = 0 THEN 'É' ELSE 'E' END || n || '@example.com', now()
           FROM generate_series(30000, 40000, 3) AS n UNION ALL SELECT 70000, 'customer', 'É1@example.com', now()"""
    )
    flask_migrate.upgrade()
    accounts = db.session.execute(db.select(User.email, User.email_key)).all()
    assert len(accounts) == 3335
    assert [email for email, key in accounts if key != identifiers.key(email)] == []


def test_an_index_that_was_left_half_built_is_built_anew() -> None:
    before = _schema()
    back_to("0012")
    people_of_before()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        with pytest.raises(IntegrityError):
            connection.execute(text("CREATE UNIQUE INDEX CONCURRENTLY uq_users_email_key ON users ((1))"))
        assert connection.scalar(text("SELECT count(*) FROM pg_index WHERE NOT indisvalid")) == 1
    flask_migrate.upgrade()
    assert _schema() == before


def test_a_reader_that_stays_is_given_way_to(app: Flask) -> None:
    """The upgrade tries again until they have gone, and whoever reads meanwhile is not kept waiting behind it."""
    back_to(BEFORE)
    waits = []
    with db.engine.connect() as reader:
        reader.execute(text("SELECT FROM users LIMIT 1"))

        def look(statement: str) -> None:
            if statement.startswith("ALTER TABLE users"):
                waits.append(statement)
                if len(waits) == 3:
                    reader.rollback()

        with asked(look):
            flask_migrate.upgrade()
    assert waits[0] == waits[1] == waits[2]
    with db.engine.connect() as connection:
        assert connection.scalar(text("SHOW lock_timeout")) == "0"


def test_several_machines_may_bring_it_up_to_date_at_once(app: Flask) -> None:
    before = _schema()
    back_to(BEFORE)
    settings = app.config["QIST"]
    command = [sys.executable, "-c", "from portal.cli import main; main()", "db", "upgrade"]
    environment = {
        "PATH": os.environ["PATH"], "FLASK_SKIP_DOTENV": "1", "SECRET_KEY": settings.secret_key,
        "DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url,
    }  # fmt: skip
    told = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    machines = [subprocess.Popen(command, cwd=ROOT, env=environment, **told) for _ in range(3)]
    said = [machine.communicate(timeout=120)[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0, 0], said
    assert _schema() == before


def people_of_before() -> None:
    run(NEW_USER, email="Rami@example.com", username="Rami")
    run(NEW_USER, email="STRAßE@example.com", username="straße")
    run(NEW_USER, email="strasse@example.com", username="other")


def _no_token_is_left(*tokens: str) -> None:
    db.session.rollback()
    kept = db.session.execute(text("SELECT string_agg(data::text || coalesce(body, ''), ' ') FROM outbox")).scalar_one()
    assert [token for token in tokens if token in kept] == []


def _now() -> Any:
    return db.session.scalar(text("SELECT now()"))


def _schema() -> set[str]:
    """Everything about tables, columns, rules and indexes that a step could leave behind or forget."""
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
               UNION SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"""
        )
    )
