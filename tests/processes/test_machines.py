"""Two web servers, two workers and two schedulers on one database: one web server and one worker are killed while
customers pay, and nothing is lost."""

import random
import threading
from collections import deque
from collections.abc import Callable

import psutil
import pytest
import requests
from flask import Flask
from sqlalchemy import func, select

from portal.extensions import db
from portal.models import Email, Installment
from portal.models.emails import PENDING_STATES
from portal.reports.operations import background
from portal.services.accounts import tokens
from tests.conftest import Figures
from tests.fixtures import people
from tests.fixtures.live import free_port
from tests.processes.running import HANG_SECONDS, Running, family, until
from tests.processes.test_crashes import PART, PARTS, Attempt, Work, check_payments

CLIENTS = 4


class Balanced(Work):
    """Payments that go to either web server, as a proxy would send them."""

    def __init__(self, urls: list[str], token: str, parts: list[int]) -> None:
        super().__init__(urls[0], token, deque(Attempt(part) for part in parts), total=len(parts))
        self.urls = urls

    def pay(self, session: requests.Session, attempt: Attempt) -> bool:
        self.url = random.choice(self.urls)
        return super().pay(session, attempt)


def kill(process: psutil.Popen) -> None:
    """SIGKILL to a process and its children, as a machine's end would."""
    for member in family(process):
        member.kill()
    process.wait(HANG_SECONDS)


@pytest.mark.parametrize(
    "count", [pytest.param(120, marks=pytest.mark.long), pytest.param(2000, marks=pytest.mark.proof)]
)
def test_a_killed_web_server_and_a_killed_worker_lose_nothing(
    app: Flask, database: str, running: Running, figures: Figures, count: int
) -> None:
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        plans = [people.a_plan(amal, total=PARTS * PART, count=PARTS) for _ in range(count // PARTS)]
        parts = list(db.session.scalars(select(Installment.id).where(Installment.plan_id.in_(plans))))
        token = tokens.start(omar).access
        db.session.remove()
    environ = {"LOG_LEVEL": "error", "RATELIMIT_WRITES": "1000000 per minute"}
    ports = [free_port(), free_port()]
    webs = [running.start("web", PORT=str(port), **environ) for port in ports]
    workers = [running.start("worker", **environ) for _ in range(2)]
    schedulers = [running.start("scheduler", **environ) for _ in range(2)]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    for url in urls:
        until(lambda url=url: is_ready(url), details=running.output)
    work = Balanced(urls, token, parts)
    threads = [threading.Thread(target=work.client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        for share, victims in ((3, webs[:1]), (2, workers[:1]), (2, schedulers[:1])):
            until(lambda share=share: len(work.paid) >= count // share or work.unexpected, 300, running.output)
            for victim in victims:
                kill(victim)
        for thread in threads:
            thread.join(300)
    finally:
        work.total = 0
    assert work.unexpected == [], running.output()[-5000:]
    assert len(work.paid) == count, work.codes
    with app.app_context():
        until(settled(), 240, running.output)
        check_payments(work, parts)
        figures(f"{count} payments at two web servers, one of them killed: 0 double, 0 lost; {dict(work.codes)}")
        assert db.session.scalar(select(func.count(Email.id)).where(Email.state == "dead")) == 0


def settled() -> Callable[[], bool]:
    """A condition: no payment is in flight, and no mail waits."""

    def is_settled() -> bool:
        db.session.rollback()
        pending = db.session.scalar(select(func.count(Email.id)).where(Email.state.in_(PENDING_STATES)))
        in_flight = background.in_flight()
        return in_flight.payments == in_flight.refunds == pending == 0

    return is_settled


def is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=5).status_code == 200
    except requests.RequestException:
        return False
