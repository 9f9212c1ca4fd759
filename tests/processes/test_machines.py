"""Two web servers behind a proxy, two workers and two schedulers on one database: one web server, one worker and one
scheduler are killed while customers pay, and nothing is lost."""

import itertools
import socket
import threading
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Self

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


class Proxy:
    """Passes each connection to the next web server that takes it, as a proxy without health checks does."""

    def __init__(self, ports: list[int]) -> None:
        self.ports = itertools.cycle(ports)
        self.count = len(ports)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.connections: Counter[int] = Counter()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                if server := self._server():
                    for one, other in ((client, server), (server, client)):
                        threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()
                else:
                    client.close()

    def _server(self) -> socket.socket | None:
        for _ in range(self.count):
            port = next(self.ports)
            with suppress(OSError):
                server = socket.create_connection(("127.0.0.1", port), timeout=5)
                server.settimeout(None)
                self.connections[port] += 1
                return server
        return None

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65_536):
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Visits(Work):
    """Payments over a new connection each, so that the proxy chooses a server for each."""

    def pay(self, session: requests.Session, attempt: Attempt) -> bool:
        session.headers["Connection"] = "close"
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
    with Proxy(ports) as proxy:
        work = Visits(proxy.url, token, deque(Attempt(part) for part in parts), total=len(parts))
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
    assert min(proxy.connections[port] for port in ports) > 0
    assert work.unexpected == [], running.output()[-5000:]
    assert len(work.paid) == count, work.codes
    with app.app_context():
        until(settled(), 240, running.output)
        check_payments(work, parts)
        figures(f"{count} payments by a proxy to two web servers, one killed: 0 double, 0 lost; {dict(work.codes)}")
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
