"""`qist backup` and `qist restore` with the real programs of PostgreSQL."""

import hashlib
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import text

from portal import cli
from portal.app import bind_migrations, create_app
from portal.commands import client_programs, erasure_lists
from portal.domain import clock
from portal.extensions import db
from portal.models import User
from portal.services.privacy import erasures
from tests.deployment.contents import connect, contents
from tests.fixtures import servers
from tests.models import sample_plans


def invoke(app: Flask, *arguments: str | Path) -> Result:
    result = app.test_cli_runner().invoke(cli.main, [str(argument) for argument in arguments])
    with app.app_context():
        db.session.remove()
    return result


@pytest.fixture
def dump(app: Flask, database: str, tmp_path: Path) -> Path:
    """A backup of a database with plans, payments and refunds."""
    with app.app_context():
        sample_plans.sample_plans()
        db.session.remove()
    file = tmp_path / "qist.dump"
    result = invoke(app, "backup", file)
    assert (result.exit_code, result.stderr) == (0, "")
    return file


@pytest.fixture
def target() -> Iterator[Flask]:
    """An application on an empty database without tables."""
    name = f"{servers.database_name()}_target"
    with servers.administrator() as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    other = create_app(servers.settings_for(name))
    bind_migrations(other)
    yield other
    with other.app_context():
        db.engine.dispose()
    with servers.administrator() as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def tables_of(target: Flask) -> int:
    with connect(f"{servers.database_name()}_target") as connection:
        row = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        return int(row[0]) if row else 0


def test_a_backup_is_private_complete_and_has_a_checksum(dump: Path) -> None:
    checksum = dump.with_name("qist.dump.sha256")
    assert checksum.read_text() == f"{hashlib.sha256(dump.read_bytes()).hexdigest()}  qist.dump\n"
    assert [stat.S_IMODE(file.stat().st_mode) for file in (dump, checksum)] == [0o600, 0o600]
    assert sorted(file.name for file in dump.parent.iterdir()) == ["qist.dump", "qist.dump.sha256"]


@pytest.mark.long
def test_a_restored_database_has_the_same_rows_and_objects(app: Flask, dump: Path, target: Flask) -> None:
    result = invoke(target, "restore", dump, "--no-erasures")
    assert result.exit_code == 0, result.output
    assert "BROKEN" not in result.output and result.output.count("\nok ") > 20
    before, after = contents(servers.database_name()), contents(f"{servers.database_name()}_target")
    assert after.rows == before.rows and after.objects == before.objects
    assert sum(count for count, _ in before.rows.values()) > 50


@pytest.mark.long
def test_people_who_were_erased_after_the_backup_are_erased_again(
    app: Flask, dump: Path, target: Flask, tmp_path: Path
) -> None:
    with app.app_context():
        nadia = db.session.scalars(db.select(User).where(User.has_email("nadia@example.com"))).one()
        user_id, created_at = nadia.id, nadia.created_at
        db.session.rollback()
        assert erasures.erase_again(user_id, created_at, clock.now()) == "erased"
    listed = tmp_path / "erasures.jsonl"
    assert invoke(app, "erasures", "--export", listed).exit_code == 0
    result = invoke(target, "restore", dump, "--erasures", listed)
    assert result.exit_code == 0 and f"{user_id}: erased\n" in result.output
    with target.app_context():
        assert db.session.get_one(User, user_id).erased_at is not None


