"""The guardian: a process that ends its parent's descendants when the parent has ended.

A killed supervisor stops no process, and Linux signals the end of a parent to direct children only. The guardian finds
work-horses and children with sessions of their own by a mark in their environment, which children inherit. It also
watches the process that QIST_PARENT_PID names, because a killed make leaves its recipe running.
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from portal.local.child_server import has_ended, still_running
from portal.local.data_dir import DataDirError, locked
from portal.local.postgres import Postgres
from portal.local.valkey import Valkey

PARENT_PID = "QIST_PARENT_PID"
POLL_SECONDS = 0.3
TERMINATE_SECONDS = 5.0  # from SIGTERM to SIGKILL; a supervisor needs them to stop its children
KILL_SECONDS = 2.0


class Guardian:
    """The parent's handle of the guardian. The guardian has the mark too, so that a later start ends it as well.

    It stops the servers of the data folder `data_dir`, and removes `folder`.
    """

    def __init__(
        self,
        mark: tuple[str, str],
        environ: Mapping[str, str],
        *,
        data_dir: Path | None = None,
        folder: Path | None = None,
    ) -> None:
        options = ["--data-dir", str(data_dir)] if data_dir else []
        options += ["--folder", str(folder)] if folder else []
        options += ["--above", environ[PARENT_PID]] if environ.get(PARENT_PID) else []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "portal.local.guardian", *mark, str(os.getpid()), *options],
            env={**environ, mark[0]: mark[1]},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def stop(self) -> None:
        """Stop the guardian, for a parent that has stopped its descendants itself."""
        self.process.terminate()
        self.process.wait()


def marked(name: str, value: str) -> list[psutil.Process]:
    """All processes with this environment variable, and their descendants, except for this process and zombies.

    A server that overwrites its environment with a title hides the mark; it is found as a descendant.
    """
    psutil.process_iter.cache_clear()  # a process id may belong to another process by now
    carriers, parents = set(), {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                parents[process] = process.ppid()
                if process.environ().get(name) == value:
                    carriers.add(process.pid)
    while descendants := {child.pid for child, parent in parents.items() if parent in carriers} - carriers:
        carriers |= descendants
    return [process for process in parents if process.pid in carriers]


def end(find: Callable[[], list[psutil.Process]], timeout: float) -> int:
    """End processes until `find` returns none and all that it returned have ended. Returns how many there were.

    SIGTERM goes to each process whose parent is not among them. After `timeout` seconds SIGKILL goes to all. `find` may
    lose a process: one without a mark is a descendant only as long as its parent runs.
    """
    seen: set[psutil.Process] = set()
    terminated: set[psutil.Process] = set()
    deadline = time.monotonic() + timeout
    while processes := {*find(), *(process for process in seen if not has_ended(process))}:
        seen |= processes
        killing = time.monotonic() >= deadline
        if time.monotonic() >= deadline + KILL_SECONDS:
            break
        pids = {process.pid for process in processes}
        for process in processes:
            with contextlib.suppress(psutil.Error):
                if killing:
                    process.send_signal(signal.SIGKILL)
                elif process not in terminated and process.ppid() not in pids:
                    terminated.add(process)
                    process.send_signal(signal.SIGTERM)
        still_running([*processes], POLL_SECONDS)
    return len(seen)


def watch(parent: int, above: psutil.Process | None) -> None:
    """Return when the parent, or the process above it, has ended."""
    while os.getppid() == parent and not (above and has_ended(above)):
        time.sleep(POLL_SECONDS)


def main() -> None:
    parser = argparse.ArgumentParser(prog="portal.local.guardian")
    parser.add_argument("name")
    parser.add_argument("value")
    parser.add_argument("parent", type=int)
    parser.add_argument("--above", type=int)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    supervisor = _process(options.parent) if os.getppid() == options.parent else None
    above = _process(options.above) if options.above else None
    if options.above is None or above:
        watch(options.parent, above)

    def family() -> list[psutil.Process]:
        heads = [supervisor] if supervisor and not has_ended(supervisor) else []
        return [*heads, *marked(options.name, options.value)]

    end(family, TERMINATE_SECONDS)
    if options.data_dir:
        _stop_servers(options.data_dir)
    if options.folder:
        shutil.rmtree(options.folder, ignore_errors=True)


def _process(pid: int) -> psutil.Process | None:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid)
    return None


def _stop_servers(data_dir: Path) -> None:
    """Stop the servers of the data folder, unless another process has its lock: then the servers are that one's."""
    with contextlib.suppress(DataDirError, OSError):
        if data_dir.exists():
            with locked(data_dir):
                Valkey(data_dir).stop(timeout=0.5)
                Postgres(data_dir).stop(timeout=0.5)


if __name__ == "__main__":
    main()
