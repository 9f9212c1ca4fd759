"""The embedded servers, with real processes, users and signals: whatever happened before, the next start works."""

import os
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from portal.local import data_dir as homes
from portal.local.child_server import Server, ServerError
from portal.local.postgres import Postgres
from portal.local.valkey import Valkey

ROOT = os.geteuid() == 0
DAEMON = 1
UNNAMED = 54_321
needs_root = pytest.mark.skipif(not ROOT, reason="becomes other users")
both = pytest.mark.parametrize("kind", [Postgres, Valkey])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "a home with spaces, قسط" / ".qist"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, unlike pytest's own."""
    made = Path(tempfile.mkdtemp(prefix="qist-open-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def ask(server: Postgres, sql: str) -> str:
    with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(sql)
        row = cursor.fetchone() if cursor.description else None
        return str(row[0]) if row else ""


def write(server: Server) -> None:
    if isinstance(server, Postgres):
        ask(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    else:
        with redis.Redis.from_url(server.url) as client:
            client.set("kept", "42")
            client.save()


def read(server: Server) -> str:
    if isinstance(server, Postgres):
        return ask(server, "SELECT answer FROM kept")
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        return str(client.get("kept"))


def head(server: Server) -> int:
    assert server.process
    return server.process.pid


def as_user(uid: int, action: Callable[[], str]) -> str:
    """Run it in a child that has become that user, and give what it says."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            said = action()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read()


@both
def test_data_outlives_a_stop_and_nothing_else_does(kind: type[Server], home: Path) -> None:
    with kind(home) as server:
        write(server)
        folder, pid = server.folder, head(server)
        assert folder
        assert kind.running(home) == server.url
    assert not folder.exists()
    assert not psutil.pid_exists(pid)
    assert kind.running(home) is None
    with kind(home) as server:
        assert read(server) == "42"


@both
def test_a_home_of_150_characters(kind: type[Server], tmp_path: Path) -> None:
    home = tmp_path / "long".ljust(150 - len(str(tmp_path)) - 1, "g")
    assert len(str(home)) == 150
    with kind(home) as server:
        write(server)
        assert read(server) == "42"


@both
def test_only_its_user_reaches_the_socket_and_nobody_the_network(kind: type[Server], home: Path) -> None:
    with kind(home) as server:
        assert server.folder
        assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert len(str(server.folder / server.socket)) <= 107
        assert psutil.Process(head(server)).net_connections("inet") == []


def test_a_locale_that_is_not_installed_changes_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LANG", "LC_ALL", "LC_COLLATE", "LC_MESSAGES"):
        monkeypatch.setenv(name, "xx_YY.ISO-8859-15")
    with Postgres(home) as server:
        assert ask(server, "SHOW server_encoding") == "UTF8"
        assert (
            ask(server, "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'qist'")
            == "bC.UTF-8"
        )
        assert ask(server, "SELECT upper('é قسط')") == "É قسط"


def test_only_tests_trade_safety_for_speed(home: Path) -> None:
    with Postgres(home) as server:
        assert [ask(server, f"SHOW {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")] == [
            "on"
        ] * 3
    with Postgres(home, durable=False) as server:
        assert ask(server, "SHOW fsync") == "off"


def test_two_homes_run_side_by_side(tmp_path: Path) -> None:
    with Postgres(tmp_path / "one") as one, Postgres(tmp_path / "two") as two:
        write(one)
        assert read(one) == "42"
        assert ask(two, "SELECT to_regclass('kept')") == "None"


@both
def test_a_server_that_outlived_its_supervisor_is_stopped_first(kind: type[Server], home: Path) -> None:
    left = kind(home).start()
    write(left)
    with kind(home) as server:
        assert not psutil.pid_exists(head(left)) or psutil.Process(head(left)).status() == psutil.STATUS_ZOMBIE
        assert left.folder
        assert not left.folder.exists()
        assert read(server) == "42"
    left.stop()


@both
def test_a_server_whose_folder_is_removed_still_stops(kind: type[Server], home: Path) -> None:
    server = kind(home).start()
    pid = head(server)
    shutil.rmtree(home)
    server.stop(patience=1)
    assert not psutil.pid_exists(pid)


@both
def test_after_a_kill_of_everything_the_next_start_recovers(kind: type[Server], home: Path) -> None:
    server = kind(home).start()
    write(server)
    family = [psutil.Process(head(server)), *psutil.Process(head(server)).children()]
    for process in family:
        process.send_signal(signal.SIGKILL)
    with kind(home) as again:
        assert read(again) == "42"
    server.stop()


def test_a_pid_file_that_names_a_living_stranger_stops_nobody(home: Path) -> None:
    with Postgres(home) as server:
        write(server)
        user = psutil.Process(head(server)).uids().real if ROOT else None
        pid_file = (server.data / "postmaster.pid").read_text().splitlines()
    with subprocess.Popen(["sleep", "60"], user=user) as stranger:
        try:
            path = home / "postgres" / "postmaster.pid"
            path.write_text("\n".join([str(stranger.pid), *pid_file[1:]]) + "\n")
            if user:
                os.chown(path, user, -1)
            with Postgres(home) as server:
                assert read(server) == "42"
            assert stranger.poll() is None
        finally:
            stranger.kill()


@pytest.mark.parametrize("left", ["", "12", "no number at all\n", "\0\0\0\0", "99999999999999\n/elsewhere\n"])
def test_a_cut_pid_file_is_no_obstacle(left: str, home: Path) -> None:
    with Postgres(home, durable=False):
        pass
    (home / "postgres" / "postmaster.pid").write_text(left)
    with Postgres(home, durable=False) as server:
        assert ask(server, "SELECT 1") == "1"


def test_a_first_start_that_was_interrupted_is_begun_again(home: Path) -> None:
    (home / "postgres.new" / "base").mkdir(parents=True)
    (home / "postgres.new" / "PG_VERSION").write_text("18\n")
    with Postgres(home, durable=False) as server:
        assert ask(server, "SELECT 1") == "1"
    assert not (home / "postgres.new").exists()


def test_data_of_another_version_and_strange_data_are_refused_in_one_line(tmp_path: Path) -> None:
    for name, file, said in (("old", "PG_VERSION", "made by PostgreSQL 16"), ("odd", "letters", "no PostgreSQL data")):
        (tmp_path / name / "postgres").mkdir(parents=True)
        (tmp_path / name / "postgres" / file).write_text("16\n")
        with pytest.raises(ServerError, match=said):
            Postgres(tmp_path / name).start()
        assert (tmp_path / name / "postgres" / file).exists()


@pytest.mark.parametrize("name", ["qist-of-somebody", "elsewhere"])
def test_an_address_that_is_not_ours_any_more_is_left_alone(name: str, home: Path, tmp_path: Path) -> None:
    strange = tmp_path / name
    strange.mkdir(mode=0o755 if name.startswith("qist") else 0o700)
    home.mkdir(parents=True)
    (home / "valkey.address").write_text(str(strange))
    with Valkey(home) as server:
        assert server.folder != strange
    assert strange.exists()


def test_two_supervisors_on_one_home_are_refused_in_one_line(home: Path) -> None:
    with homes.held(home):
        with pytest.raises(homes.DataDirError, match="already running") as caught, homes.held(home):
            pass
        assert "\n" not in str(caught.value)
    with homes.held(home):
        pass


@needs_root
@both
def test_root_runs_it_as_nobody_below_a_closed_folder_and_opens_none(kind: type[Server], tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    before = [(folder, folder.stat().st_mode, folder.stat().st_uid) for folder in (closed, *closed.parents)]
    with kind(closed / "home") as server:
        write(server)
        assert psutil.Process(head(server)).uids().real == homes.nobody()[0]
        assert read(server) == "42"
    assert [(folder, folder.stat().st_mode, folder.stat().st_uid) for folder in (closed, *closed.parents)] == before


@needs_root
def test_root_copies_a_program_that_nobody_could_reach(tmp_path: Path) -> None:
    tree, parts = Postgres(tmp_path).program()
    for part in parts:
        source = tree / part
        (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, tmp_path / part) if source.is_dir() else shutil.copy(source, tmp_path / part)

    class Hidden(Postgres):
        def program(self) -> tuple[Path, tuple[str, ...]]:
            return tmp_path, parts

    with Hidden(tmp_path / "home") as server:
        assert server.folder
        assert server.folder in server.binary.parents
        assert ask(server, "SELECT 1") == "1"
        folder = server.folder
    assert not folder.exists()


@needs_root
@both
def test_an_ordinary_user_starts_what_root_started_in_their_home(kind: type[Server], open_folder: Path) -> None:
    home = open_folder / "home"
    home.mkdir(mode=0o700)
    os.chown(home, DAEMON, DAEMON)

    def start() -> str:
        with kind(home) as server:
            return f"{read(server)} {psutil.Process(head(server)).uids().real}"

    with kind(home) as server:
        write(server)
        assert psutil.Process(head(server)).uids().real == DAEMON
    assert as_user(DAEMON, start) == f"42 {DAEMON}"
    assert start() == f"42 {DAEMON}"
    assert {path.stat().st_uid for path in home.rglob("*")} == {DAEMON}


@needs_root
@both
def test_root_starts_what_an_ordinary_user_started(kind: type[Server], open_folder: Path) -> None:
    home = open_folder / "home"
    os.chown(open_folder, DAEMON, DAEMON)

    def start() -> str:
        with kind(home) as server:
            write(server)
            return read(server)

    assert as_user(DAEMON, start) == "42"
    with kind(home) as server:
        assert read(server) == "42"


@needs_root
def test_an_ordinary_user_is_told_in_one_line_that_a_home_is_roots(open_folder: Path) -> None:
    home = open_folder / "home"
    with Postgres(home, durable=False):
        pass

    def start() -> str:
        with Postgres(home):
            return "started"

    said = as_user(DAEMON, start)
    assert said.startswith(f"HomeError: QIST_HOME {home} belongs to root and can't be used by daemon")
    assert "\n" not in said
    os.chown(home, DAEMON, DAEMON)
    said = as_user(DAEMON, start)
    assert said.startswith(f"ServerError: {home}/postgres belongs to nobody")
    assert "\n" not in said


@needs_root
def test_a_home_whose_owner_has_no_name_here_works_as_root(open_folder: Path) -> None:
    os.chown(open_folder, UNNAMED, UNNAMED)
    with Postgres(open_folder) as server:
        write(server)
        assert psutil.Process(head(server)).uids().real == UNNAMED
    with Postgres(open_folder) as server:
        assert read(server) == "42"
