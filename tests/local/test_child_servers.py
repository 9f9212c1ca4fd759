"""The embedded servers, with real processes, users and signals: a start recovers from every earlier state."""

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

from portal.local.child_server import Server, ServerError
from portal.local.data_dir import DataDirError, locked, unprivileged_user
from portal.local.postgres import Postgres
from portal.local.valkey import Valkey

ROOT = os.geteuid() == 0
DAEMON = 1
UNNAMED = 54_321
REPEATS = ("12", "no number at all\n", "\0\0\0\0", "99999999999999\n/elsewhere\n")
needs_root = pytest.mark.skipif(not ROOT, reason="becomes other users")
both = pytest.mark.parametrize("kind", [Postgres, Valkey])


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "a home with spaces, قسط" / ".qist"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="qist-open-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def query(server: Postgres, sql: str) -> str:
    with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(sql)
        row = cursor.fetchone() if cursor.description else None
        return str(row[0]) if row else ""


def write(server: Server) -> None:
    if isinstance(server, Postgres):
        query(server, "CREATE TABLE stored AS SELECT 42 AS answer")
    else:
        with redis.Redis.from_url(server.url) as client:
            client.set("stored", "42")
            client.save()


def read(server: Server) -> str:
    if isinstance(server, Postgres):
        return query(server, "SELECT answer FROM stored")
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        return str(client.get("stored"))


def main_pid(server: Server) -> int:
    assert server.process
    return server.process.pid


