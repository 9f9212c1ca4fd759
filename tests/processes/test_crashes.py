"""Web processes killed and PostgreSQL restarted in the middle of payments: nothing double, lost or stuck.

Everything is real and this test's own: PostgreSQL (durable, with immediate shutdowns as well as orderly ones), gunicorn
on a port, clients over HTTP that send the same Idempotency-Key again as long as they have no answer, and a new one as
soon as they are told that nothing was changed.
"""

import json
import random
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import flask_migrate
import psutil
import pytest
import requests
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from portal.app import create_app
from portal.extensions import db, limiter
from portal.gateways import payment as gateway
from portal.local.postgres import Postgres
from portal.models import Allocation, IdempotencyKey, Installment, Payment
from portal.reports.operations import checks
from portal.services.accounts import tokens
from portal.services.payments import outcomes
from tests.conftest import Figures
from tests.fixtures import people, servers
from tests.fixtures.live import free_port
from tests.processes.running import Running, until

CLIENTS = 8
PARTS = 10
PART = 10_00


class Cluster:
    """A PostgreSQL of this test's own, which keeps its address when it is started again."""

    def __init__(self, home: Path) -> None:
        self.server = Postgres(home)
        self.url = self.server.start().url

    def restart(self, how: signal.Signals) -> None:
        """SIGINT ends every session in order; SIGQUIT is a crash, and the start after it recovers from the log."""
        process = self.server.process
        assert process
        process.send_signal(how)
        process.wait(30)
        (self.server.data / "postmaster.pid").unlink(missing_ok=True)
        self.server.process = self.server.spawn(self.server.command(), self.server.data)
        until(self.server.answers, 60)


class Web:
    """gunicorn with two workers on one port."""

    def __init__(self, running: Running, url: str) -> None:
        self.running = running
        self.port = free_port()
        self.environ = {
            "DATABASE_URL": url,
            "PORT": str(self.port),
            "PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "WEB_WORKERS": "2",
            "LOG_LEVEL": "error",
            "RATELIMIT_WRITES": "1000000 per minute",
        }
        self.start()

    def start(self) -> None:
        self.arbiter = self.running.start("web", **self.environ)

    def workers(self) -> list[psutil.Process]:
        with suppress(psutil.Error):
            return list(self.arbiter.children())
        return []

    def kill_a_worker(self) -> bool:
        """False while there is none; the arbiter starts another."""
        found = self.workers()
        with suppress(psutil.Error):
            if found:
                random.choice(found).kill()
                return True
        return False

    def kill_the_arbiter(self) -> None:
        """Its workers notice that they are alone, and let go of the port; then somebody starts it again."""
        left = self.workers()
        self.arbiter.kill()
        self.arbiter.wait(10)
        psutil.wait_procs(left, 15)
        self.start()

    def answers(self) -> bool:
        with suppress(requests.RequestException):
            return requests.get(f"http://127.0.0.1:{self.port}/readyz", timeout=2).status_code == 200
        return False


@dataclass
class Try:
    """Paying an installment under one key. Under a new one only when nothing can have come of the one before."""

    installment: int
    number: int = 0
    unsure: bool = False
    """Under this key something may have happened, so it has to be sent again."""

    @property
    def key(self) -> str:
        return f"{self.installment}-{self.number}"

    def anew(self) -> None:
        self.number += 1
        self.unsure = False


