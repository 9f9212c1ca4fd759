"""Web processes are killed and PostgreSQL restarts during payments: no payment is doubled, lost or stuck.

The test has its own durable PostgreSQL, with fast and immediate shutdowns, and its own gunicorn. The HTTP clients
repeat an Idempotency-Key until they get a response, and use a new key after a response that says that nothing changed.
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

from portal.app import bind_migrations, create_app
from portal.extensions import db
from portal.gateways.payment.simulated import tables
from portal.local.postgres import Postgres
from portal.models import Allocation, IdempotencyKey, Installment, Payment
from portal.reports.operations import checks
from portal.services.accounts import tokens
from portal.services.payments import outcomes
from portal.web_extensions import limiter
from tests.conftest import Figures
from tests.fixtures import people, servers
from tests.fixtures.live import free_port
from tests.processes.running import HANG_SECONDS, Running, until

CLIENTS = 8
PARTS = 10
PART = 10_00


class Cluster:
    """The test's own PostgreSQL. It keeps its address after a restart."""

    def __init__(self, data_dir: Path) -> None:
        self.server = Postgres(data_dir)
        self.url = self.server.start().url

    def restart(self, number: signal.Signals) -> None:
        """SIGINT is a fast shutdown. SIGQUIT is a crash, after which the start recovers from the log."""
        process = self.server.process
        assert process
        process.send_signal(number)
        process.wait(HANG_SECONDS)
        (self.server.files / "postmaster.pid").unlink(missing_ok=True)
        self.server.process = self.server.spawn(self.server.command(), self.server.files)
        until(self.server.is_ready, 60)


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
        """Kill a random worker. False if there is none: the arbiter starts new ones."""
        workers = self.workers()
        with suppress(psutil.Error):
            if workers:
                random.choice(workers).kill()
                return True
        return False

    def kill_the_arbiter(self) -> None:
        """Kill the arbiter, wait for its workers to end and to release the port, and start a new arbiter."""
        workers = self.workers()
        self.arbiter.kill()
        self.arbiter.wait(HANG_SECONDS)
        psutil.wait_procs(workers, 15)
        self.start()

    def is_ready(self) -> bool:
        with suppress(requests.RequestException):
            return requests.get(f"http://127.0.0.1:{self.port}/readyz", timeout=2).status_code == 200
        return False


@dataclass
class Attempt:
    """An attempt to pay an installment under one key. A new key follows only after a response that nothing changed."""

    installment: int
    number: int = 0
    is_unsure: bool = False
    """The request may have had an effect, so it must be repeated under this key."""

    @property
    def key(self) -> str:
        return f"{self.installment}-{self.number}"

    def use_new_key(self) -> None:
        self.number += 1
        self.is_unsure = False


