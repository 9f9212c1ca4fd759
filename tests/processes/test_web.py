"""gunicorn's processes: forks of one that loaded the application, each with its part of the connections."""

import http.client
import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.fixtures.live import free_port
from tests.processes.running import Running, until

CONNECTIONS = 30
WORKERS = 3


@pytest.fixture
def arbiter(database: str, running: Running) -> tuple[psutil.Process, int]:
    port = free_port()
    started = running.start("web", PORT=str(port), WEB_WORKERS=str(WORKERS))
    process = psutil.Process(started.pid)
    until(lambda: running.output().count("Booting worker") == WORKERS, details=running.output)
    return process, port


def get(port: int) -> http.client.HTTPConnection:
    """A connection that stays open after its response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/healthz")
    response = connection.getresponse()
    assert response.status == 200 and response.read()
    return connection


def workers(arbiter: psutil.Process) -> list[psutil.Process]:
    return [process for process in arbiter.children() if process.status() != psutil.STATUS_ZOMBIE]


def kilobytes(process: psutil.Process, name: str) -> int:
    """A figure of the process's memory, as Linux states it."""
    lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.partition(":")[0].startswith(name))


@pytest.mark.long
def test_kept_connections_spread_evenly_over_the_workers(arbiter: tuple[psutil.Process, int]) -> None:
    process, port = arbiter
    connections = [get(port) for _ in range(CONNECTIONS)]
    held = [
        sum(bool(found.raddr) and found.laddr.port == port for found in worker.net_connections())
        for worker in workers(process)
    ]
    assert sum(held) == CONNECTIONS
    assert min(held) >= CONNECTIONS // WORKERS - 4, held
    for connection in connections:
        connection.close()


@pytest.mark.long
def test_workers_share_what_the_arbiter_loaded_and_a_new_one_loads_nothing(
    arbiter: tuple[psutil.Process, int], running: Running
) -> None:
    process, port = arbiter
    get(port).close()
    for worker in workers(process):
        assert kilobytes(worker, "Private") < kilobytes(worker, "Shared")
    killed = workers(process)[0]
    os.kill(killed.pid, signal.SIGKILL)
    until(lambda: running.output().count("Booting worker") == WORKERS + 1, details=running.output)
    assert len(workers(process)) == WORKERS
    assert kilobytes(workers(process)[-1], "Private") < kilobytes(process, "Rss") / 2
