"""A killed test run leaves no process, no server and no folder: real runs with real signals."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil
import pytest

from portal.local.child_server import MARK, has_ended, still_running
from portal.local.guardian import end, marked
from tests.conftest import Figures
from tests.fixtures.live import START_SECONDS
from tests.processes.running import PYTHON, until

pytestmark = pytest.mark.xdist_group("killed runs")
ROOT = Path(__file__).resolve().parents[2]
END_SECONDS = 60.0
"""Processes that take longer to end hang."""
QUIET_SECONDS = 15.0
"""The longest end of a run on an otherwise idle machine."""
IGNORES_SIGTERM = """
import signal, threading
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(flush=True)
threading.Event().wait()
"""
PROCESSES = f'''
import subprocess, sys, threading
from pathlib import Path

def test_hangs():
    """One child with a session of its own, and one that ignores SIGTERM."""
    for code in ("print(flush=True); import time; time.sleep(3600)", {IGNORES_SIGTERM!r}):
        child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE)
        child.stdout.readline()
    Path(__file__).with_name("ready").touch()
    threading.Event().wait()
'''
SYSTEM = '''
import threading
from pathlib import Path

def test_hangs(live, browser):
    """The whole system, and a browser."""
    browser.new_page().goto(live.url)
    Path(__file__).with_name("ready").touch()
    threading.Event().wait()
'''


class Run:
    """A pytest process with a mark that its descendants inherit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = f"{MARK}_{folder.name.replace('-', '_')}"
        self.process: psutil.Popen | None = None

    def start(self, test: str, workers: int, make: bool = False) -> Self:
        """Return when its test waits."""
        (self.folder / "test_tiny.py").write_text(test)
        words = ["-c", f"{ROOT}/pyproject.toml", f"--rootdir={self.folder}", "-p", "tests.conftest"]
        words += ["-p", "no:cacheprovider", "-n", str(workers), "--max-worker-restart=0"]
        words.append(str(self.folder / "test_tiny.py"))
        command = make_test(words) if make else [sys.executable, "-m", "pytest", *words]
        with (self.folder / "out").open("wb") as out:
            self.process = psutil.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, self.mark: "1", "TMPDIR": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until((self.folder / "ready").exists, 2 * START_SECONDS, self.output)
        return self

    def output(self) -> str:
        return (self.folder / "out").read_text()

    def family(self) -> list[psutil.Process]:
        return marked(self.mark, "1")

    def worker(self) -> psutil.Process:
        assert self.process
        workers = [child for child in self.process.children() if "stdin.readline" in " ".join(child.cmdline())]
        assert len(workers) == 1
        return workers[0]

    def assert_nothing_remains(self) -> None:
        family = self.family()

        def remaining() -> list[psutil.Process]:
            return [*(process for process in family if not has_ended(process)), *self.family()]

        until(lambda: remaining() == [], END_SECONDS, lambda: str(remaining()))
        assert list(self.folder.glob("qist-*")) == []


def make_test(words: list[str]) -> list[str]:
    """The command `make test` with an up-to-date virtual environment, so that it installs nothing."""
    command = [
        "make",
        "--assume-old=.venv/.dev",
        f"BIN={Path(sys.executable).parent}",
        f"ARGS={' '.join(words)}",
        "test",
    ]
    dry_run = subprocess.run([*command, "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [line for line in dry_run.splitlines() if "install" in line] == []
    return command


@pytest.fixture
def run() -> Iterator[Run]:
    folder = Path(tempfile.mkdtemp(prefix="k-"))
    folder.chmod(0o711)  # PostgreSQL's user must be able to reach its socket
    nested = Run(folder)
    yield nested
    end(nested.family, 0)
    shutil.rmtree(folder, ignore_errors=True)


KILLS = {
    "SIGKILL for pytest": (0, False, signal.SIGKILL),
    "SIGTERM for pytest": (0, False, signal.SIGTERM),
    "SIGKILL for the controller": (1, False, signal.SIGKILL),
    "SIGTERM for the controller": (1, False, signal.SIGTERM),
    "SIGKILL for make": (0, True, signal.SIGKILL),
    "SIGTERM for make": (0, True, signal.SIGTERM),
}
"""The number of xdist's workers, whether make starts the run, and the signal."""


@pytest.mark.long
@pytest.mark.parametrize("case", KILLS)
def test_a_killed_run_leaves_nothing(run: Run, case: str) -> None:
    workers, make, number = KILLS[case]
    run.start(PROCESSES, workers, make)
    assert run.process and (run.process.name() == "make") == make
    assert len(run.family()) >= 5
    run.process.send_signal(number)
    run.assert_nothing_remains()


@pytest.mark.proof
@pytest.mark.parametrize("case", KILLS)
def test_a_killed_run_leaves_nothing_after_15_seconds(run: Run, case: str, figures: Figures) -> None:
    """`make proof` measures it on an otherwise idle machine."""
    workers, make, number = KILLS[case]
    run.start(PROCESSES, workers, make)
    assert run.process
    began = time.monotonic()
    run.process.send_signal(number)
    run.assert_nothing_remains()
    seconds = time.monotonic() - began
    figures(f"{case}: nothing remained after {seconds:.1f} s")
    assert seconds < QUIET_SECONDS


@pytest.mark.long
def test_a_killed_worker_leaves_nothing(run: Run) -> None:
    """The rest of the run goes on and ends by itself, in its own time."""
    worker = run.start(PROCESSES, 1).worker()
    family = worker.children(recursive=True)
    assert len(family) == 3
    worker.kill()
    assert still_running(family, END_SECONDS) == []
    assert run.process
    run.process.wait(START_SECONDS)
    run.assert_nothing_remains()


@pytest.mark.long
@pytest.mark.browser
def test_a_killed_run_ends_the_live_system_and_the_browser(run: Run, browser: object) -> None:
    run.start(SYSTEM, 1)
    programs = ""
    for process in run.family():
        with suppress(psutil.NoSuchProcess):  # work-horses and the database's sessions come and go
            programs += " ".join(process.cmdline()) + "\n"
    for program in ("gunicorn", "portal.cli worker", "portal.jobs.scheduler", "postgres", "valkey-server", "chrom"):
        assert program in programs
    assert run.process
    run.process.kill()
    run.assert_nothing_remains()


@pytest.fixture
def mark() -> Iterator[tuple[str, str]]:
    name = f"{MARK}_{os.urandom(8).hex()}"
    yield name, "1"
    end(lambda: marked(name, "1"), 0)


def test_a_descendant_of_a_marked_process_is_found_without_the_mark(mark: tuple[str, str]) -> None:
    """A program may overwrite its environment with a title."""
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], env={})"
    parent = subprocess.Popen([*PYTHON, child, IGNORES_SIGTERM], env=dict([mark]), stdout=subprocess.PIPE)
    assert parent.stdout
    parent.stdout.readline()
    family = marked(*mark)
    assert len(family) == 2
    assert marked(mark[0], "2") == []
    assert end(lambda: marked(*mark), 0.2) == 2
    assert still_running(family, 0) == []
    assert marked(*mark) == []
    parent.wait()