@dataclass
class Work:
    """The installments to pay and the results, shared by all clients."""

    url: str
    token: str
    waiting: deque[Attempt]
    paid: dict[int, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    """Installment id -> the key that paid it and the response."""
    codes: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    total: int = 0

    def client(self) -> None:
        """Pay the installments in order, and repeat those that could not be paid yet."""
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {self.token}"
            while len(self.paid) < self.total and not self.unexpected:
                try:
                    attempt = self.waiting.popleft()
                except IndexError:
                    time.sleep(0.05)
                    continue
                if not self.pay(session, attempt):
                    self.waiting.append(attempt)
                    time.sleep(0.05)

    def pay(self, session: requests.Session, attempt: Attempt) -> bool:
        """Whether the installment is paid. Reacts to each response as the API's documentation says."""
        path = f"{self.url}/api/plans/installments/{attempt.installment}/pay/"
        try:
            response = session.post(path, json={}, headers={"Idempotency-Key": attempt.key}, timeout=20)
        except requests.RequestException as error:
            self.codes[type(error).__name__] += 1
            attempt.is_unsure = True
            return False
        code = f"{response.status_code} {response.json().get('code', '')}".strip()
        self.codes[code] += 1
        if response.status_code == 200:
            self.paid[attempt.installment] = attempt.key, response.json()
        elif response.status_code == 402:
            attempt.use_new_key()
        elif code in ("202", "409 still_running", "503 outcome_unknown"):
            attempt.is_unsure = True
        elif code == "503 busy":
            if not attempt.is_unsure:
                attempt.use_new_key()
        elif code != "409 payment_in_flight":
            self.unexpected.append(f"{attempt}: {response.status_code} {response.text}")
        return response.status_code == 200


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    postgres = Cluster(tmp_path / "cluster")
    yield postgres
    postgres.server.stop(timeout=2)


@pytest.fixture
def own_app(app: Flask, cluster: Cluster) -> Iterator[Flask]:
    """The application on that cluster in this process, for the recovery sweep and the checks."""
    more = {"DATABASE_URL": cluster.url, "ACCESS_TOKEN_MINUTES": "600"}
    application = create_app(servers.settings_for(servers.database_name(), **more))
    application.config.update(ARGON2_CHEAP=True)
    bind_migrations(application)
    with application.app_context():
        flask_migrate.upgrade()
    yield application
    with application.app_context():
        db.session.remove()
        db.engine.dispose()
    limiter.init_app(app)  # the limiter belongs to one application at a time
    limiter.enabled = False


@pytest.fixture
def web(own_app: Flask, cluster: Cluster, tmp_path: Path) -> Iterator[Web]:
    with Running(tmp_path, own_app.config["QIST"].redis_url) as running:
        server = Web(running, cluster.url)
        until(server.is_ready, details=running.output)
        yield server


@pytest.mark.parametrize(
    ("count", "kills", "restarts"),
    [pytest.param(150, 3, 1, marks=pytest.mark.long), pytest.param(5000, 30, 3, marks=pytest.mark.proof)],
)
def test_kills_and_restarts_during_payments_double_lose_and_block_none(
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
    work = Work(f"http://127.0.0.1:{web.port}", token, deque(Attempt(part) for part in parts), total=len(parts))
    monkeypatch.setattr(outcomes, "UNKNOWN_AFTER", timedelta(seconds=2))
    stop = threading.Event()
    settled: list[int] = []
    threads = [threading.Thread(target=work.client) for _ in range(CLIENTS)]
    sweeper = threading.Thread(target=sweep, args=(own_app, stop, settled))
    started_at = time.monotonic()
    for thread in [*threads, sweeper]:
        thread.start()
    try:
        disturb(work, web, cluster, kills, restarts)
        for thread in threads:
            thread.join(600)
        seconds = time.monotonic() - started_at
    finally:
        work.total = 0
        stop.set()
        sweeper.join(HANG_SECONDS)
    assert work.unexpected == [], web.running.output()[-5000:]
    assert len(work.paid) == len(parts), work.codes
    with own_app.app_context():
        check_payments(work, parts)
        until(web.is_ready, 60, web.running.output)
        check_replays(work, random.sample(parts, min(len(parts), 100)))
    figures(
        f"{len(parts)} payments over HTTP in {seconds:.0f} s, {kills} SIGKILLs and {restarts} restarts of PostgreSQL: "
        f"0 double, 0 lost, 0 stuck; {sum(settled)} left in flight, for the sweep; "
        f"responses {dict(work.codes.most_common())}"
    )
    assert sum(work.codes.values()) - work.codes["200"] >= kills, "no client noticed"
    assert kills < 30 or sum(settled), "no payment was in flight"


def disturb(work: Work, web: Web, cluster: Cluster, kills: int, restarts: int) -> None:
    """Kill and restart at even intervals. Every fifth kill is of the arbiter. Every other restart is a crash, from the
    first on."""
    events: list[Callable[[], object]] = []
    for number in range(kills):
        arbiter = number % 5 == 2
        events.append(web.kill_the_arbiter if arbiter else lambda: until(web.kill_a_worker, 30))
    for number in range(restarts):
        shutdown = signal.SIGINT if number % 2 else signal.SIGQUIT
        events.insert((number + 1) * len(events) // (restarts + 1), lambda shutdown=shutdown: cluster.restart(shutdown))
    for number, event in enumerate(events, start=1):
        target = number * work.total // (len(events) + 1)
        until(lambda target=target: len(work.paid) >= target or work.unexpected, 300, lambda: str(work.codes))
        if not work.unexpected:
            event()


def sweep(app: Flask, stop: threading.Event, settled: list[int]) -> None:
    """Run the recovery sweep, which the schedule runs every 15 seconds, twice a second."""
    while not stop.wait(0.5):
        with app.app_context():
            try:
                settled.append(outcomes.settle_unknown_payments())
            except SQLAlchemyError:
                db.session.remove()


def check_payments(work: Work, parts: list[int]) -> None:
    charged = (
        select(Allocation.installment_id, tables.charges.c.amount)
        .join(Payment, Payment.id == Allocation.payment_id)
        .join(tables.charges, tables.charges.c.key == Payment.gateway_key)
        .where(tables.charges.c.outcome == "charged")
    )
    rows = db.session.execute(charged).all()
    assert sorted(row.installment_id for row in rows) == sorted(parts), "one charge for each installment"
    assert {row.amount for row in rows} == {PART}
    total = select(func.count()).select_from(tables.charges).where(tables.charges.c.outcome == "charged")
    assert db.session.scalar(total) == len(parts), "no other charges"

    states = {row.id: row.state for row in db.session.execute(select(Payment.id, Payment.state))}
    for part, (_, response) in work.paid.items():
        assert (response["id"], response["status"]) == (part, "paid"), response
        assert states[response["payment"]["id"]] == "succeeded", response
    paid = select(func.count(Installment.id)).where(Installment.paid == PART, Installment.remaining == 0)
    assert db.session.scalar(paid) == len(parts)

    assert set(states.values()) <= {"succeeded", "declined"}
    assert db.session.scalar(select(func.count(Allocation.id)).where(Allocation.state == "held")) == 0
    assert set(db.session.scalars(select(IdempotencyKey.state))) == {"done"}
    assert [(rule, count) for rule, count in checks.run() if count] == []


def check_replays(work: Work, some: list[int]) -> None:
    """A repeated key gets the same response and makes no payment."""
    before = db.session.scalar(select(func.count(Payment.id)))
    db.session.rollback()
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {work.token}"
        for part in some:
            key, first = work.paid[part]
            path = f"{work.url}/api/plans/installments/{part}/pay/"
            response = session.post(path, json={}, headers={"Idempotency-Key": key}, timeout=20)
            assert (response.status_code, response.headers["Idempotent-Replayed"]) == (200, "true")
            assert json.loads(response.content) == first
    assert db.session.scalar(select(func.count(Payment.id))) == before