def as_user(uid: int, action: Callable[[], str]) -> str:
    """Call `action` in a child process as that user. Returns its result, or the error."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            text = action()
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(writing, text.encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read()


@both
def test_data_survives_a_stop_and_the_socket_folder_does_not(kind: type[Server], data_dir: Path) -> None:
    with kind(data_dir) as server:
        write(server)
        socket_dir, pid = server.socket_dir, main_pid(server)
        assert socket_dir
        assert kind.running(data_dir) == server.url
    assert not socket_dir.exists()
    assert not psutil.pid_exists(pid)
    assert kind.running(data_dir) is None
    with kind(data_dir) as server:
        assert read(server) == "42"


@pytest.mark.long
@both
def test_a_data_folder_with_a_path_of_150_characters(kind: type[Server], tmp_path: Path) -> None:
    data_dir = tmp_path / "long".ljust(150 - len(str(tmp_path)) - 1, "g")
    assert len(str(data_dir)) == 150
    with kind(data_dir) as server:
        write(server)
        assert read(server) == "42"


@both
def test_the_socket_is_private_and_no_port_is_open(kind: type[Server], data_dir: Path) -> None:
    with kind(data_dir) as server:
        assert server.socket_dir
        assert stat.S_IMODE(server.socket_dir.stat().st_mode) == 0o700
        assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
        assert len(str(server.socket_dir / server.socket)) <= 107
        assert psutil.Process(main_pid(server)).net_connections("inet") == []


@pytest.mark.long
def test_an_uninstalled_locale_has_no_effect(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LANG", "LC_ALL", "LC_COLLATE", "LC_MESSAGES"):
        monkeypatch.setenv(name, "xx_YY.ISO-8859-15")
    with Postgres(data_dir) as server:
        assert query(server, "SHOW server_encoding") == "UTF8"
        assert (
            query(server, "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'qist'")
            == "bC.UTF-8"
        )
        assert query(server, "SELECT upper('é قسط')") == "É قسط"


@pytest.mark.long
def test_fsync_is_on_unless_the_server_is_not_durable(data_dir: Path) -> None:
    with Postgres(data_dir) as server:
        assert [query(server, f"SHOW {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")] == [
            "on"
        ] * 3
    with Postgres(data_dir, durable=False) as server:
        assert query(server, "SHOW fsync") == "off"


@pytest.mark.long
def test_two_data_folders_run_at_the_same_time(tmp_path: Path) -> None:
    with Postgres(tmp_path / "first") as first, Postgres(tmp_path / "second") as second:
        write(first)
        assert read(first) == "42"
        assert query(second, "SELECT to_regclass('stored')") == "None"


@pytest.mark.long
@both
def test_a_server_of_an_earlier_start_is_stopped_first(kind: type[Server], data_dir: Path) -> None:
    earlier = kind(data_dir).start()
    write(earlier)
    with kind(data_dir) as server:
        assert (
            not psutil.pid_exists(main_pid(earlier))
            or psutil.Process(main_pid(earlier)).status() == psutil.STATUS_ZOMBIE
        )
        assert earlier.socket_dir
        assert not earlier.socket_dir.exists()
        assert read(server) == "42"
    earlier.stop()


@pytest.mark.long
@both
def test_a_server_whose_folder_is_removed_still_stops(kind: type[Server], data_dir: Path) -> None:
    server = kind(data_dir).start()
    pid = main_pid(server)
    shutil.rmtree(data_dir)
    server.stop(timeout=1)
    assert not psutil.pid_exists(pid)


@pytest.mark.long
@both
def test_a_start_recovers_after_all_processes_were_killed(kind: type[Server], data_dir: Path) -> None:
    server = kind(data_dir).start()
    write(server)
    family = [psutil.Process(main_pid(server)), *psutil.Process(main_pid(server)).children()]
    for process in family:
        process.send_signal(signal.SIGKILL)
    with kind(data_dir) as restarted:
        assert read(restarted) == "42"
    server.stop()


@pytest.mark.long
def test_a_pid_file_with_the_pid_of_another_process_stops_no_process(data_dir: Path) -> None:
    with Postgres(data_dir) as server:
        write(server)
        user = psutil.Process(main_pid(server)).uids().real if ROOT else None
        pid_file = (server.files / "postmaster.pid").read_text().splitlines()
    with subprocess.Popen(["sleep", "60"], user=user) as other:
        try:
            path = data_dir / "postgres" / "postmaster.pid"
            path.write_text("\n".join([str(other.pid), *pid_file[1:]]) + "\n")
            if user:
                os.chown(path, user, -1)
            with Postgres(data_dir) as server:
                assert read(server) == "42"
            assert other.poll() is None
        finally:
            other.kill()


@pytest.mark.parametrize("content", ["", *(pytest.param(content, marks=pytest.mark.long) for content in REPEATS)])
def test_a_truncated_pid_file_does_not_prevent_a_start(content: str, data_dir: Path) -> None:
    with Postgres(data_dir, durable=False):
        pass
    (data_dir / "postgres" / "postmaster.pid").write_text(content)
    with Postgres(data_dir, durable=False) as server:
        assert query(server, "SELECT 1") == "1"


def test_an_interrupted_first_start_is_repeated(data_dir: Path) -> None:
    (data_dir / "postgres.new" / "base").mkdir(parents=True)
    (data_dir / "postgres.new" / "PG_VERSION").write_text("18\n")
    with Postgres(data_dir, durable=False) as server:
        assert query(server, "SELECT 1") == "1"
    assert not (data_dir / "postgres.new").exists()


def test_files_of_another_version_and_unknown_files_are_refused(tmp_path: Path) -> None:
    strange = ("old", "PG_VERSION", "made by PostgreSQL 16"), ("odd", "letters", "no PostgreSQL data")
    for name, file, message in strange:
        (tmp_path / name / "postgres").mkdir(parents=True)
        (tmp_path / name / "postgres" / file).write_text("16\n")
        with pytest.raises(ServerError, match=message):
            Postgres(tmp_path / name).start()
        assert (tmp_path / name / "postgres" / file).exists()


@pytest.mark.parametrize("name", ["qist-of-another-user", "elsewhere"])
def test_a_folder_that_is_not_a_socket_folder_is_not_removed(name: str, data_dir: Path, tmp_path: Path) -> None:
    other = tmp_path / name
    other.mkdir(mode=0o755 if name.startswith("qist") else 0o700)
    data_dir.mkdir(parents=True)
    (data_dir / "valkey.address").write_text(str(other))
    with Valkey(data_dir) as server:
        assert server.socket_dir != other
    assert other.exists()


def test_a_second_supervisor_of_a_data_folder_is_refused(data_dir: Path) -> None:
    with locked(data_dir):
        with pytest.raises(DataDirError, match="already running") as raised, locked(data_dir):
            pass
        assert "\n" not in str(raised.value)
    with locked(data_dir):
        pass


@pytest.mark.long
@needs_root
@both
def test_root_runs_a_server_as_user_nobody_and_changes_no_mode_of_parents(kind: type[Server], tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    before = [(folder, folder.stat().st_mode, folder.stat().st_uid) for folder in (closed, *closed.parents)]
    with kind(closed / "home") as server:
        write(server)
        assert psutil.Process(main_pid(server)).uids().real == unprivileged_user()[0]
        assert read(server) == "42"
    assert [(folder, folder.stat().st_mode, folder.stat().st_uid) for folder in (closed, *closed.parents)] == before


@pytest.mark.long
@needs_root
def test_root_copies_a_program_that_the_unprivileged_user_can_not_reach(tmp_path: Path) -> None:
    tree, parts = Postgres(tmp_path).program()
    for part in parts:
        source = tree / part
        (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, tmp_path / part) if source.is_dir() else shutil.copy(source, tmp_path / part)

    class Hidden(Postgres):
        def program(self) -> tuple[Path, tuple[str, ...]]:
            return tmp_path, parts

    with Hidden(tmp_path / "home") as server:
        assert server.socket_dir
        assert server.socket_dir in server.binary.parents
        assert query(server, "SELECT 1") == "1"
        folder = server.socket_dir
    assert not folder.exists()


@pytest.mark.long
@needs_root
@both
def test_an_owner_starts_the_server_that_root_started_before(kind: type[Server], open_folder: Path) -> None:
    data_dir = open_folder / "home"
    data_dir.mkdir(mode=0o700)
    os.chown(data_dir, DAEMON, DAEMON)

    def start() -> str:
        with kind(data_dir) as server:
            return f"{read(server)} {psutil.Process(main_pid(server)).uids().real}"

    with kind(data_dir) as server:
        write(server)
        assert psutil.Process(main_pid(server)).uids().real == DAEMON
    assert as_user(DAEMON, start) == f"42 {DAEMON}"
    assert start() == f"42 {DAEMON}"
    assert {path.stat().st_uid for path in data_dir.rglob("*")} == {DAEMON}


@pytest.mark.long
@needs_root
@both
def test_root_starts_the_server_that_an_owner_started_before(kind: type[Server], open_folder: Path) -> None:
    data_dir = open_folder / "home"
    os.chown(open_folder, DAEMON, DAEMON)

    def start() -> str:
        with kind(data_dir) as server:
            write(server)
            return read(server)

    assert as_user(DAEMON, start) == "42"
    with kind(data_dir) as server:
        assert read(server) == "42"


@pytest.mark.long
@needs_root
def test_an_ordinary_user_is_refused_the_data_folder_of_root(open_folder: Path) -> None:
    data_dir = open_folder / "home"
    with Postgres(data_dir, durable=False):
        pass

    def start() -> str:
        with Postgres(data_dir):
            return "started"

    message = as_user(DAEMON, start)
    assert message.startswith(f"DataDirError: QIST_HOME {data_dir} belongs to root and can't be used by daemon")
    assert "\n" not in message
    os.chown(data_dir, DAEMON, DAEMON)
    message = as_user(DAEMON, start)
    assert message.startswith(f"ServerError: {data_dir}/postgres belongs to nobody")
    assert "\n" not in message


@pytest.mark.long
@needs_root
def test_root_starts_a_data_folder_of_a_user_without_a_name(open_folder: Path) -> None:
    os.chown(open_folder, UNNAMED, UNNAMED)
    with Postgres(open_folder) as server:
        write(server)
        assert psutil.Process(main_pid(server)).uids().real == UNNAMED
    with Postgres(open_folder) as server:
        assert read(server) == "42"
