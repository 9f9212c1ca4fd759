"""The models and the migrations define the same tables, including checks and predicates of indexes."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine, create_engine, text

from portal.extensions import db
from portal.reports.operations import roles
from tests.fixtures import servers

DESCRIBED = {
    "columns": "SELECT table_name || '.' || column_name AS name, concat_ws(' ', data_type, character_maximum_length, "
    "is_nullable, column_default, is_identity, identity_generation, generation_expression) AS definition "
    "FROM information_schema.columns WHERE table_schema = 'public'",
    "constraints": "SELECT conrelid::regclass || '.' || conname AS name, pg_get_constraintdef(oid) AS definition "
    "FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'f', 'p', 'u')",
    "indexes": "SELECT indexname AS name, indexdef AS definition FROM pg_indexes WHERE schemaname = 'public'",
}


def described(engine: Engine, what: str) -> dict[str, str]:
    with engine.connect() as connection:
        rows = connection.execute(text(DESCRIBED[what])).all()
    return {row.name: row.definition for row in rows if "alembic_version" not in row.name}


def test_models_and_migrations_make_the_same_tables(context):
    name = f"{servers.database_name()}_models"
    with servers.administrator() as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
    engine = create_engine(servers.settings_for(name).database_url or "")
    try:
        db.metadata.create_all(engine)
        for what in DESCRIBED:
            migrated = described(db.engine, what)
            assert len(migrated) > 10
            assert described(engine, what) == migrated
    finally:
        engine.dispose()
        with servers.administrator() as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("owner", [False, True])
def test_a_session_has_the_zone_utc_and_compiles_nothing(app, owner):
    """The tests' server compiles nothing by default, so the source of the setting counts."""
    settings = app.config["QIST"]
    app.config["QIST"] = replace(settings, database_owner_url=settings.database_url if owner else None)
    query = text("SELECT name, setting, source FROM pg_settings WHERE name IN ('jit', 'TimeZone') ORDER BY lower(name)")
    try:
        with app.app_context(), roles.owner_engine() as engine:
            assert (engine is db.engine) == (not owner)
            engine.dispose()  # a connection of the pool was reset by the fixtures
            with engine.connect() as connection:
                found = [tuple(row) for row in connection.execute(query)]
    finally:
        app.config["QIST"] = settings
    assert found == [("jit", "off", "session"), ("TimeZone", "UTC", "session")]
