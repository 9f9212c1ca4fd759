"""`qist dev` from the outside: started, stopped, killed and started again, with real processes and signals."""

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

QUICK = 6.0  # seconds a second start may take on an idle machine
STARTS = 60.0  # seconds to the point where a start is refused
STOPPED = 10.0  # seconds Ctrl-C may take
LEFT_ALONE = 15.0  # seconds in which the guardian has ended all that a killed supervisor left


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One home for this file, so that only its first start makes a database; each test leaves it stopped or running."""
    system = Live(tmp_path_factory.mktemp("dev") / "a home with spaces")
    yield system
    clean_up(system)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Live]:
    system = Live(tmp_path / "other")
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
    """SIGKILL for each that is still there: work-horses and the database's sessions come and go by themselves."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def started(system: Live) -> Live:
    return system if system.is_running() else system.start()


def sql(system: Live, text: str) -> str:
    url = Postgres.running(system.home)
    assert url
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(text.encode())
        row = cursor.fetchone() if cursor.description else None
        return str(row[0]) if row else ""


def sockets(system: Live) -> list[Path]:
    return [Path(file.read_text()) for file in system.home.glob("*.address")]


def make_unreleased(system: Live) -> None:
    """A home as an unreleased version leaves it: a database of its revision, and demo logins."""
    with Postgres(system.home):
        sql(system, "CREATE TABLE of_before AS SELECT 42 AS answer")
        sql(system, "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
        sql(system, "INSERT INTO alembic_version VALUES ('0013')")
    (system.home / "demo-logins").write_text("Demo logins:\n")


def before(system: Live) -> list[Path]:
    """What was set aside."""
    return sorted(system.home.glob("*.before-*"))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + STARTS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def child(system: Live, word: str) -> psutil.Process:
    """The direct child with that word in its command line."""
    for process in psutil.Process(system.pid).children():
        with suppress(psutil.NoSuchProcess):
            if word in process.cmdline():
                return process
    raise AssertionError(f"no {word} among the children")


def gone(processes: list[psutil.Process]) -> bool:
    return still_running(processes, 1) == []


def test_it_starts_stops_and_starts_again_with_its_data(shared: Live) -> None:
    system = shared.start()
    assert system.get("/readyz")[0] == 200
    assert system.url in system.output
    assert "Demo logins" in system.output
    for name, mode in (("", 0o700), ("secret_key", 0o600), ("demo-logins", 0o600)):
        assert stat.S_IMODE((system.home / name).stat().st_mode) == mode
    sql(system, "CREATE TABLE kept AS SELECT 42 AS answer")
    key = (system.home / "secret_key").read_text()
    family, folders = system.processes(), sockets(system)
    assert len(folders) == 2

    began = time.monotonic()
    assert system.stop(signal.SIGINT) == 0
    assert time.monotonic() - began < STOPPED
    assert gone(family)
    assert system.processes() == []
    assert not any(folder.exists() for folder in folders)

    system.start()
    assert sql(system, "SELECT answer FROM kept") == "42"
    assert (system.home / "secret_key").read_text() == key
    assert system.output.count("adding demo data") == 1
    began = time.monotonic()
    assert system.stop(signal.SIGTERM) == 0
    assert time.monotonic() - began < STOPPED
    assert system.processes() == []


@pytest.mark.proof
def test_a_second_start_is_quick(shared: Live) -> None:
    """Measured by make proof only, where nothing else keeps the machine busy."""
    started(shared).stop()
    began = time.monotonic()
    shared.start()
    assert time.monotonic() - began < QUICK


def test_ctrl_c_at_any_moment_and_again_and_again_leaves_nothing(shared: Live) -> None:
    for moment in (0.5, 1.1, 2.2):
        shared.begin()
        time.sleep(moment)
        assert shared.stop(signal.SIGINT) in (0, -signal.SIGINT)
        assert shared.processes() == []
    shared.start()
    for _ in range(3):
        os.kill(shared.pid, signal.SIGINT)
        time.sleep(0.05)
    assert shared.stop() == 0
    assert shared.processes() == []


def test_a_killed_supervisor_leaves_nothing_running(shared: Live) -> None:
    """Frozen processes get neither Linux's signal for a parent's death nor SIGTERM."""
    system = started(shared)
    head = (system.home / "postgres" / "postmaster.pid").read_text().splitlines()[0]
    family, folders = system.processes(), sockets(system)
    for process in (child(system, "worker"), child(system, "gunicorn"), psutil.Process(int(head))):
        process.suspend()
    began = time.monotonic()
    system.kill()
    assert still_running(family, LEFT_ALONE) == []
    assert not any(folder.exists() for folder in folders)
    assert system.processes() == []
    assert time.monotonic() - began < LEFT_ALONE


def test_a_killed_make_leaves_nothing_running(shared: Live) -> None:
    """`make run`, told that the virtual environment is up to date, so that it installs nothing."""
    if shared.is_running():
        shared.stop()
    words = ["make", "--assume-old=.venv/.run", f"BIN={Path(sys.executable).parent}", f"--directory={ROOT}", "run"]
    dry_run = subprocess.run([*words, "--dry-run"], capture_output=True, text=True, check=True).stdout
    assert [line for line in dry_run.splitlines() if "install" in line] == []
    system = Live(shared.home, shared.port)
    system.command = words
    system.start()
    family = system.processes()
    system.kill()
    assert still_running(family, LEFT_ALONE) == []
    assert system.processes() == []


def test_after_a_kill_of_the_supervisor_and_its_guardian_the_next_start_recovers(shared: Live) -> None:
    """Worker and scheduler are frozen first, so that Linux's signal for a parent's death can't be what stops them."""
    system = started(shared)
    left = [child(system, "worker"), child(system, "scheduler")]
    folders = sockets(system)
    for process in left:
        process.suspend()
    child(system, "portal.local.guardian").kill()
    system.kill()
    assert all(process.is_running() for process in left)
    system.start()
    assert gone(left)
    assert not any(folder.exists() for folder in folders)
    assert "an earlier start" in system.output
    assert system.get("/readyz")[0] == 200


def test_after_a_kill_of_everything_the_next_start_recovers(shared: Live) -> None:
    system = started(shared)
    sql(system, "CREATE TABLE written_just_before AS SELECT 42 AS answer")
    family, folders = system.processes(), sockets(system)
    os.kill(system.pid, signal.SIGSTOP)
    kill(family)
    system.kill()
    assert gone(family)
    system.start()
    assert not any(folder.exists() for folder in folders)
    assert sql(system, "SELECT answer FROM written_just_before") == "42"
    assert system.get("/readyz")[0] == 200


def test_when_a_child_ends_all_stop_and_the_exit_code_says_so(shared: Live) -> None:
    system = started(shared)
    child(system, "gunicorn").kill()
    assert system.wait(STOPPED) == 128 + signal.SIGKILL
    assert system.output.splitlines()[-1] == "web was stopped by SIGKILL; everything else was stopped too."
    assert system.processes() == []


def test_when_the_database_ends_all_stop(shared: Live) -> None:
    system = started(shared)
    head = (system.home / "postgres" / "postmaster.pid").read_text().splitlines()[0]
    os.kill(int(head), signal.SIGINT)
    assert system.wait(STOPPED) == 1
    assert system.output.splitlines()[-1] == "postgres ended with exit code 0; everything else was stopped too."
    assert system.processes() == []


def test_a_database_of_an_unreleased_version_is_refused_and_set_aside_when_asked(other: Live) -> None:
    """Without a terminal it is one line and nothing runs on; `--set-aside` starts anew and keeps the old files."""
    make_unreleased(other)
    assert other.begin().wait(STARTS) == 1
    lines = [line for line in other.output.splitlines() if "unreleased" in line]
    assert lines == [
        "prepare   | The database was made by an unreleased version and can't be upgraded: "
        "set it aside with qist dev --set-aside, or give DATABASE_URL= an empty database."
    ]
    assert other.output.splitlines()[-1] == lines[0]
    assert other.processes() == []
    assert before(other) == []

    other.start("--set-aside")
    assert other.get("/readyz")[0] == 200
    assert [path.name.partition(".before-")[0] for path in before(other)] == ["demo-logins", "postgres"]
    assert other.output.count("Demo logins") == 1
    assert sql(other, "SELECT to_regclass('of_before')") == "None"
    assert other.stop() == 0
    with Postgres(other.home) as server:
        assert server.data == other.home / "postgres"
    kept = before(other)[1]
    (other.home / "postgres").rename(other.home / "postgres.new-one")
    kept.rename(other.home / "postgres")
    with Postgres(other.home):
        assert sql(other, "SELECT answer FROM of_before") == "42"


def test_a_start_with_set_aside_leaves_a_database_of_this_version_where_it_is(shared: Live) -> None:
    started(shared).stop()
    shared.start("--set-aside")
    assert before(shared) == []


def test_the_person_at_the_terminal_is_asked_before_anything_is_set_aside(other: Live) -> None:
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
        assert other.wait(STOPPED) == code
        os.close(keyboard)
        os.close(terminal)
        assert before(other) == []
    keyboard, terminal = pty.openpty()
    os.write(keyboard, b"y\n")
    other.start(stdin=terminal)
    assert len(before(other)) == 2
    assert other.get("/readyz")[0] == 200


def test_a_port_in_use_is_one_line_and_nothing_starts(other: Live) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", other.port))
        taken.listen()
        assert other.begin().wait(STOPPED) == 1
        assert other.output == f"Port {other.port} on 127.0.0.1 is in use. Choose another: PORT={other.port + 1}\n"
        assert not (other.home / "postgres").exists()


def test_two_copies_run_side_by_side_but_never_on_one_home(shared: Live, other: Live) -> None:
    """The second one from an empty environment, but for a locale that isn't installed."""
    other.environ = {name: other.environ[name] for name in ("PATH", "PYTHONPATH", "QIST_HOME", "PORT")}
    other.environ |= marks(os.environ)
    other.environ |= {"LANG": "xx_YY.UTF-8", "LC_ALL": "xx_YY.UTF-8"}
    other.start()
    started(shared)
    assert shared.get("/readyz")[0] == other.get("/readyz")[0] == 200
    who = "SELECT system_identifier FROM pg_control_system()"
    assert sql(shared, who) != sql(other, who)

    third = Live(other.home, free_port()).begin()
    assert third.wait(STOPPED) == 1
    assert third.output.count("\n") == 1
    assert third.output.startswith(f"Qist is already running with QIST_HOME {other.home}.")
    assert other.get("/readyz")[0] == 200


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("PORT", "eighty", "PORT: 'eighty' is not accepted"), ("QIST_ENV", "production", "SECRET_KEY: not set")],
)
def test_an_odd_environment_is_refused_before_anything_starts(name: str, value: str, said: str, other: Live) -> None:
    other.environ[name] = value
    assert other.begin().wait(STOPPED) == 1
    assert said in other.output
    assert not other.home.exists()
