"""Migrations match the models, run in both directions, and refuse databases of other versions."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import flask_migrate
import flask_migrate.cli
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import text

from portal import cli
from portal.extensions import db
from portal.reports.operations import health, migration_files, revisions

BY_WAY = "ix_payments_merchant_id_way_dated_at_id"
ROOT = Path(__file__).parents[2]


def scripts(app: Flask) -> ScriptDirectory:
    return ScriptDirectory(app.extensions["migrate"].directory)


def test_models_and_migrations_agree(app: Flask, database: str) -> None:
    with app.app_context(), db.engine.connect() as connection:
        compared = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        differences = compare_metadata(compared, db.metadata)
        assert [
            each for each in differences if not (is_default_of_merchants_id(each) or is_printed_on_lines(each))
        ] == []
        defaults = "SELECT column_default FROM information_schema.columns WHERE column_name = 'id' AND table_name = "
        assert connection.scalar(text(defaults + "'merchants'")) == "nextval('users_id_seq'::regclass)"


def is_default_of_merchants_id(difference: Any) -> bool:
    """Alembic takes a default from another table's sequence for a SERIAL column, and reads no default."""
    return isinstance(difference, list) and difference[0][:4] == ("modify_default", None, "merchants", "id")


def is_printed_on_lines(difference: Any) -> bool:
    """PostgreSQL prints this index's CASE on several lines, which Alembic does not compare. tests/models does."""
    return difference[0] in ("add_index", "remove_index") and difference[1].name == BY_WAY


def test_there_is_one_head(app: Flask) -> None:
    assert len(scripts(app).get_heads()) == 1


def test_the_revisions_read_from_the_files_are_those_of_alembic(app: Flask) -> None:
    known, newest = migration_files.revisions()
    assert known == {script.revision for script in scripts(app).walk_revisions()}
    assert newest == set(scripts(app).get_heads())


def test_a_merge_of_two_branches_follows_both(tmp_path: Path) -> None:
    branches = {"base": "None", "left": "'base'", "right": "'base'", "merge": "('left', 'right')"}
    (tmp_path / "versions").mkdir()
    for name, before in branches.items():
        (tmp_path / "versions" / f"{name}.py").write_text(f"revision = {name!r}\ndown_revision = {before}\n")
    assert migration_files.revisions(tmp_path) == (set(branches), {"merge"})


NOT_NEEDED = ("alembic", "flask_migrate", "zxcvbn", "webauthn", "segno", "reportlab", "PIL", "httpx", "icalendar")


@pytest.mark.long
@pytest.mark.parametrize("module", ["wsgi", "portal.cli", "portal.local.guardian"])
def test_a_process_that_serves_loads_no_package_that_it_does_not_need(app: Flask, module: str) -> None:
    settings = app.config["QIST"]
    environ = {"SECRET_KEY": settings.secret_key, "DATABASE_URL": settings.database_url, "FLASK_SKIP_DOTENV": "1"}
    code = f"import sys, {module}; print(*(name for name in {NOT_NEEDED} if name in sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environ},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.split() == []


@pytest.mark.long
def test_every_migration_can_be_undone_and_done_again(app: Flask, database: str) -> None:
    with app.app_context():
        before = _objects()
        flask_migrate.downgrade(revision="base")
        assert _objects() == {"alembic_version"}
        flask_migrate.upgrade()
        assert _objects() == before


UNRELEASED = (
    ("the revision of an unreleased version", "UPDATE alembic_version SET version_num = '0013'"),
    ("a revision that begins like one of the present", "UPDATE alembic_version SET version_num = '0002'"),
    ("tables without a revision", "DELETE FROM alembic_version"),
    ("tables without Alembic's own", "DROP TABLE alembic_version"),
)
LINE = (
    "The database was made by an unreleased version and can't be upgraded: set it aside with qist dev --set-aside, "
    "or give DATABASE_URL= an empty database."
)


@pytest.mark.parametrize(
    ("about", "change"),
    [pytest.param(*row, id=row[0], marks=[] if row is UNRELEASED[0] else pytest.mark.long) for row in UNRELEASED],
)
def test_a_database_of_an_unreleased_version_is_refused_in_one_line(
    app: Flask, database: str, about: str, change: str
) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("COMMENT ON TABLE alembic_version IS NULL")
        connection.exec_driver_sql(change)
    with app.app_context():
        before = _objects()
    runner = app.test_cli_runner()
    upgrade, prepare = runner.invoke(flask_migrate.cli.db, ["upgrade"]), runner.invoke(cli.prepare)
    assert (upgrade.exit_code, upgrade.output) == (1, f"Error: {LINE}\n")
    assert (prepare.exit_code, prepare.output) == (65, f"{LINE}\n")
    response = app.test_client().get("/readyz")
    assert response.status_code == 503
    assert response.json == {"status": "unavailable"}
    with app.app_context():
        assert health.check().problems == {"migrations": "unreleased"}
        assert _objects() == before


def test_a_database_of_a_newer_version_is_served_but_not_upgraded(app: Flask, database: str) -> None:
    """The revision is unknown, and the comment of the baseline is present."""
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'of_tomorrow'")
    upgrade = app.test_cli_runner().invoke(flask_migrate.cli.db, ["upgrade"])
    assert (upgrade.exit_code, upgrade.output) == (
        1,
        "Error: The database was made by a newer version of Qist, so this one can't upgrade it.\n",
    )
    response = app.test_client().get("/readyz")
    assert response.status_code == 200
    assert response.json["status"] == "degraded"
    with app.app_context():
        assert health.check().degraded["migrations"] == "newer"


def test_a_database_without_tables_is_behind_and_not_refused(app: Flask, database: str) -> None:
    with app.app_context():
        flask_migrate.downgrade(revision="base")
        assert revisions.of_this_database() == "behind"
        flask_migrate.upgrade()
        assert revisions.of_this_database() == "current"


def _objects() -> set[str]:
    """The tables, indexes, functions and triggers of the public schema."""
    with db.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            """SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
               UNION SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
               UNION SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
               UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"""
        )
        return {row[0] for row in rows}
