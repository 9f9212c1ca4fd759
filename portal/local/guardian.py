"""A guardian: a small process that ends what its parent has started, once the parent is gone.

A killed supervisor stops nothing, and Linux's signal for a parent's death reaches direct children only. The guardian
finds work-horses and children with sessions of their own by a mark in their environment, which children inherit. It
also watches the process that QIST_PARENT_PID names, because a killed make leaves its recipe running.
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

from portal.local import data_dir as homes
from portal.local.child_server import has_ended, still_running
from portal.local.postgres import Postgres
from portal.local.valkey import Valkey

PARENT_PID = "QIST_PARENT_PID"
EVERY = 0.3  # seconds between two looks
PATIENCE = 5.0  # seconds between SIGTERM and SIGKILL; a supervisor that is asked to stop needs some of them
KILLING = 2.0


class Guardian:
    """The handle that the parent keeps. The guardian carries the mark too, so that a later start ends it with the rest.

    `home` is a QIST_HOME whose servers it stops, `folder` a folder that it removes.
    """

    def __init__(
        self,
        mark: tuple[str, str],
        environ: Mapping[str, str],
        *,
        home: Path | None = None,
        folder: Path | None = None,
    ) -> None:
        options = ["--home", str(home)] if home else []
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
        """For a parent that has stopped everything itself."""
        self.process.terminate()
        self.process.wait()


def marked(name: str, value: str) -> list[psutil.Process]:
    """Every process with this environment variable, and their descendants, but for this process and zombies.

    A server that writes its title over its environment hides the mark; its parent shows it.
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


def end(find: Callable[[], list[psutil.Process]], patience: float) -> int:
    """End the processes until `find` gives none. How many there were.

    SIGTERM goes to those whose parent is not among them. After `patience` seconds SIGKILL goes to all.
    """
    seen: set[psutil.Process] = set()
    asked: set[psutil.Process] = set()
    deadline = time.monotonic() + patience
    while processes := find():
        seen |= set(processes)
        killing = time.monotonic() >= deadline
        if time.monotonic() >= deadline + KILLING:
            break
        pids = {process.pid for process in processes}
        for process in processes:
            with contextlib.suppress(psutil.Error):
                if killing:
                    process.send_signal(signal.SIGKILL)
                elif process not in asked and process.ppid() not in pids:
                    asked.add(process)
                    process.send_signal(signal.SIGTERM)
        still_running(processes, EVERY)
    return len(seen)


def watch(parent: int, above: psutil.Process | None) -> None:
    """Return when the parent or the process above it is gone."""
    while os.getppid() == parent and not (above and has_ended(above)):
        time.sleep(EVERY)


def main() -> None:
    parser = argparse.ArgumentParser(prog="portal.local.guardian")
    parser.add_argument("name")
    parser.add_argument("value")
    parser.add_argument("parent", type=int)
    parser.add_argument("--above", type=int)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    supervisor = _process(options.parent) if os.getppid() == options.parent else None
    above = _process(options.above) if options.above else None
    if options.above is None or above:
        watch(options.parent, above)

    def family() -> list[psutil.Process]:
        heads = [supervisor] if supervisor and not has_ended(supervisor) else []
        return [*heads, *marked(options.name, options.value)]

    end(family, PATIENCE)
    if options.home:
        _stop_servers(options.home)
    if options.folder:
        shutil.rmtree(options.folder, ignore_errors=True)


def _process(pid: int) -> psutil.Process | None:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid)
    return None


def _stop_servers(home: Path) -> None:
    """Unless another process holds this QIST_HOME by now: then the servers are its own."""
    with contextlib.suppress(homes.DataDirError, OSError):
        if home.exists():
            with homes.held(home):
                Valkey(home).stop(patience=0.5)
                Postgres(home).stop(patience=0.5)


if __name__ == "__main__":
    main()