@dataclass
class Work:
    """What is to be paid, and what came of it: shared by all clients."""

    url: str
    token: str
    waiting: deque[Try]
    paid: dict[int, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    """Installment -> the key that paid it and the answer of that."""
    codes: Counter[str] = field(default_factory=Counter)
    odd: list[str] = field(default_factory=list)
    total: int = 0

    def client(self) -> None:
        """Takes one installment after the other, and comes back to those that could not be paid yet."""
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {self.token}"
            while len(self.paid) < self.total and not self.odd:
                try:
                    one = self.waiting.popleft()
                except IndexError:
                    time.sleep(0.05)
                    continue
                if not self.pay(session, one):
                    self.waiting.append(one)
                    time.sleep(0.05)

    def pay(self, session: requests.Session, one: Try) -> bool:
        """Whether it is paid now. Does what the API's documentation says about each answer."""
        path = f"{self.url}/api/plans/installments/{one.installment}/pay/"
        try:
            answer = session.post(path, json={}, headers={"Idempotency-Key": one.key}, timeout=20)
        except requests.RequestException as error:
            self.codes[type(error).__name__] += 1
            one.unsure = True
            return False
        code = f"{answer.status_code} {answer.json().get('code', '')}".strip()
        self.codes[code] += 1
        if answer.status_code == 200:
            self.paid[one.installment] = one.key, answer.json()
        elif answer.status_code == 402:
            one.anew()
        elif code in ("202", "409 still_running", "503 outcome_unknown"):
            one.unsure = True
        elif code == "503 busy":
            if not one.unsure:
                one.anew()
        elif code != "409 payment_in_flight":
            self.odd.append(f"{one}: {answer.status_code} {answer.text}")
        return answer.status_code == 200


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    one = Cluster(tmp_path / "cluster")
    yield one
    one.server.stop(patience=2)


@pytest.fixture
def own_app(app: Flask, cluster: Cluster) -> Iterator[Flask]:
    """The application in this process, on that cluster, for the sweep and for looking afterwards."""
    more = {"DATABASE_URL": cluster.url, "ACCESS_TOKEN_MINUTES": "600"}
    own = create_app(servers.settings_for(servers.database_name(), **more))
    own.config.update(ARGON2_CHEAP=True)
    with own.app_context():
        flask_migrate.upgrade()
    yield own
    with own.app_context():
        db.session.remove()
        db.engine.dispose()
    limiter.init_app(app)  # it belongs to one application at a time
    limiter.enabled = False


@pytest.fixture
def web(own_app: Flask, cluster: Cluster, tmp_path: Path) -> Iterator[Web]:
    with Running(tmp_path, own_app.config["QIST"].redis_url) as running:
        one = Web(running, cluster.url)
        until(one.answers, 60, running.output())
        yield one


@pytest.mark.parametrize(
    ("count", "kills", "restarts"), [(150, 3, 1), pytest.param(5000, 30, 3, marks=pytest.mark.proof)]
)
def test_killed_and_restarted_in_the_middle_of_payments(
    own_app: Flask,
    cluster: Cluster,
    web: Web,
    figures: Figures,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    kills: int,
    restarts: int,
) -> None:
    with own_app.app_context():
        amal, omar = people.amal(), people.omar()
        plans = [people.a_plan(amal, total=PARTS * PART, count=PARTS) for _ in range(count // PARTS)]
        parts = list(db.session.scalars(select(Installment.id).where(Installment.plan_id.in_(plans))))
        token = tokens.start(omar).access
        db.session.remove()
    random.shuffle(parts)
    work = Work(f"http://127.0.0.1:{web.port}", token, deque(Try(part) for part in parts), total=len(parts))
    monkeypatch.setattr(outcomes, "UNKNOWN_AFTER", timedelta(seconds=2))
    stop = threading.Event()
    settled: list[int] = []
    threads = [threading.Thread(target=work.client) for _ in range(CLIENTS)]
    sweeper = threading.Thread(target=sweep, args=(own_app, stop, settled))
    began = time.monotonic()
    for thread in [*threads, sweeper]:
        thread.start()
    try:
        harm(work, web, cluster, kills, restarts)
        for thread in threads:
            thread.join(600)
        took = time.monotonic() - began
    finally:
        work.total = 0
        stop.set()
        sweeper.join(30)
    assert work.odd == [], web.running.output()[-5000:]
    assert len(work.paid) == len(parts), work.codes
    with own_app.app_context():
        nothing_double_lost_or_stuck(work, parts)
        until(web.answers, 60, web.running.output())
        replayed(work, random.sample(parts, min(len(parts), 100)))
    figures(
        f"{len(parts)} payments over HTTP in {took:.0f} s, {kills} SIGKILLs and {restarts} restarts of PostgreSQL: "
        f"0 double, 0 lost, 0 stuck; {sum(settled)} left in flight, for the sweep; "
        f"answers {dict(work.codes.most_common())}"
    )
    assert sum(work.codes.values()) - work.codes["200"] >= kills, "nobody noticed"
    assert kills < 30 or sum(settled), "nobody was in the middle of a payment"


def harm(work: Work, web: Web, cluster: Cluster, kills: int, restarts: int) -> None:
    """One after the other, evenly over the payments. Every fifth kill takes the arbiter; every other restart, the first
    too, is a crash."""
    events: list[Callable[[], object]] = []
    for number in range(kills):
        arbiter = number % 5 == 2
        events.append(web.kill_the_arbiter if arbiter else lambda: until(web.kill_a_worker, 30))
    for number in range(restarts):
        how = signal.SIGINT if number % 2 else signal.SIGQUIT
        events.insert((number + 1) * len(events) // (restarts + 1), lambda how=how: cluster.restart(how))
    for number, event in enumerate(events, start=1):
        enough = number * work.total // (len(events) + 1)
        until(lambda enough=enough: len(work.paid) >= enough or work.odd, 300, f"{work.codes}")
        if not work.odd:
            event()


def sweep(app: Flask, stop: threading.Event, settled: list[int]) -> None:
    """What the schedule does every 15 seconds, with less patience."""
    while not stop.wait(0.5):
        with app.app_context():
            try:
                settled.append(outcomes.settle_unknown_payments())
            except SQLAlchemyError:
                db.session.remove()


def nothing_double_lost_or_stuck(work: Work, parts: list[int]) -> None:
    charged = (
        select(Allocation.installment_id, gateway.charges.c.amount)
        .join(Payment, Payment.id == Allocation.payment_id)
        .join(gateway.charges, gateway.charges.c.key == Payment.gateway_key)
        .where(gateway.charges.c.outcome == "charged")
    )
    rows = db.session.execute(charged).all()
    assert sorted(row.installment_id for row in rows) == sorted(parts), "charged once each"
    assert {row.amount for row in rows} == {PART}
    total = select(func.count()).select_from(gateway.charges).where(gateway.charges.c.outcome == "charged")
    assert db.session.scalar(total) == len(parts), "and nothing that we don't know of"

    states = {row.id: row.state for row in db.session.execute(select(Payment.id, Payment.state))}
    for part, (_, answer) in work.paid.items():
        assert (answer["id"], answer["status"]) == (part, "paid"), answer
        assert states[answer["payment"]["id"]] == "succeeded", answer
    paid = select(func.count(Installment.id)).where(Installment.paid == PART, Installment.remaining == 0)
    assert db.session.scalar(paid) == len(parts)

    assert set(states.values()) <= {"succeeded", "declined"}
    assert db.session.scalar(select(func.count(Allocation.id)).where(Allocation.state == "held")) == 0
    assert set(db.session.scalars(select(IdempotencyKey.state))) == {"done"}
    assert [found for found in checks.run() if found[1]] == []


def replayed(work: Work, some: list[int]) -> None:
    """Sent again, a key gets the same answer and charges nothing."""
    before = db.session.scalar(select(func.count(Payment.id)))
    db.session.rollback()
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {work.token}"
        for part in some:
            key, first = work.paid[part]
            path = f"{work.url}/api/plans/installments/{part}/pay/"
            answer = session.post(path, json={}, headers={"Idempotency-Key": key}, timeout=20)
            assert (answer.status_code, answer.headers["Idempotent-Replayed"]) == (200, "true")
            assert json.loads(answer.content) == first
    assert db.session.scalar(select(func.count(Payment.id))) == before
