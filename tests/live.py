"""`qist dev` as a real process with real signals, for the browser tests and for the tests of starting and stopping."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Self

import psutil

from portal.dev import MARK

ROOT = Path(__file__).parent.parent
STARTS_WITHIN = 90.0


class Live:
    """One `qist dev`. `start()` returns when it says that it is ready; what it prints is in `output`."""

    def __init__(self, home: Path, port: int | None = None, **environ: str) -> None:
        self.home = home
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = home.parent / f"{home.name[:40]}.{self.port}.out"
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "PYTHONPATH": str(ROOT),
            "FLASK_SKIP_DOTENV": "1",
            "QIST_HOME": str(home),
            "PORT": str(self.port),
            "RATELIMIT_LOGIN": "10000 per minute",
            "RATELIMIT_REGISTER": "10000 per minute",
            **environ,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self) -> Self:
        """Start without waiting."""
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "portal.cli", "dev"],
                cwd=self.home.parent,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def start(self) -> Self:
        already = self.output.count("Qist is ready")
        self.begin()
        assert self.process
        deadline = time.monotonic() + STARTS_WITHIN
        while self.output.count("Qist is ready") == already:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"qist dev did not start:\n{self.output}")
            time.sleep(0.05)
        return self

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def wait(self, seconds: float) -> int:
        assert self.process
        return self.process.wait(seconds)

    def kill(self) -> None:
        """SIGKILL, for the supervisor alone."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """Ask it to stop and give its exit code; kill it when it takes longer than it may."""
        assert self.process
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def get(self, path: str) -> tuple[int, str]:
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:  # noqa: S310 our own address
            return answer.status, answer.read().decode()

    def processes(self) -> list[psutil.Process]:
        """Every process that belongs to this home: children (by their mark), servers (by their folder)."""
        found = []
        for process in psutil.process_iter(["name"]):
            try:
                if process.status() == psutil.STATUS_ZOMBIE:
                    continue
                ours = process.environ().get(MARK) == os.path.realpath(self.home)
                at_home = process.cwd().startswith(os.path.realpath(self.home) + os.sep)
            except (psutil.Error, OSError):
                continue
            if ours or at_home:
                found.append(process)
        return found

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.is_running():
            self.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
