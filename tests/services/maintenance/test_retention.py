"""A day without a visitor, and what is deleted once its time is over: rows, keys and log lines stay bounded."""

from collections import Counter
from datetime import timedelta

import pytest
import redis
import time_machine
from flask import Flask
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from portal import queue
from portal.domain import clock
from portal.extensions import db
from portal.jobs.schedule import SCHEDULE
from portal.jobs.scheduler import look
from portal.services.accounts import sessions, tokens
from portal.services.mail import delivery
from portal.services.maintenance import retention
from tests.conftest import LogLines
from tests.fixtures import people

ENDING = ("user_sessions", "token_families", "security_events", "emails", "idempotency_keys", "password_resets")
"""Tables whose rows end by their age."""
STORED = db.text("SELECT pg_database_size(current_database())")
MAX_GROWTH = 1_000_000
"""Bytes by which the database's files may grow in a day without a visitor: pages that a vacuum has not reached."""


def rows() -> Counter[str]:
    """The number of rows of each table."""
    db.session.rollback()
    return Counter({table.name: count for table in db.metadata.sorted_tables if (count := _count(table))})


def _count(table: db.Table) -> int:
    return db.session.scalar(db.select(db.func.count()).select_from(table)) or 0


@pytest.fixture
def worker(app: Flask, valkey: redis.Redis) -> SimpleWorker:
    """A worker in this process, with the worker's and the scheduler's own classes of jobs."""
    return SimpleWorker([queue.queue_on(valkey)], connection=valkey, job_class=queue.JsonJob, serializer=JSONSerializer)


@pytest.mark.long
def test_a_day_of_idleness_leaves_no_row_no_key_no_line_and_no_file(
    app: Flask, database: str, valkey: redis.Redis, worker: SimpleWorker, log_lines: LogLines
) -> None:
    """It begins at noon of the business: the digest about the payment goes out at once, not at 08:00 within the day.

    The files are those of the database; those of the metrics and of the servers' logs have tests of their own.
    """
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        people.pay(people.installments_of(people.a_plan(amal, count=2, first=40))[0].id, omar)
        begin, sizes, keys, lines = (clock.now() + timedelta(days=3)).replace(hour=9), [], [], []
        stored = []
        for hour in range(26):
            with time_machine.travel(begin + timedelta(hours=hour), tick=True):
                look(valkey)
                worker.work(burst=True, logging_level="WARNING")
            sizes.append(rows())
            keys.append(valkey.dbsize())
            lines.append([line["event"] for line in log_lines()])
            stored.append(db.session.execute(STORED).scalar_one())
    assert not queue.queue_on(valkey).failed_job_registry.get_job_ids()
    assert sizes[1] == sizes[-1], sizes[-1] - sizes[1]
    assert max(keys[2:]) <= keys[1] + len(SCHEDULE), keys
    assert lines[-1] == lines[1]
    assert stored[-1] - stored[1] <= MAX_GROWTH, stored


def test_rows_end_by_their_age(app: Flask, database: str) -> None:
    """The rows are made in the past: the database has a clock of its own, and its guards refuse early deletes."""
    now = clock.now()
    with app.app_context():
        with time_machine.travel(now - timedelta(days=400)):
            amal, omar = people.amal(), people.omar()
            people.pay(people.installments_of(people.a_plan(amal, count=2))[0].id, omar)
            sessions.start(omar)
            tokens.start(omar)
        for day in range(5):  # a mailbox gets a few mails a day
            with time_machine.travel(now - timedelta(days=399 - day)):
                delivery.drain()
        before = rows()
        assert all(before[table] for table in ("user_sessions", "token_families", "security_events", "emails"))
        while retention.purge_expired():
            pass
        after = rows()
    assert {table: after[table] for table in ENDING if after[table]} == {}
    kept = {"payments", "plans", "installments", "ledger_entries", "ledger_lines", "events", "users", "merchants"}
    assert {table: after[table] for table in kept} == {table: before[table] for table in kept}
