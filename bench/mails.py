"""Mails per second, from rows of the table emails to a local SMTP catcher, with one and with two worker processes.

Each mail is claimed, re-read, rendered as text and HTML, sent, and marked in a commit of its own. The benchmark starts
its own servers. The catcher is a process of its own, and only counts. The ratio is the gain of a second worker. On a
machine with other work the rates say little; the CPU of Python for a mail is steadier.
"""

import multiprocessing
import os
import resource
import time
from multiprocessing.sharedctypes import Synchronized
from typing import Any

from aiosmtpd.controller import Controller
from flask import Flask

from portal.app import create_app
from portal.extensions import db
from portal.services.mail import delivery, rendering
from tests.fixtures import people, servers
from tests.fixtures.live import free_port
from tests.services.mail.test_rendering import COMMON, RECEIPT

MAILS = 600
INSERT = """
INSERT INTO emails (dedupe_key, kind, to_user_id, merchant_id, plan_id, data, state, next_try_at, created_at)
    SELECT 'receipt:' || n, 'receipt', :omar, :amal, :plan, jsonb_build_object('payment_id', CAST(:payment AS bigint)),
           'waiting', now(), now()
    FROM generate_series(1, :mails) AS n
"""
FORK = multiprocessing.get_context("fork")


def main() -> None:
    own_servers = servers.Servers()
    own_servers.start()
    port = free_port()
    count: Synchronized[int] = FORK.Value("i", 0)
    catcher = FORK.Process(target=catch, args=(port, count), daemon=True)
    catcher.start()
    try:
        smtp = {"SMTP_HOST": "localhost", "SMTP_PORT": str(port), "SMTP_SECURITY": "none"}
        settings = servers.settings_for(servers.database_name(), **smtp)
        app = create_app(settings)
        app.config["ARGON2_CHEAP"] = True
        servers.make_template(app)
        runs = {workers: run(app, workers, count) for workers in (1, 2)}
        with app.test_request_context():
            began = time.perf_counter()
            for _ in range(100):
                rendering.compose("receipt", COMMON | RECEIPT)
            writing = (time.perf_counter() - began) / 100
        for workers, (rate, cpu) in runs.items():
            name = f"{workers} worker{'s' if workers > 1 else ''}"
            print(f"{name}: {rate:6.0f} mails/s, {cpu * 1000:.1f} ms of Python's CPU for a mail")
        print(f"ratio of two workers to one: {runs[2][0] / runs[1][0]:.2f} (on {os.cpu_count()} cores)")
        print(f"ratio of rendering to the whole: {writing * runs[1][0]:.2f} ({writing * 1000:.1f} ms each)")
    finally:
        catcher.terminate()
        catcher.join()
        own_servers.stop()


def run(app: Flask, workers: int, count: Any) -> tuple[float, float]:
    """Mails per second with `workers` concurrent processes, and their seconds of CPU for a mail.

    Asserts that each mail arrives exactly once.
    """
    servers.fresh_database(servers.database_name())
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        payment = people.pay(people.installments_of(people.a_plan(amal))[0].id, omar)
        values = {"omar": omar, "amal": amal, "plan": payment.plan_id, "payment": payment.id, "mails": MAILS}
        with db.engine.begin() as connection:
            connection.execute(db.text("DELETE FROM emails"))
            connection.execute(db.text(INSERT), values)
        db.session.remove()
        db.engine.dispose()
    before, used = count.value, children_cpu()
    processes = [FORK.Process(target=work, args=(app,)) for _ in range(workers)]
    began = time.perf_counter()
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    took = time.perf_counter() - began
    assert count.value - before == MAILS, f"{count.value - before} of {MAILS} arrived"
    return MAILS / took, (children_cpu() - used) / MAILS


def children_cpu() -> float:
    """Seconds of CPU of the processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def work(app: Flask) -> None:
    with app.app_context():
        while delivery.drain(limit=MAILS):
            pass
        db.engine.dispose()


def catch(port: int, count: Any) -> None:
    class Handler:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            with count.get_lock():
                count.value += 1
            return "250 taken"

    Controller(Handler(), "localhost", port).start()
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
