"""A backup and restore by docs/deployment.md gives the same database: rows, guards and the checks of money."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from flask import Flask

from portal import cli
from portal.app import create_app
from portal.domain import clock
from portal.extensions import db
from portal.local.postgres import Postgres
from portal.models import User
from portal.reports.operations import checks
from portal.services.privacy import erasures
from tests.deployment.contents import connect, contents
from tests.fixtures import people, servers
from tests.models import sample_plans

ROOT = Path(__file__).parents[2]
DUMP = ["--format=custom", "--no-owner", "--no-privileges"]
RESTORE = ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges"]


def run(program: str, *arguments: str) -> None:
    """Run a client program of PostgreSQL from the server's package."""
    tree, parts = Postgres(ROOT).program()
    url = os.environ[servers.POSTGRES].replace("postgresql+psycopg:", "postgresql:")
    host = url.split("host=")[1]
    command = [str((tree / parts[0]).with_name(program)), f"--host={host}", "--username=qist", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr


@pytest.fixture
def restored(app: Flask, database: str, tmp_path: Path) -> Iterator[str]:
    """The name of a database restored from a backup."""
    with app.app_context():
        sample_plans.sample_plans()
    name, file = f"{servers.database_name()}_restored", str(tmp_path / "qist.dump")
    run("pg_dump", *DUMP, f"--file={file}", servers.database_name())
    with servers.administrator() as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    run("pg_restore", *RESTORE, f"--dbname={name}", file)
    yield name
    with servers.administrator() as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def test_a_restored_backup_is_the_same_database(app: Flask, restored: str) -> None:
    before, after = contents(servers.database_name()), contents(restored)
    assert after.rows == before.rows
    assert after.objects == before.objects
    assert {name for name, (count, _) in before.rows.items() if count} >= {
        "alembic_version", "allocations", "events", "gateway_charges", "installments", "ledger_entries", "ledger_lines",
        "payments", "plans", "refunds", "users",
    }  # fmt: skip
    assert {name for kind, name, _ in before.objects if kind == "trigger"} >= {"ledger_lines", "installments", "plans"}

    restored_app = create_app(servers.settings_for(restored))
    with restored_app.app_context():
        assert [(rule, count) for rule, count in checks.run() if count] == []
        db.engine.dispose()

    with closing(connect(restored)) as connection:
        with pytest.raises(psycopg.errors.DatabaseError, match="append-only"):
            connection.execute("UPDATE ledger_lines SET amount = amount + 1")
        connection.execute(
            "UPDATE users SET email = 'someone-else@example.com', email_key = 'someone-else@example.com' "
            "WHERE email = 'omar@example.com'"
        )
    differ = contents(restored).rows
    assert [name for name in differ if differ[name] != before.rows[name]] == ["customers", "users"]  # its search words


@pytest.mark.long
def test_the_list_of_erasures_erases_again_what_an_older_backup_brings_back(
    app: Flask, restored: str, tmp_path: Path
) -> None:
    """The backup is from before the erasure, the list from after it."""
    listed = tmp_path / "erasures.jsonl"
    with app.app_context():
        sara = people.sara()  # registered after the backup
        nadia = db.session.scalars(db.select(User.id).where(User.has_email("nadia@example.com"))).one()
        for user_id in (sara, nadia):
            user = db.session.get_one(User, user_id)
            created_at = user.created_at
            assert erasures.erase_again(user_id, created_at, clock.now()) == "erased"
        db.session.remove()
    assert app.test_cli_runner().invoke(cli.list_erasures, ["--export", str(listed)]).exit_code == 0

    restored_app = create_app(servers.settings_for(restored))
    with restored_app.app_context():
        stranger = people.a_customer("stranger")  # gets the id that Sara had
        assert stranger == sara
        db.session.remove()
    result = restored_app.test_cli_runner().invoke(cli.erase_again, [str(listed)])
    assert (result.exit_code, sorted(result.output.split("\n"))) == (0, ["", f"{nadia}: erased", f"{sara}: unknown"])
    with restored_app.app_context():
        assert db.session.get_one(User, nadia).erased_at is not None
        assert db.session.get_one(User, stranger).username == "stranger"
        assert db.session.scalar(db.select(User.id).where(User.has_email("nadia@example.com"))) is None
        assert [(rule, count) for rule, count in checks.run() if count] == []
        db.session.remove()
        db.engine.dispose()


def test_the_guide_has_the_commands_of_this_test() -> None:
    guide = (ROOT / "docs" / "deployment.md").read_text()
    assert "pg_dump --username=qist " + " ".join(DUMP) in guide
    assert "qist erasures --export" in guide and "qist erase-again" in guide
    assert "pg_restore --username=qist " + " ".join(RESTORE) in guide
