"""Reminders while work-horses, workers and schedulers are killed: real processes and signals, and a mail server.

A kill between the mail server's reply and the commit of the state leads to a second mail with the same Message-ID. So
the test counts mails by Message-ID, and prints the number of repeated ones.
"""

import itertools
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from zoneinfo import ZoneInfo

import psutil
import psycopg
import pytest
from flask import Flask
from rq import Retry

from portal import queue
from portal.domain import clock
from portal.extensions import db
from portal.local.child_server import still_running
from tests.conftest import Figures
from tests.fixtures import people
from tests.fixtures.mails import Catcher
from tests.processes.running import Running, ValkeyServer, horses

ZONES = ("Asia/Riyadh", "Pacific/Auckland", "America/New_York")
KILLS = (
    "work-horse SIGKILL",
    "worker SIGKILL, its work-horse too",
    "scheduler SIGKILL",
    "worker SIGKILL, its work-horse continues",
    "worker SIGTERM",
    "work-horse SIGTERM",
    "scheduler SIGTERM",
)


def customers_to_remind(app: Flask, count: int) -> set[str]:
    """The emails of `count` customers of one merchant, each with an installment due today.

    The merchant's local time is between 9:00 and 22:00.
    """
    zone = next(zone for zone in ZONES if 9 <= clock.now().astimezone(ZoneInfo(zone)).hour < 22)
    with app.app_context():
        merchant = people.a_merchant("amal", time_zone=zone)
        names = [f"customer{number}" for number in range(count)]
        for name in names:
            people.a_customer(name)
            people.a_plan(merchant, f"{name}@example.com", count=2)
        db.session.execute(db.text("DELETE FROM emails"))
        db.session.commit()
    return {f"{name}@example.com" for name in names}


class Processes:
    """Workers and schedulers. A new process replaces each killed one."""

    def __init__(
        self, running: Running, valkey_server: ValkeyServer, database: str, workers: int, schedulers: int
    ) -> None:
        self.running, self.valkey_server = running, valkey_server
        self.database = psycopg.connect(database.replace("+psycopg", ""), autocommit=True)
        self.schedulers = [running.start("scheduler") for _ in range(schedulers)]
        self.workers = [running.start("worker") for _ in range(workers)]
        self.orphans: list[psutil.Process] = []

    def count(self, where: str) -> int:
        row = self.database.execute(f"SELECT count(*) FROM emails WHERE {where}").fetchone()  # noqa: S608 a constant
        assert row
        return int(row[0])

    def enqueue_drain(self) -> None:
        """Enqueue the job that sends mails, as each request does that posts a mail."""
        job_queue = queue.queue_on(self.valkey_server.client)
        if len(job_queue) < len(self.workers):
            job_queue.enqueue("portal.jobs.tasks.drain_outbox", retry=Retry(max=3))

    def busy(self) -> psutil.Process | None:
        return next((worker for worker in self.workers if horses(worker)), None)

    def kill(self, kind: str) -> None:
        """Kill one process during its work."""
        number = signal.SIGKILL if "SIGKILL" in kind else signal.SIGTERM
        if kind.startswith("scheduler"):
            scheduler = self.schedulers.pop(0)
            self.schedulers.append(self.running.start("scheduler"))
            scheduler.send_signal(number)
            return
        self.wait_for(lambda: self.busy() is not None)
        worker = self.busy()
        if worker is None:
            return
        work_horses = horses(worker)
        if kind.startswith("work-horse"):
            for horse in work_horses:
                with suppress(psutil.NoSuchProcess):
                    horse.send_signal(number)
            return
        worker.send_signal(number)
        if number == signal.SIGKILL:
            for horse in work_horses:
                with suppress(psutil.Error):
                    if "continues" in kind:
                        self.orphans.append(horse)
                    else:
                        horse.kill()
        self.workers.remove(worker)
        self.workers.append(self.running.start("worker"))

    def wait_for(self, condition: object, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():  # type: ignore[operator]
            assert time.monotonic() < deadline, self.running.output()[-6000:]
            if self.count("state IN ('waiting', 'claimed') AND next_try_at <= now()"):
                self.enqueue_drain()  # no further jobs: idle drains would hide that all processes have stopped
            elif self.count("state IN ('waiting', 'claimed')") and not self.is_busy():
                self.expire_leases()
            time.sleep(0.05)

    def is_busy(self) -> bool:
        return self.busy() is not None or bool(still_running(self.orphans, 0))

    def expire_leases(self) -> None:
        """Stop all workers, end the leases of the killed ones, and start new workers."""
        for worker in self.workers:
            worker.terminate()
        assert not still_running([*self.workers, *self.orphans], 60)
        self.database.execute("UPDATE emails SET next_try_at = now() WHERE state IN ('waiting', 'claimed')")
        self.workers = [self.running.start("worker") for _ in self.workers]

    def close(self) -> None:
        self.database.close()
        for horse in still_running(self.orphans, 0):
            horse.kill()


@pytest.fixture
def catcher() -> Iterator[Catcher]:
    with Catcher() as smtp:
        yield smtp


@pytest.mark.parametrize(
    ("count", "kills"),
    [pytest.param(60, 4, marks=pytest.mark.long), pytest.param(1000, 30, marks=pytest.mark.proof)],
    ids=["short", "long"],
)
def test_no_reminder_is_missing_and_none_has_two_message_ids(
    app: Flask,
    database: str,
    running: Running,
    valkey_server: ValkeyServer,
    catcher: Catcher,
    figures: Figures,
    count: int,
    kills: int,
) -> None:
    expected = customers_to_remind(app, count)
    catcher.pause = 0.02
    running.environ |= {"SMTP_HOST": "localhost", "SMTP_PORT": str(catcher.port), "SMTP_SECURITY": "none"}
    started_at = time.monotonic()
    processes = Processes(running, valkey_server, database, workers=3, schedulers=2)
    try:
        processes.wait_for(lambda: processes.count("true"))
        for number, kind in zip(range(kills), itertools.cycle(KILLS), strict=False):
            processes.wait_for(lambda number=number: len(catcher.mails) >= number * count // (kills + 1))
            processes.kill(kind)
        processes.wait_for(lambda: not processes.count("state <> 'sent'") and processes.count("true") == count, 120)
        assert not processes.count("kind <> 'reminder'")
    finally:
        processes.close()
    seconds = time.monotonic() - started_at
    to = {mail["Message-ID"]: mail["To"] for mail in catcher.mails}
    repeated = sum(count - 1 for count in Counter(catcher.ids).values())
    figures(
        f"{count} reminders, {kills} kills in {seconds:.0f} s: {len(expected - set(to.values()))} missing, "
        f"{len(to) - len(set(to.values()))} twice by Message-ID, {repeated} sent again under the same one"
    )
    assert set(to.values()) == expected
    assert len(to) == count
    assert repeated <= kills, "a kill repeats at most one mail"
    with app.app_context():
        states = db.session.execute(db.text("SELECT state, count(*) FROM reminders GROUP BY state")).all()
        assert [tuple(row) for row in states] == [("sent", count)]
