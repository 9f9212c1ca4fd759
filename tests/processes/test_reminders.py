"""Reminders while work-horses, workers and schedulers are killed: real processes, real signals, a real mail server.

The one window is known: who is killed between the mail server's "taken" and our mark leaves a mail that is sent again,
with the same Message-ID. So mails are counted by Message-ID, as mail servers do, and what came twice is told.
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
from tests.processes.running import Doorbell, Running, horses

ZONES = ("Asia/Riyadh", "Pacific/Auckland", "America/New_York")
HOW = (
    "work-horse SIGKILL",
    "worker SIGKILL, its work-horse too",
    "scheduler SIGKILL",
    "worker SIGKILL, its work-horse goes on",
    "worker SIGTERM",
    "work-horse SIGTERM",
    "scheduler SIGTERM",
)


def customers_to_remind(app: Flask, count: int) -> set[str]:
    """So many customers of one merchant, each with an installment due today; it is between 9:00 and 22:00 there."""
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


class Staff:
    """Workers and schedulers, some of whom are killed; whoever is killed is followed by a new one."""

    def __init__(self, running: Running, doorbell: Doorbell, database: str, workers: int, schedulers: int) -> None:
        self.running, self.doorbell = running, doorbell
        self.database = psycopg.connect(database.replace("+psycopg", ""), autocommit=True)
        self.schedulers = [running.start("scheduler") for _ in range(schedulers)]
        self.workers = [running.start("worker") for _ in range(workers)]
        self.orphans: list[psutil.Process] = []

    def count(self, where: str) -> int:
        row = self.database.execute(f"SELECT count(*) FROM emails WHERE {where}").fetchone()  # noqa: S608 our own words
        assert row
        return int(row[0])

    def ring(self) -> None:
        """As every request does that posts a mail."""
        line = queue.queue_on(self.doorbell.client)
        if len(line) < len(self.workers):
            line.enqueue("portal.jobs.tasks.drain_outbox", retry=Retry(max=3))

    def busy(self) -> psutil.Process | None:
        return next((worker for worker in self.workers if horses(worker)), None)

    def kill(self, how: str) -> None:
        """One of them, in the middle of what it does."""
        number = signal.SIGKILL if "SIGKILL" in how else signal.SIGTERM
        if how.startswith("scheduler"):
            gone = self.schedulers.pop(0)
            self.schedulers.append(self.running.start("scheduler"))
            gone.send_signal(number)
            return
        self.wait_for(lambda: self.busy() is not None)
        worker = self.busy()
        if worker is None:
            return
        inner = horses(worker)
        if how.startswith("work-horse"):
            for horse in inner:
                with suppress(psutil.NoSuchProcess):
                    horse.send_signal(number)
            return
        worker.send_signal(number)
        if number == signal.SIGKILL:
            for horse in inner:
                with suppress(psutil.Error):
                    if "goes on" in how:
                        self.orphans.append(horse)
                    else:
                        horse.kill()
        self.workers.remove(worker)
        self.workers.append(self.running.start("worker"))

    def wait_for(self, what: object, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not what():  # type: ignore[operator]
            assert time.monotonic() < deadline, self.running.output()[-6000:]
            if self.count("state IN ('waiting', 'claimed') AND next_try_at <= now()"):
                self.ring()  # for more than that nobody would ring, and idle drains would hide that all have stopped
            elif self.count("state IN ('waiting', 'claimed')") and not self.alive():
                self.five_minutes_pass()
            time.sleep(0.05)

    def alive(self) -> bool:
        return self.busy() is not None or bool(still_running(self.orphans, 0))

    def five_minutes_pass(self) -> None:
        """Everybody goes home, and the leases of the killed end; so nobody's lease ends while he lives."""
        for worker in self.workers:
            worker.terminate()
        assert not still_running([*self.workers, *self.orphans], 60)
        self.database.execute("UPDATE emails SET next_try_at = now() WHERE state IN ('waiting', 'claimed')")
        self.workers = [self.running.start("worker") for _ in self.workers]

    def go(self) -> None:
        self.database.close()
        for horse in still_running(self.orphans, 0):
            horse.kill()


@pytest.fixture
def catcher() -> Iterator[Catcher]:
    with Catcher() as smtp:
        yield smtp


@pytest.mark.parametrize(
    ("count", "kills"), [(60, 4), pytest.param(1000, 30, marks=pytest.mark.proof)], ids=["short", "long"]
)
def test_none_is_missing_and_none_comes_twice(
    app: Flask,
    database: str,
    running: Running,
    doorbell: Doorbell,
    catcher: Catcher,
    figures: Figures,
    count: int,
    kills: int,
) -> None:
    expected = customers_to_remind(app, count)
    catcher.pause = 0.02
    running.environ |= {"SMTP_HOST": "localhost", "SMTP_PORT": str(catcher.port), "SMTP_SECURITY": "none"}
    began = time.monotonic()
    staff = Staff(running, doorbell, database, workers=3, schedulers=2)
    try:
        staff.wait_for(lambda: staff.count("true"))
        for number, how in zip(range(kills), itertools.cycle(HOW), strict=False):
            staff.wait_for(lambda number=number: len(catcher.mails) >= number * count // (kills + 1))
            staff.kill(how)
        staff.wait_for(lambda: not staff.count("state <> 'sent'") and staff.count("true") == count, 120)
        assert not staff.count("kind <> 'reminder'")
    finally:
        staff.go()
    took = time.monotonic() - began
    to = {mail["Message-ID"]: mail["To"] for mail in catcher.mails}
    times = Counter(catcher.ids)
    again = sum(many - 1 for many in times.values())
    figures(
        f"{count} reminders, {kills} kills in {took:.0f} s: {len(expected - set(to.values()))} missing, "
        f"{len(to) - len(set(to.values()))} twice by Message-ID, {again} sent again under the same one"
    )
    assert set(to.values()) == expected
    assert len(to) == count
    assert again <= kills, "each kill meets at most one mail between the server's answer and our mark"
    with app.app_context():
        states = db.session.execute(db.text("SELECT state, count(*) FROM reminders GROUP BY state")).all()
        assert [tuple(row) for row in states] == [("sent", count)]