def test_a_list_of_erasures_is_private_and_replaced_only_by_a_whole_one(
    app: Flask, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty list would bring back everybody who was erased since the backup."""
    listed = tmp_path / "erasures.jsonl"
    listed.write_text("the list of yesterday\n")

    def broken() -> Iterator[str]:
        yield "one line\n"
        with app.app_context():
            db.session.execute(text("SELECT no_such_column"))

    with monkeypatch.context() as patched:
        patched.setattr(erasure_lists, "written", broken)
        result = invoke(app, "erasures", "--export", listed)
    assert result.exit_code == 2 and "no list was written" in result.stderr
    assert listed.read_text() == "the list of yesterday\n" and list(tmp_path.iterdir()) == [listed]
    assert invoke(app, "erasures", "--export", listed).exit_code == 0
    assert listed.read_text() == "" and listed.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "option", [[], pytest.param(["--no-erasures", "--erasures", "qist.dump"], marks=pytest.mark.long)]
)
def test_a_restore_asks_for_the_list_of_erasures(dump: Path, target: Flask, option: list[str]) -> None:
    options = [str(dump) if word == "qist.dump" else word for word in option]
    result = invoke(target, "restore", dump, *options)
    assert result.exit_code == 2 and "--no-erasures" in result.stderr and tables_of(target) == 0


@pytest.mark.long
def test_a_list_that_is_none_stops_the_restore(dump: Path, target: Flask, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("nadia\n")
    result = invoke(target, "restore", dump, "--erasures", tmp_path / "list")
    assert (result.exit_code, result.stderr) == (2, "Error: not a line of qist erasures: nadia\n")
    assert tables_of(target) == 0


@pytest.mark.long
def test_a_database_with_tables_is_not_overwritten(app: Flask, dump: Path) -> None:
    before = contents(servers.database_name())
    result = invoke(app, "restore", dump, "--no-erasures")
    assert result.exit_code == 2 and "is not empty (" in result.stderr and len(result.stderr.splitlines()) == 1
    assert contents(servers.database_name()) == before


def test_a_changed_or_truncated_file_is_refused(dump: Path, target: Flask) -> None:
    whole = dump.read_bytes()
    dump.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    result = invoke(target, "restore", dump, "--no-erasures")
    assert result.exit_code == 1 and "does not have the checksum of qist.dump.sha256" in result.stderr
    dump.with_name("qist.dump.sha256").unlink()
    for content in (whole[: len(whole) // 2], b"", b"not a dump"):
        dump.write_bytes(content)
        result = invoke(target, "restore", dump, "--no-erasures")
        assert result.exit_code == 1 and "is not a whole backup" in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert tables_of(target) == 0


def test_a_missing_file_is_named(target: Flask, tmp_path: Path) -> None:
    result = invoke(target, "restore", tmp_path / "missing", "--no-erasures")
    assert (result.exit_code, result.stderr) == (
        2,
        f"Error: {tmp_path}/missing can't be read: No such file or directory\n",
    )


def test_a_backup_overwrites_no_file_and_leaves_none_behind(app: Flask, dump: Path, tmp_path: Path) -> None:
    before = dump.read_bytes()
    result = invoke(app, "backup", dump)
    assert (result.exit_code, result.stderr) == (2, f"Error: {dump} exists already; choose another name\n")
    assert dump.read_bytes() == before
    result = invoke(app, "backup", tmp_path / "no" / "folder")
    assert result.exit_code == 2 and result.stderr.endswith("folder.part: No such file or directory\n")


def test_a_database_that_does_not_answer_and_an_empty_one_give_no_backup(target: Flask, tmp_path: Path) -> None:
    result = invoke(target, "backup", tmp_path / "new.dump")
    assert (result.exit_code, result.stderr) == (2, "Error: The database is empty: there is nothing to back up\n")
    url = "postgresql+psycopg://qist:hidden-word@127.0.0.1:1/qist"
    target.config["QIST"] = replace(target.config["QIST"], database_url=url)
    result = invoke(target, "backup", tmp_path / "new.dump")
    assert result.exit_code == 2 and result.stderr.startswith("Error: The database does not answer: ")
    assert "hidden-word" not in result.stderr and len(result.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_programs_older_than_the_server_are_refused_by_version() -> None:
    assert client_programs.fitting(18).major >= 18
    with pytest.raises(client_programs.ProgramError, match="PostgreSQL 99 needs pg_dump and pg_restore of version 99"):
        client_programs.fitting(99)


def test_the_password_is_not_on_the_command_line(tmp_path: Path) -> None:
    """A program that prints its arguments and its password stands in for pg_dump."""
    program = tmp_path / "pg_dump"
    program.write_text('#!/bin/sh\necho "$PGPASSWORD $@"\n')
    program.chmod(0o700)
    url = "postgresql+psycopg://qist:a%2Fword@db.example.org/qist?sslmode=verify-full"
    printed = client_programs.ClientPrograms(tmp_path, 18).run("pg_dump", database_url=url)
    assert printed == "a/word --dbname=postgresql://qist@db.example.org/qist?sslmode=verify-full\n"
