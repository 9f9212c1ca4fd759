"""Real processes for these tests: any of ours, and a Valkey that may be killed, frozen and flushed."""

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
import redis

from portal.local.child_server import marks, still_running
from portal.local.valkey import Valkey
from tests.fixtures import servers

ROOT = Path(__file__).parent.parent.parent
PYTHON = (sys.executable, "-c")


def until(what: Callable[[], object], seconds: float = 30.0, why: Callable[[], str] = str) -> None:
    """Wait until it is so; if it never is, say why."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds} seconds\n{why()[-8000:]}"
        time.sleep(0.01)


class Doorbell:
    """A Valkey of this test's own, which keeps its address when it is killed and started again."""

    def __init__(self, home: Path) -> None:
        self.server = Valkey(home, durable=False)
        self.url = ""

    def __enter__(self) -> Self:
        self.url = self.server.start().url
        self.client = redis.Redis.from_url(self.url, socket_timeout=5)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(psutil.Error):
            self.process.send_signal(signal.SIGCONT)
        self.client.close()
        self.server.stop(patience=1)

    @property
    def process(self) -> psutil.Process:
        assert self.server.process
        return psutil.Process(self.server.process.pid)

    def kill(self) -> None:
        assert self.server.process
        self.server.process.kill()
        self.server.process.wait()

    def start_again(self) -> None:
        """Empty, for it never saved anything."""
        self.server.process = self.server.spawn(self.server.command(), self.server.data)
        until(self.server.answers)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


class Running:
    """Processes of ours on the test's own database and Valkey. Leaving the `with` block ends all of them."""

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
                continue  # its number may be somebody else's by now, which psutil does not look at after a wait()
            for one in family(process):
                with suppress(psutil.Error):
                    one.kill()
        still_running([one for one in self.processes if one.is_running()], 5)

    def start(self, *command: str, **environ: str) -> psutil.Popen:
        """`qist` with this command, or any program of a test's own (PYTHON, text, arguments)."""
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
        """What all of them have printed, for a test that fails."""
        return "\n".join(f"--- {path.name}\n{path.read_text()}" for path in sorted(self.folder.glob("*.out")))


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and its children (a worker's work-horses), youngest last."""
    with suppress(psutil.Error):
        return [process, *process.children(recursive=True)]
    return [process]


def horses(worker: psutil.Process) -> list[psutil.Process]:
    """A worker's work-horses that run right now."""
    with suppress(psutil.Error):
        return [one for one in worker.children() if one.status() != psutil.STATUS_ZOMBIE]
    return []
