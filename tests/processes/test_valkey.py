"""Valkey is only a doorbell: killed, frozen and flushed while customers pay over HTTP and sign in."""

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
from tests.processes.running import Doorbell, Running, until

PAYERS = 8
MORE = 0.3
"""Seconds that the slowest of a hundred payments may take longer while Valkey is in trouble."""


@dataclass
class Times:
    """How long each request took, in seconds, by when it was begun; and what was answered."""

    took: list[tuple[float, float]] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)

    def note(self, began: float, answer: str) -> None:
        self.took.append((began, time.monotonic() - began))
        self.answers[answer] += 1

    def p99(self, begin: float, end: float) -> float:
        found = sorted(took for began, took in self.took if begin <= began < end)
        return found[int(len(found) * 0.99)] if found else float("nan")

    def within(self, begin: float, end: float) -> int:
        """How many were begun and answered in this time."""
        return sum(begin <= began and began + took <= end for began, took in self.took.copy())


def the_payers(app: Flask, plans: int) -> list[tuple[str, list[int]]]:
    """Omar and his friends: each one's token and open installments."""
    with app.app_context():
        amal = people.amal()
        found = []
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
            found.append((tokens.start(customer).access, ids))
        return found


def pay(port: int, token: str, ids: list[int], pause: float, times: Times, stop: threading.Event) -> None:
    """One customer pays one installment after the other."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    for installment_id in ids:
        if stop.is_set():
            break
        began = time.monotonic()
        path = f"/api/plans/installments/{installment_id}/pay/"
        try:
            connection.request("POST", path, b"{}", {**headers, "Idempotency-Key": secrets.token_hex(8)})
            answer = connection.getresponse()
            body = json.loads(answer.read())
            times.note(began, "paid" if answer.status == 200 else f"{answer.status} {body}")
        except (OSError, http.client.HTTPException) as error:
            times.note(began, repr(error))
            connection.close()
        time.sleep(pause)
    connection.close()


def sign_in(url: str, times: Times, stop: threading.Event) -> None:
    """Somebody signs in again and again, in a new browser each time."""
    while not stop.is_set():
        began = time.monotonic()
        try:
            browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
            with browser.open(f"{url}/login", timeout=60) as answer:
                token = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', answer.read().decode())
            assert token
            form = {"csrf_token": token[1], "login": "omar0", "password": people.PASSWORD}
            with browser.open(f"{url}/login", urllib.parse.urlencode(form).encode(), timeout=60) as answer:
                times.note(began, urllib.parse.urlsplit(answer.url).path)
        except OSError as error:
            times.note(began, repr(error))
        stop.wait(0.5)


@pytest.mark.parametrize(
    ("count", "quiet", "frozen", "plans", "pause"),
    [(50, 1, 3, 1, 0.1), pytest.param(1000, 15, 30, 4, 0.25, marks=pytest.mark.proof)],
    ids=["short", "long"],
)
def test_nobody_waits_for_valkey_and_every_receipt_arrives(
    app: Flask,
    database: str,
    running: Running,
    doorbell: Doorbell,
    figures: Figures,
    count: int,
    quiet: float,
    frozen: float,
    plans: int,
    pause: float,
) -> None:
    payers, port = the_payers(app, plans), free_port()
    stop, paying, signing_in = threading.Event(), Times(), Times()
    with Catcher() as catcher, psycopg.connect(database.replace("+psycopg", ""), autocommit=True) as connection:
        running.environ |= {"SMTP_HOST": "localhost", "SMTP_PORT": str(catcher.port), "SMTP_SECURITY": "none"}
        limits = {"RATELIMIT_LOGIN": "100000 per minute", "RATELIMIT_WRITES": "100000 per minute"}
        running.start("web", PORT=str(port), WEB_WORKERS="2" if frozen > 10 else "1", **limits)
        background = [running.start("worker"), running.start("scheduler")]
        until(lambda: _is_ready(port), 60, running.output)
        people_here = [
            threading.Thread(target=pay, args=(port, token, ids, pause, paying, stop)) for token, ids in payers
        ]
        people_here.append(threading.Thread(target=sign_in, args=(f"http://127.0.0.1:{port}", signing_in, stop)))
        for one in people_here:
            one.start()
        until(lambda: len(paying.took) >= 3 * PAYERS, 60)
        begin = time.monotonic()
        time.sleep(quiet)
        trouble = time.monotonic()
        with doorbell.frozen():
            time.sleep(frozen)
            until(lambda: paying.within(trouble, time.monotonic()) >= PAYERS, 60, running.output)
        thawed = time.monotonic()
        time.sleep(1)
        doorbell.kill()
        time.sleep(2)
        doorbell.start_again()
        time.sleep(1)
        doorbell.client.flushall()
        time.sleep(1)
        until(lambda: len(paying.took) >= count, 300, running.output)
        end = time.monotonic()
        stop.set()
        for one in people_here:
            one.join(60)
            assert not one.is_alive()

        def waiting() -> list[object]:
            found = (
                "SELECT id, kind, state, attempts, next_try_at, last_error FROM emails WHERE state <> 'sent' LIMIT 9"
            )
            return list(connection.execute(found))

        until(lambda: not waiting(), 90, lambda: f"{running.output()}\n{waiting()}")
        assert all(process.is_running() for process in background), running.output()
    paid, meanwhile = paying.answers["paid"], paying.within(trouble, thawed)
    receipts = {mail["Message-ID"] for mail in catcher.mails if mail["Subject"].startswith("We received your payment")}
    before, during = paying.p99(begin, trouble), paying.p99(trouble, end)
    figures(
        f"{paid} payments, {sum(paying.answers.values()) - paid} failed, {meanwhile} of them with Valkey frozen for "
        f"{frozen} s, others with it killed or flushed: p99 {before * 1000:.0f} ms before, {during * 1000:.0f} then; "
        f"sign-ins {signing_in.p99(begin, trouble) * 1000:.0f} and {signing_in.p99(trouble, end) * 1000:.0f} ms; "
        f"{paid - len(receipts)} receipts missing"
    )
    assert set(paying.answers) == {"paid"}, paying.answers
    assert set(signing_in.answers) == {"/home"}, signing_in.answers
    assert len(receipts) == paid
    if frozen > 10:  # in less time too few come to say anything about the slowest of a hundred
        assert during <= before + MORE
        assert signing_in.within(trouble, thawed) >= 3


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
