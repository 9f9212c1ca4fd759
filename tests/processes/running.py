"""Real processes: commands of `qist`, and a Valkey that a test may kill, freeze and flush."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import psutil
import psycopg
import redis

from portal.local.child_server import marks, still_running
from portal.local.valkey import Valkey
from tests.fixtures import servers

ROOT = Path(__file__).parent.parent.parent
PYTHON = (sys.executable, "-c")
HANG_SECONDS = 60.0
"""A step of a process that takes longer hangs."""


def until(condition: Callable[[], object], seconds: float = HANG_SECONDS, details: Callable[[], str] = str) -> None:
    """Wait until the condition is true. After `seconds`, fail with the details."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} seconds\n{details()[-8000:]}"
        time.sleep(0.01)


class ValkeyServer:
    """A test's own Valkey. It keeps its address after a kill and a restart."""

    def __init__(self, data_dir: Path) -> None:
        self.server = Valkey(data_dir, durable=False)
        self.url = ""

    def __enter__(self) -> Self:
        self.url = self.server.start().url
        self.client = redis.Redis.from_url(self.url, socket_timeout=5)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(psutil.Error):
            self.process.send_signal(signal.SIGCONT)
        self.client.close()
        self.server.stop(timeout=1)

    @property
    def process(self) -> psutil.Process:
        assert self.server.process
        return psutil.Process(self.server.process.pid)

    def kill(self) -> None:
        assert self.server.process
        self.server.process.kill()
        self.server.process.wait()

    def restart(self) -> None:
        """Start an empty Valkey at the same address: it saves no data."""
        self.server.process = self.server.spawn(self.server.command(), self.server.files)
        until(self.server.is_ready)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


class Running:
    """Processes with the test's own database and Valkey. The end of the `with` block ends all of them."""

    def __init__(self, folder: Path, valkey: str, **environ: str) -> None:
        self.folder = folder
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": tempfile.gettempdir(),
            "FLASK_SKIP_DOTENV": "1",
            "QIST_HOME": str(folder / "home"),
            "SECRET_KEY": "only-for-tests-0123456789abcdefghijklmnop",
            "DATABASE_URL": str(servers.settings_for(servers.database_name()).database_url),
            "REDIS_URL": valkey,
            **marks(os.environ),
            **environ,
        }
        self.processes: list[psutil.Popen] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            if process.poll() is not None:
                continue  # its pid may belong to another process by now, and psutil does not check it after a wait()
            for member in family(process):
                with suppress(psutil.Error):
                    member.kill()
        still_running([process for process in self.processes if process.is_running()], 5)

    def start(self, *command: str, **environ: str) -> psutil.Popen:
        """Start `qist` with this command, or a Python program (PYTHON, text, arguments)."""
        words = list(command) if command[0] == sys.executable else [sys.executable, "-m", "portal.cli", *command]
        with (self.folder / f"{len(self.processes)}.out").open("wb") as out:
            process = psutil.Popen(
                words,
                cwd=ROOT,
                env={**self.environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def output(self) -> str:
        """The output of all processes, for the message of a failure."""
        return "\n".join(f"--- {path.name}\n{path.read_text()}" for path in sorted(self.folder.glob("*.out")))


def answers(url: str) -> bool:
    """Whether a server of PostgreSQL takes a connection at this address."""
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and its children (a worker's work-horses), youngest last."""
    with suppress(psutil.Error):
        return [process, *process.children(recursive=True)]
    return [process]


def horses(worker: psutil.Process) -> list[psutil.Process]:
    """The running work-horses of a worker."""
    with suppress(psutil.Error):
        return [child for child in worker.children() if child.status() != psutil.STATUS_ZOMBIE]
    return []
