"""`qist dev` as a process: start, stop, kill and restart, with real signals."""

import os
import pty
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from portal.local.child_server import marks, still_running
from portal.local.postgres import Postgres
from tests.fixtures.live import ROOT, Live, free_port

pytestmark = pytest.mark.xdist_group("dev")

HANG_SECONDS = 90.0
"""A step that takes longer hangs. How long steps take is measured on an idle machine only, by `make proof`."""
RESTART_SECONDS = 6.0
STOP_SECONDS = 10.0
GUARDIAN_SECONDS = 15.0


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One data folder for this file, so that only the first start makes a database. Tests may leave it running."""
    system = Live(tmp_path_factory.mktemp("dev") / "a home with spaces")
    yield system
    clean_up(system)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Live]:
    system = Live(tmp_path / "other")
    yield system
    clean_up(system)


@pytest.fixture
def another(shared: Live, tmp_path: Path) -> Iterator[Live]:
    """A second data folder: a copy of the first one, whose database is ready."""
    ensure_started(shared).stop()
    system = Live(tmp_path / "other")
    shutil.copytree(shared.data_dir, system.data_dir)
    yield system
    clean_up(system)


def clean_up(system: Live) -> None:
    folders = sockets(system)
    if system.is_running():
        system.stop()
    kill(system.processes())
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def kill(processes: list[psutil.Process]) -> None:
    """Send SIGKILL to each process that still runs: work-horses and database sessions may have ended."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def ensure_started(system: Live) -> Live:
    return system if system.is_running() else system.start()


def sql(system: Live, text: str) -> str:
    url = Postgres.running(system.data_dir)
    assert url
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(text.encode())
        row = cursor.fetchone() if cursor.description else None
        return str(row[0]) if row else ""


def sockets(system: Live) -> list[Path]:
    return [Path(file.read_text()) for file in system.data_dir.glob("*.address")]


