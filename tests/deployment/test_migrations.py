"""Models and migrations tell the same story, forwards and backwards."""

import logging

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask

from portal.extensions import db


def scripts(app: Flask) -> ScriptDirectory:
    return ScriptDirectory(app.extensions["migrate"].directory)


def test_models_and_migrations_agree(app: Flask, database: str) -> None:
    with app.app_context(), db.engine.connect() as connection:
        compared = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(compared, db.metadata) == []


def test_there_is_one_head(app: Flask) -> None:
    assert len(scripts(app).get_heads()) == 1


def test_every_migration_can_be_undone_and_done_again(app: Flask, database: str) -> None:
    with app.app_context():
        before = _objects()
        flask_migrate.downgrade(revision="base")
        assert _objects() == {"alembic_version"}
        flask_migrate.upgrade()
        assert _objects() == before


def test_accounts_get_their_keys(app: Flask, database: str, caplog: pytest.LogCaptureFixture) -> None:
    """Those that were two only for their case stay two: the one whose letters are the key's has it, else the first."""
    people = [
        ("Amal@Example.com", "Amal", "amal@example.com", "amal"),
        ("ΝΙΚΟΣ@example.com", "ΝΙΚΟΣ@example.com", "νικοσ@example.com", "νικοσ@example.com"),
        ("νικος@example.com", "νικος@example.com", "νικος@example.com", "νικος@example.com"),
        ("ſam@example.com", "ſam", "ſam@example.com", "ſam"),
        ("SAM@example.com", "SAM", "sam@example.com", "sam"),
        ("new@example.com", None, "new@example.com", None),
    ]
    add = "INSERT INTO users (role, email, username, password_hash, created_at) VALUES ('customer', :e, :n, :h, now())"
    with app.app_context():
        flask_migrate.downgrade(revision="0010")
        with db.engine.begin() as connection:
            for email, name, _, _ in people:
                connection.execute(db.text(add), {"e": email, "n": name, "h": name and "h"})
        with caplog.at_level(logging.WARNING, "alembic.runtime.migration"):
            flask_migrate.upgrade()
        assert [record.args for record in caplog.records] == [
            (3, "email"),
            (4, "email"),
            (3, "username"),
            (4, "username"),
        ]
        with db.engine.connect() as connection:
            rows = connection.execute(db.text("SELECT email, username, email_key, username_key FROM users ORDER BY id"))
            assert [tuple(row) for row in rows] == people


def _objects() -> set[str]:
    """Tables, indexes, functions and triggers of the public schema."""
    with db.engine.connect() as connection:
        found = connection.exec_driver_sql(
            """SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
               UNION SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
               UNION SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
               UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"""
        )
        return {row[0] for row in found}
