"""The logs of the embedded servers stay bounded while the servers run."""

from pathlib import Path

import psycopg
import pytest

from portal.local import child_server, supervisor
from portal.local.postgres import Postgres
from portal.local.valkey import Valkey


def test_a_long_log_is_turned_over_while_the_server_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log and one older part exist, and the server writes on in the log."""
    monkeypatch.setattr(child_server, "MAX_LOG_BYTES", 10_000)
    with Valkey(tmp_path, durable=False) as server:
        for _ in range(3):
            with server.log.open("ab") as log:
                log.write(b"line\n" * 4_000)
            server.turn_over_log()
            assert server.log.stat().st_size == 0
        server.turn_over_log()
        old = tmp_path / "valkey.log.old"
        assert old.read_bytes() == b"line\n" * 4_000
        assert server.process
    assert 0 < server.log.stat().st_size < 10_000
    assert len(list(tmp_path.glob("valkey.log*"))) == 2


def test_the_log_of_a_busy_postgresql_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL itself writes the lines, over connections that stay open; the last line is in the log, once."""
    monkeypatch.setattr(child_server, "MAX_LOG_BYTES", 50_000)
    with Postgres(tmp_path, durable=False) as server:
        old = tmp_path / "postgres.log.old"
        with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection:
            for round_number in range(5):
                for number in range(100):
                    connection.execute(f"DO $$ BEGIN RAISE LOG '{round_number}.{number} %', repeat('x', 1000); END $$")
                server.turn_over_log()
                assert server.log.stat().st_size == 0 and old.stat().st_size < 300_000
                assert f"{round_number}.99 " in old.read_text() and f"{round_number - 1}.99 " not in old.read_text()
            connection.execute("DO $$ BEGIN RAISE LOG 'the last line'; END $$")
        assert server.log.read_text().count("LOG:  the last line") == 1
        assert len(list(tmp_path.glob("postgres.log*"))) == 2


def test_a_log_that_can_not_be_turned_over_grows_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The supervisor says so and goes on. A folder in place of the older part fails like a full disk."""
    monkeypatch.setattr(child_server, "MAX_LOG_BYTES", 1_000)
    with Valkey(tmp_path, durable=False) as server:
        server.log.write_bytes(b"line\n" * 400)
        old = tmp_path / "valkey.log.old"
        old.mkdir()
        supervisor.turn_over_logs([server], supervisor.Output())
        assert server.log.stat().st_size >= 2_000
        assert capsys.readouterr().out.startswith(f"qist: {server.log} can't be turned over: ")
        old.rmdir()
        supervisor.turn_over_logs([server], supervisor.Output())
        assert capsys.readouterr().out == "" and old.stat().st_size >= 2_000