def make_unreleased(system: Live) -> None:
    """Make the data folder of an unreleased version: a database of its revision, and demo logins."""
    with Postgres(system.data_dir):
        sql(system, "CREATE TABLE old_table AS SELECT 42 AS answer")
        sql(system, "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
        sql(system, "INSERT INTO alembic_version VALUES ('0013')")
    (system.data_dir / "demo-logins").write_text("Demo logins:\n")


def set_aside(system: Live) -> list[Path]:
    """The files and folders that were set aside."""
    return sorted(system.data_dir.glob("*.before-*"))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def child(system: Live, word: str) -> psutil.Process:
    """The direct child with this word in its command line, also as the last name of a module."""
    for process in psutil.Process(system.pid).children():
        with suppress(psutil.NoSuchProcess):
            if any(f".{part}".endswith(f".{word}") for part in process.cmdline()):
                return process
    raise AssertionError(f"no {word} among the children")


def have_ended(processes: list[psutil.Process]) -> bool:
    return still_running(processes, HANG_SECONDS) == []


@pytest.mark.long
def test_a_restart_keeps_the_data(shared: Live) -> None:
    system = shared.start()
    assert system.get("/readyz")[0] == 200
    assert system.url in system.output
    assert "Demo logins" in system.output
    for process in ("web", "worker", "scheduler"):
        command = [sys.executable, "-m", "portal.cli", "alive", process]
        answer = subprocess.run(command, cwd=ROOT, env=system.environ, capture_output=True, text=True, check=False)
        assert (answer.stdout, answer.returncode) == (f"{process} is at work\n", 0)
    for name, mode in (("", 0o700), ("secret_key", 0o600), ("demo-logins", 0o600)):
        assert stat.S_IMODE((system.data_dir / name).stat().st_mode) == mode
    sql(system, "CREATE TABLE stored AS SELECT 42 AS answer")
    key = (system.data_dir / "secret_key").read_text()
    family, folders = system.processes(), sockets(system)
    assert len(folders) == 2

    assert system.stop(signal.SIGINT) == 0
    assert have_ended(family)
    assert system.processes() == []
    assert not any(folder.exists() for folder in folders)

    system.start()
    assert sql(system, "SELECT answer FROM stored") == "42"
    assert (system.data_dir / "secret_key").read_text() == key
    assert system.output.count("adding demo data") == 1
    assert system.stop(signal.SIGTERM) == 0
    assert system.processes() == []


@pytest.mark.proof
def test_a_stop_a_restart_and_the_end_of_a_killed_supervisor_are_quick(shared: Live) -> None:
    """`make proof` measures them on an otherwise idle machine."""
    for number in (signal.SIGINT, signal.SIGTERM):
        ensure_started(shared)
        assert seconds_of(lambda number=number: shared.stop(number)) < STOP_SECONDS
    assert seconds_of(shared.start) < RESTART_SECONDS
    family = shared.processes()
    for process in (child(shared, "worker"), child(shared, "gunicorn")):
        process.suspend()
    shared.kill()
    assert still_running(family, GUARDIAN_SECONDS) == []


def seconds_of(step: Callable[[], object]) -> float:
    started_at = time.monotonic()
    step()
    return time.monotonic() - started_at


@pytest.mark.long
def test_ctrl_c_at_any_moment_and_repeated_ctrl_c_leave_no_process(shared: Live) -> None:
    for moment in (0.5, 1.1, 2.2):
        shared.begin()
        time.sleep(moment)
        code = shared.stop(signal.SIGINT)
        is_aborted = code == 1 and shared.output.endswith("Aborted!\n")  # by click, while it imports the command
        assert is_aborted or code in (0, -signal.SIGINT)
        assert shared.processes() == []
    shared.start()
    for _ in range(3):
        os.kill(shared.pid, signal.SIGINT)
        time.sleep(0.05)
    assert shared.stop() == 0
    assert shared.processes() == []


@pytest.mark.long
def test_a_killed_supervisor_leaves_no_process(shared: Live) -> None:
    """Frozen processes act neither on Linux's signal for the end of a parent nor on SIGTERM."""
    system = ensure_started(shared)
    head = (system.data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0]
    family, folders = system.processes(), sockets(system)
    for process in (child(system, "worker"), child(system, "gunicorn"), psutil.Process(int(head))):
        process.suspend()
    system.kill()
    assert still_running(family, HANG_SECONDS) == []
    assert not any(folder.exists() for folder in folders)
    assert system.processes() == []


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_make_leaves_no_process(shared: Live, number: signal.Signals) -> None:
    """`make run` with an up-to-date virtual environment, so that it installs nothing."""
    if shared.is_running():
        shared.stop()
    words = ["make", "--assume-old=.venv/.run", f"BIN={Path(sys.executable).parent}", f"--directory={ROOT}", "run"]
    dry_run = subprocess.run([*words, "--dry-run"], capture_output=True, text=True, check=True).stdout
    assert [line for line in dry_run.splitlines() if "install" in line] == []
    system = Live(shared.data_dir, shared.port)
    system.command = words
    system.start()
    family, folders = system.processes(), sockets(system)
    os.kill(system.pid, number)
    assert still_running(family, HANG_SECONDS) == []
    assert not any(folder.exists() for folder in folders)
    assert system.processes() == []


@pytest.mark.long
def test_a_start_recovers_after_supervisor_and_guardian_were_killed(shared: Live) -> None:
    """Worker and scheduler are frozen first, so that Linux's signal for the end of a parent does not stop them."""
    system = ensure_started(shared)
    frozen = [child(system, "worker"), child(system, "scheduler")]
    folders = sockets(system)
    for process in frozen:
        process.suspend()
    child(system, "portal.local.guardian").kill()
    system.kill()
    assert all(process.is_running() for process in frozen)
    system.start()
    assert have_ended(frozen)
    assert not any(folder.exists() for folder in folders)
    assert "an earlier start" in system.output
    assert system.get("/readyz")[0] == 200


@pytest.mark.long
def test_a_start_recovers_after_all_processes_were_killed(shared: Live) -> None:
    system = ensure_started(shared)
    sql(system, "CREATE TABLE written_just_before AS SELECT 42 AS answer")
    family, folders = system.processes(), sockets(system)
    os.kill(system.pid, signal.SIGSTOP)
    kill(family)
    system.kill()
    assert have_ended(family)
    system.start()
    assert not any(folder.exists() for folder in folders)
    assert sql(system, "SELECT answer FROM written_just_before") == "42"
    assert system.get("/readyz")[0] == 200


@pytest.mark.long
def test_the_end_of_a_child_stops_all_and_sets_the_exit_code(shared: Live) -> None:
    system = ensure_started(shared)
    child(system, "gunicorn").kill()
    assert system.wait(HANG_SECONDS) == 128 + signal.SIGKILL
    assert system.output.splitlines()[-1] == "web was stopped by SIGKILL; everything else was stopped too."
    assert system.processes() == []


@pytest.mark.long
def test_the_end_of_the_database_stops_all(shared: Live) -> None:
    system = ensure_started(shared)
    head = (system.data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0]
    os.kill(int(head), signal.SIGINT)
    assert system.wait(HANG_SECONDS) == 1
    assert system.output.splitlines()[-1] == "postgres ended with exit code 0; everything else was stopped too."
    assert system.processes() == []


@pytest.mark.long
def test_a_database_of_an_unreleased_version_is_refused_and_set_aside_with_the_option(other: Live) -> None:
    """Without a terminal the start ends with one line. `--set-aside` makes a new database and keeps the old files."""
    make_unreleased(other)
    assert other.begin().wait(HANG_SECONDS) == 1
    lines = [line for line in other.output.splitlines() if "unreleased" in line]
    assert lines == [
        "prepare   | The database was made by an unreleased version and can't be upgraded: "
        "set it aside with qist dev --set-aside, or give DATABASE_URL= an empty database."
    ]
    assert other.output.splitlines()[-1] == lines[0]
    assert other.processes() == []
    assert set_aside(other) == []

    other.start("--set-aside")
    assert other.get("/readyz")[0] == 200
    assert [path.name.partition(".before-")[0] for path in set_aside(other)] == ["demo-logins", "postgres"]
    assert other.output.count("Demo logins") == 1
    assert sql(other, "SELECT to_regclass('old_table')") == "None"
    assert other.stop() == 0
    with Postgres(other.data_dir) as server:
        assert server.files == other.data_dir / "postgres"
    old_files = set_aside(other)[1]
    (other.data_dir / "postgres").rename(other.data_dir / "postgres.new-one")
    old_files.rename(other.data_dir / "postgres")
    with Postgres(other.data_dir):
        assert sql(other, "SELECT answer FROM old_table") == "42"


@pytest.mark.long
def test_set_aside_keeps_a_database_of_this_version(shared: Live) -> None:
    ensure_started(shared).stop()
    shared.start("--set-aside")
    assert set_aside(shared) == []


@pytest.mark.long
def test_at_a_terminal_a_database_is_set_aside_after_a_confirmation_only(other: Live) -> None:
    make_unreleased(other)
    question = "Set it aside and start anew? [y/N]"
    for times, (answer, code) in enumerate((("no", 1), ("Ctrl-C", 0)), 1):
        keyboard, terminal = pty.openpty()
        other.begin(stdin=terminal)
        until(lambda times=times: other.output.count(question) == times)
        if answer == "Ctrl-C":
            os.kill(other.pid, signal.SIGINT)
        else:
            os.write(keyboard, b"\n")
        assert other.wait(HANG_SECONDS) == code
        os.close(keyboard)
        os.close(terminal)
        assert set_aside(other) == []
    keyboard, terminal = pty.openpty()
    os.write(keyboard, b"y\n")
    other.start(stdin=terminal)
    assert len(set_aside(other)) == 2
    assert other.get("/readyz")[0] == 200


@pytest.mark.long
def test_no_serving_process_gets_the_address_of_the_owner(another: Live) -> None:
    """Each child loads .env again. Its environment has the variable, empty, which .env does not replace."""
    owner = "DATABASE_OWNER_URL=postgresql://owner:word@127.0.0.1/qist\n"
    (another.data_dir.parent / ".env").write_text(owner + "RATELIMIT_WRITES=77 per minute\n")
    del another.environ["FLASK_SKIP_DOTENV"]
    another.start()
    environs = {word: child(another, word).environ() for word in ("gunicorn", "worker", "scheduler")}
    for environ in environs.values():
        assert environ["DATABASE_OWNER_URL"] == environ["DATABASE_OWNER_URL_FILE"] == ""
        assert "qist_app@" in environ["DATABASE_URL"]
    # `qist web` loads .env and then executes gunicorn, whose environment is the result.
    assert environs["gunicorn"]["RATELIMIT_WRITES"] == "77 per minute"


def test_a_port_in_use_is_refused_before_any_process_starts(other: Live) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", other.port))
        listener.listen()
        assert other.begin().wait(HANG_SECONDS) == 1
        assert other.output == f"Port {other.port} on 127.0.0.1 is in use. Choose another: PORT={other.port + 1}\n"
        assert not (other.data_dir / "postgres").exists()


@pytest.mark.long
def test_two_installations_run_at_the_same_time_but_not_in_one_data_folder(shared: Live, other: Live) -> None:
    """The second starts with a minimal environment and an uninstalled locale."""
    other.environ = {name: other.environ[name] for name in ("PATH", "PYTHONPATH", "QIST_HOME", "PORT")}
    other.environ |= marks(os.environ)
    other.environ |= {"LANG": "xx_YY.UTF-8", "LC_ALL": "xx_YY.UTF-8"}
    other.start()
    ensure_started(shared)
    assert shared.get("/readyz")[0] == other.get("/readyz")[0] == 200
    identifier = "SELECT system_identifier FROM pg_control_system()"
    assert sql(shared, identifier) != sql(other, identifier)

    third = Live(other.data_dir, free_port()).begin()
    assert third.wait(HANG_SECONDS) == 1
    assert third.output.count("\n") == 1
    assert third.output.startswith(f"Qist is already running with QIST_HOME {other.data_dir}.")
    assert other.get("/readyz")[0] == 200


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("PORT", "eighty", "PORT: 'eighty' is not accepted"), ("QIST_ENV", "production", "SECRET_KEY: not set")],
)
def test_an_invalid_environment_is_refused_before_any_process_starts(
    name: str, value: str, message: str, other: Live
) -> None:
    other.environ[name] = value
    assert other.begin().wait(HANG_SECONDS) == 1
    assert message in other.output
    assert not other.data_dir.exists()
