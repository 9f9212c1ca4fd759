"""Payments and sign-ins over HTTP while Valkey is frozen, killed and flushed: none fails, and none waits."""

import http.client
import http.cookiejar
import json
import re
import secrets
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from dataclasses import dataclass, field

import psycopg
import pytest
from flask import Flask

from portal.services.accounts import tokens
from tests.conftest import Figures
from tests.fixtures import people
from tests.fixtures.live import free_port
from tests.fixtures.mails import Catcher
from tests.processes.running import Running, ValkeyServer, until

PAYERS = 8
MAX_P99_INCREASE = 0.3
"""Seconds by which the p99 of payments may grow during an outage of Valkey."""


@dataclass
class Requests:
    """The start and the duration in seconds of each request, and the number of each result."""

    durations: list[tuple[float, float]] = field(default_factory=list)
    results: Counter[str] = field(default_factory=Counter)

    def record(self, started_at: float, result: str) -> None:
        self.durations.append((started_at, time.monotonic() - started_at))
        self.results[result] += 1

    def p99(self, begin: float, end: float) -> float:
        durations = sorted(duration for started_at, duration in self.durations if begin <= started_at < end)
        return durations[int(len(durations) * 0.99)] if durations else float("nan")

    def within(self, begin: float, end: float) -> int:
        """The number of requests that started and ended in this time."""
        return sum(begin <= start and start + duration <= end for start, duration in self.durations.copy())


def make_customers(app: Flask, plans: int) -> list[tuple[str, list[int]]]:
    """PAYERS customers: the token and the open installments of each."""
    with app.app_context():
        amal = people.amal()
        customers = []
        for number in range(PAYERS):
            customer = people.a_customer(f"omar{number}")
            ids = [
                row.id
                for _ in range(plans)
                for row in people.installments_of(
                    people.a_plan(
                        amal, f"omar{number}@example.com", total=600_00, count=60, first=40, interval="weekly"
                    )
                )
            ]
            customers.append((tokens.start(customer).access, ids))
        return customers


def pay(port: int, token: str, ids: list[int], pause: float, requests: Requests, stop: threading.Event) -> None:
    """Pay the installments of one customer in order."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    for installment_id in ids:
        if stop.is_set():
            break
        started_at = time.monotonic()
        path = f"/api/plans/installments/{installment_id}/pay/"
        try:
            connection.request("POST", path, b"{}", {**headers, "Idempotency-Key": secrets.token_hex(8)})
            response = connection.getresponse()
            body = json.loads(response.read())
            requests.record(started_at, "paid" if response.status == 200 else f"{response.status} {body}")
        except (OSError, http.client.HTTPException) as error:
            requests.record(started_at, repr(error))
            connection.close()
        time.sleep(pause)
    connection.close()


def sign_in(url: str, requests: Requests, stop: threading.Event) -> None:
    """Sign in repeatedly, in a new session each time."""
    while not stop.is_set():
        started_at = time.monotonic()
        try:
            browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
            with browser.open(f"{url}/login", timeout=60) as response:
                token = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', response.read().decode())
            assert token
            form = {"csrf_token": token[1], "login": "omar0", "password": people.PASSWORD}
            with browser.open(f"{url}/login", urllib.parse.urlencode(form).encode(), timeout=60) as response:
                requests.record(started_at, urllib.parse.urlsplit(response.url).path)
        except OSError as error:
            requests.record(started_at, repr(error))
        stop.wait(0.5)


@pytest.mark.parametrize(
    ("count", "quiet", "frozen", "plans", "pause"),
    [
        pytest.param(50, 1, 3, 1, 0.1, marks=pytest.mark.long),
        pytest.param(1000, 15, 30, 4, 0.25, marks=pytest.mark.proof),
    ],
    ids=["short", "long"],
)
def test_no_request_waits_for_valkey_and_every_receipt_arrives(
    app: Flask,
    database: str,
    running: Running,
    valkey_server: ValkeyServer,
    figures: Figures,
    count: int,
    quiet: float,
    frozen: float,
    plans: int,
    pause: float,
) -> None:
    customers, port = make_customers(app, plans), free_port()
    stop, paying, signing_in = threading.Event(), Requests(), Requests()
    with Catcher() as catcher, psycopg.connect(database.replace("+psycopg", ""), autocommit=True) as connection:
        running.environ |= {"SMTP_HOST": "localhost", "SMTP_PORT": str(catcher.port), "SMTP_SECURITY": "none"}
        limits = {"RATELIMIT_LOGIN": "100000 per minute", "RATELIMIT_WRITES": "100000 per minute"}
        running.start("web", PORT=str(port), WEB_WORKERS="2" if frozen > 10 else "1", **limits)
        background = [running.start("worker"), running.start("scheduler")]
        until(lambda: _is_ready(port), 60, running.output)
        threads = [
            threading.Thread(target=pay, args=(port, token, ids, pause, paying, stop)) for token, ids in customers
        ]
        threads.append(threading.Thread(target=sign_in, args=(f"http://127.0.0.1:{port}", signing_in, stop)))
        for thread in threads:
            thread.start()
        until(lambda: len(paying.durations) >= 3 * PAYERS, 60)
        begin = time.monotonic()
        time.sleep(quiet)
        outage_at = time.monotonic()
        with valkey_server.frozen():
            time.sleep(frozen)
            until(lambda: paying.within(outage_at, time.monotonic()) >= PAYERS, 60, running.output)
        thawed = time.monotonic()
        time.sleep(1)
        valkey_server.kill()
        time.sleep(2)
        valkey_server.restart()
        time.sleep(1)
        valkey_server.client.flushall()
        time.sleep(1)
        until(lambda: len(paying.durations) >= count, 300, running.output)
        end = time.monotonic()
        stop.set()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()

        def unsent() -> list[object]:
            query = (
                "SELECT id, kind, state, attempts, next_try_at, last_error FROM emails WHERE state <> 'sent' LIMIT 9"
            )
            return list(connection.execute(query))

        until(lambda: not unsent(), 90, lambda: f"{running.output()}\n{unsent()}")
        assert all(process.is_running() for process in background), running.output()
    paid, during_freeze = paying.results["paid"], paying.within(outage_at, thawed)
    receipts = {mail["Message-ID"] for mail in catcher.mails if mail["Subject"].startswith("We received your payment")}
    before, during = paying.p99(begin, outage_at), paying.p99(outage_at, end)
    figures(
        f"{paid} payments, {sum(paying.results.values()) - paid} failed, {during_freeze} of them with Valkey frozen "
        f"for {frozen} s, others with it killed or flushed: "
        f"p99 {before * 1000:.0f} ms before, {during * 1000:.0f} then; "
        f"sign-ins {signing_in.p99(begin, outage_at) * 1000:.0f} and {signing_in.p99(outage_at, end) * 1000:.0f} ms; "
        f"{paid - len(receipts)} receipts missing"
    )
    assert set(paying.results) == {"paid"}, paying.results
    assert set(signing_in.results) == {"/home"}, signing_in.results
    assert len(receipts) == paid
    if frozen > 10:  # a short outage has too few requests for a p99
        assert during <= before + MAX_P99_INCREASE
        assert signing_in.within(outage_at, thawed) >= 3


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False
