"""Counts what this process does, for the metrics (docs/monitoring.md). Before `start` nothing is counted.

Each process counts in files of its own, which the process that serves the metrics adds up. A process takes the lowest
number that no living process of the folder has, and goes on in the files of that number. So the sums survive a process,
and the folder holds as many files as processes ever ran at once. A work-horse of a worker goes on in the worker's
second set of files, because the worker itself does not see what its child appends.
"""

import fcntl
import itertools
import os
import stat
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

from portal import logs

SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets of latencies."""
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
NO_ROUTE: Final = "none"
"""The route of a request to an address that Qist does not have."""
PAYMENTS: Final = ("succeeded", "declined", "unknown")
MAILS: Final = ("sent", "kept", "refused", "server_away", "not_composed", "not_marked", "dead")
RETRIES: Final = ("serialization failure", "deadlock", "lock timeout")
JOBS: Final = ("done", "failed")


class FolderRefused(Exception):
    """The folder of the counters is not this user's alone."""


class _Process:
    """The number of this process, which its lock file keeps until the process and its work-horse have ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.take_number()

    def take_number(self) -> None:
        """Take the lowest free number."""
        folder = self.folder
        for number in itertools.count():
            self.lock = os.open(folder / f"{number}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self.lock)
                continue
            self.name = str(number)
            forget_live(folder, number)
            return

    def be_work_horse(self) -> None:
        self.name = f"{self.name.removesuffix('jobs')}jobs"


class _Counters:
    """The counters of this process, in the files of `folder`."""

    def __init__(self, folder: Path) -> None:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

        self.process = _Process(folder)
        values.ValueClass = values.MultiProcessValue(lambda: self.process.name)  # type: ignore[no-untyped-call]
        own: dict[str, Any] = {"registry": CollectorRegistry()}
        self.requests = Counter("qist_requests", "Requests by route", ["route", "method", "status"], **own)
        self.seconds = Histogram("qist_request_seconds", "Seconds until the answer", ["route"], buckets=SECONDS, **own)
        self.payments = Counter("qist_payments", "Payments by outcome", ["outcome"], **own)
        self.mails = Counter("qist_mail_attempts", "Attempts to send a mail, by outcome", ["outcome"], **own)
        self.retries = Counter("qist_unit_of_work_retries", "Transactions run again, by cause", ["reason"], **own)
        self.database = Counter("qist_database_failures", "Failures of PostgreSQL by kind", ["kind"], **own)
        self.security = Counter("qist_security_events", "Security events by kind", ["kind"], **own)
        self.jobs = Counter("qist_jobs", "Jobs by name and outcome", ["job", "outcome"], **own)
        self.job_seconds = Counter("qist_job_seconds", "Seconds in jobs, by name", ["job"], **own)
        self.pool = Gauge("qist_pool_in_use", "Connections in use", multiprocess_mode="livesum", **own)
        self.pool_size = Gauge("qist_pool_size", "Connections that may be in use", multiprocess_mode="livesum", **own)
        for metric, known in (
            (self.payments, PAYMENTS),
            (self.mails, MAILS),
            (self.retries, RETRIES),
            (self.database, logs.DATABASE_KINDS),
            (self.security, ("sign_in_failed",)),
        ):
            for value in known:  # an increase is seen from a zero on
                metric.labels(value)


class _Active:
    counters: _Counters | None = None


def start(folder: Path, *, pool_size: int) -> None:
    """Count from now on, in `folder`. The first call counts. Raises FolderRefused."""
    if _Active.counters is not None:
        return
    make_folder(folder)
    counters = _Active.counters = _Counters(folder)
    counters.pool_size.set(pool_size)

    def taken(_connection: Any, record: Any, _proxy: Any) -> None:
        """SQLAlchemy calls this again for the same record if the connection was dead."""
        if not record.record_info.get("counted"):
            record.record_info["counted"] = True
            counters.pool.inc()

    def returned(_connection: Any, record: Any) -> None:
        if record.record_info.pop("counted", False):
            counters.pool.dec()

    def failed(context: Any) -> None:
        counters.database.labels(logs.database_kind(context.original_exception)).inc()

    event.listen(Pool, "checkout", taken)
    event.listen(Pool, "checkin", returned)
    event.listen(Engine, "handle_error", failed)


def make_folder(folder: Path) -> None:
    """Make the folder of the counters, which only this user may open. Raises FolderRefused."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise FolderRefused(f"{folder} is not a folder that only this user may write to; set METRICS_DIR")


def forget_ended(folder: Path) -> None:
    """Remove the gauges of ended processes."""
    for path in folder.glob("*.lock"):
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            forget_live(folder, int(path.stem))
        except BlockingIOError:
            pass
        finally:
            os.close(lock)


def forget_live(folder: Path, number: int) -> None:
    """Remove the gauges of one process, which has ended."""
    for path in [*folder.glob(f"gauge_live*_{number}.db"), *folder.glob(f"gauge_live*_{number}jobs.db")]:
        path.unlink(missing_ok=True)


def begin_web_worker(pool_size: int) -> None:
    """This process was forked from one that counts, and serves requests from now on: it counts under its own number."""
    if (active := _Active.counters) is not None:
        os.close(active.process.lock)
        active.process.take_number()
        active.pool.set(0)
        active.pool_size.set(pool_size)


def serve_no_request() -> None:
    """This process serves no request, so its pool is no room for requests (QistPoolFull)."""
    if (active := _Active.counters) is not None:
        active.pool_size.set(0)


def begin_job() -> None:
    """This process is the work-horse of a worker, at the begin of a job."""
    if (active := _Active.counters) is not None:
        active.process.be_work_horse()
        active.pool.set(0)
        active.pool_size.set(0)


def request(route: str | None, method: str, status: int, seconds: float) -> None:
    """An answered request. `route` is the rule of its address, never the address."""
    if (active := _Active.counters) is not None:
        rule = route or NO_ROUTE
        active.requests.labels(rule, method if method in METHODS else "other", str(status)).inc()
        active.seconds.labels(rule).observe(seconds)


def payment(outcome: str) -> None:
    """An answer of the gateway about a payment: one of PAYMENTS."""
    if (active := _Active.counters) is not None:
        active.payments.labels(outcome).inc()


def mail(outcome: str) -> None:
    """The end of an attempt to send a mail: one of MAILS."""
    if (active := _Active.counters) is not None:
        active.mails.labels(outcome).inc()


def retry(reason: str) -> None:
    """A unit of work runs again, or gives up: one of RETRIES."""
    if (active := _Active.counters) is not None:
        active.retries.labels(reason).inc()


def security_event(kind: str) -> None:
    """A committed security event."""
    if (active := _Active.counters) is not None:
        active.security.labels(kind).inc()


def job(name: str, outcome: str, seconds: float) -> None:
    """A job of Qist ended: one of JOBS."""
    if (active := _Active.counters) is not None:
        active.jobs.labels(name, outcome).inc()
        active.job_seconds.labels(name).inc(seconds)
