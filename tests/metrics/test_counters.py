"""The sums over processes: each counts in its own files, and a later process goes on in those of an ended one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from portal import counters
from tests.processes.running import ROOT

PROGRAM = """
import sys
from pathlib import Path
from portal import counters
counters.start(Path(sys.argv[1]), pool_size=7)
{}
print("ready", flush=True)
sys.stdin.read()
"""


def start(folder: Path, work: str) -> subprocess.Popen[bytes]:
    """A process that does the work and then waits for the end of its input."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(work), str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout and process.stdout.readline() == b"ready\n"
    return process


def stop(process: subprocess.Popen[bytes], *, kill: bool = False) -> None:
    if kill:
        process.kill()
    process.communicate(timeout=30)


def value(folder: Path, name: str, **labels: str) -> float | None:
    counters.forget_ended(folder)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    return registry.get_sample_value(name, labels)


def test_the_counts_of_two_processes_add_up_and_outlive_them(tmp_path: Path) -> None:
    work = "counters.payment('succeeded'); counters.request('/plans/<int:plan_id>', 'GET', 200, 0.03)"
    first, second = start(tmp_path, work), start(tmp_path, work)
    assert value(tmp_path, "qist_payments_total", outcome="succeeded") == 2
    assert value(tmp_path, "qist_payments_total", outcome="declined") == 0
    route = "/plans/<int:plan_id>"
    assert value(tmp_path, "qist_requests_total", route=route, method="GET", status="200") == 2
    assert value(tmp_path, "qist_request_seconds_bucket", route=route, le="0.025") == 0
    assert value(tmp_path, "qist_request_seconds_bucket", route=route, le="0.05") == 2
    assert value(tmp_path, "qist_pool_size") == 14
    files = {path.name for path in tmp_path.iterdir()}
    stop(first, kill=True)
    assert value(tmp_path, "qist_payments_total", outcome="succeeded") == 2
    assert value(tmp_path, "qist_pool_size") == 7
    third = start(tmp_path, work)
    assert value(tmp_path, "qist_payments_total", outcome="succeeded") == 3
    assert value(tmp_path, "qist_pool_size") == 14
    stop(second)
    stop(third)
    assert {path.name for path in tmp_path.iterdir()} <= files


def test_the_work_horses_of_a_worker_count_in_one_set_of_files(tmp_path: Path) -> None:
    work = """
import os
for number in range(20):
    if (child := os.fork()) == 0:
        counters.begin_job()
        counters.job(f"job{number % 2}", "done", 0.5)
        counters.payment("declined")
        os._exit(0)
    os.waitpid(child, 0)
    counters.mail("sent")
"""
    process = start(tmp_path, work)
    assert value(tmp_path, "qist_payments_total", outcome="declined") == 20
    assert value(tmp_path, "qist_jobs_total", job="job1", outcome="done") == 10
    assert value(tmp_path, "qist_job_seconds_total", job="job0") == 5
    assert value(tmp_path, "qist_mail_attempts_total", outcome="sent") == 20
    assert value(tmp_path, "qist_pool_size") == 7
    assert len(list(tmp_path.glob("counter_*.db"))) == 2
    stop(process)


def test_a_process_that_serves_no_request_has_no_pool_for_requests(tmp_path: Path) -> None:
    web, worker = start(tmp_path, ""), start(tmp_path, "counters.serve_no_request()")
    assert value(tmp_path, "qist_pool_size") == 7
    stop(web)
    assert value(tmp_path, "qist_pool_size") == 0
    stop(worker)


def test_labels_are_bounded(tmp_path: Path) -> None:
    """An address without a route and an invented method make no series of their own."""
    work = "[counters.request(None, f'METHOD{n}', 404, 0.001) for n in range(50)]"
    stop(start(tmp_path, work))
    assert value(tmp_path, "qist_requests_total", route="none", method="other", status="404") == 50


def test_a_folder_of_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(counters.FolderRefused):
        counters.make_folder(tmp_path / "open")
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(counters.FolderRefused):
        counters.make_folder(tmp_path / "link")
