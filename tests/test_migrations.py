"""Models and migrations tell the same story, forwards and backwards."""

import flask_migrate
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
