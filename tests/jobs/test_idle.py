"""The worker forks no process for a periodic job that would find nothing."""

import functools
import os
import signal
import socket
import threading
from contextlib import closing, suppress
from datetime import timedelta

import pytest
import time_machine
from redis.exceptions import RedisError
from rq import Queue
from sqlalchemy import text

from portal import queue
from portal.domain import clock
from portal.extensions import db
from portal.jobs import idle, tasks
from portal.jobs.schedule import SCHEDULE
from portal.jobs.worker import IdleWorker, WorkersJob
from portal.services.books import totals
from portal.services.operations import merchant_deactivations
from portal.services.payments import callbacks, refunds
from portal.services.reminders import reminders
from tests.fixtures import operations, people, servers
from tests.fixtures.reminders import moment, on
from tests.fixtures.webhooks import an_endpoint

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def watch(app):
    watch = idle.Watch(app.config["QIST"].database_url, callbacks.due_query())
    yield watch
    watch.close()


def finds_nothing(watch, name):
    return watch.finds_nothing(f"{queue.JOBS}.{name}")


def test_each_query_is_of_a_periodic_job_and_finds_nothing_in_an_empty_installation(watch):
    assert set(idle.FINDS) <= {entry.job for entry in SCHEDULE}
    assert {name for name in idle.FINDS if not finds_nothing(watch, name)} == set()


@time_machine.travel(moment("2026-03-04 12:00"), tick=False)
def test_work_is_found(watch):
    amal, omar = people.amal(), people.omar()
    for card in ("card_ok", "card_lost_charged"):
        people.pay(people.installments_of(people.a_plan(amal))[0].id, omar, card)
    found = {name for name in idle.FINDS if not finds_nothing(watch, name)}
    at_once = {"drain_outbox", "number_events", "settle_unknown_payments", "number_entries"}
    assert found == at_once | {"post_digests", "send_due_soon_reminders"}
    tasks.number_entries()
    tasks.number_events()
    assert finds_nothing(watch, "number_entries")
    assert finds_nothing(watch, "number_events")


def test_all_periodic_jobs_but_the_hourly_ones_are_looked_at(watch):
    """An idle worker forks for nothing: `deliver_callbacks` has the gateway's query."""
    always = {entry.job for entry in SCHEDULE} - set(idle.FINDS) - {"deliver_callbacks"}
    assert always == {"purge_expired", "end_closed_merchants"}


def test_a_shop_whose_customers_were_reminded_has_nothing_to_do_until_the_next_day(watch):
    jobs = "send_due_soon_reminders", "send_overdue_reminders", "mark_late_installments", "post_digests"
    with on("2026-03-04 12:00") as clock:
        amal = people.amal()
        for days in (1, 2, 40):
            people.a_plan(amal, first=days)
        looked(jobs)
        assert [name for name in jobs if not finds_nothing(watch, name)] == []
        found = set()
        for _ in range(8):
            clock.shift(timedelta(days=1))
            found |= {name for name in jobs if not finds_nothing(watch, name)}
            looked(jobs)
            assert [name for name in jobs if not finds_nothing(watch, name)] == []
    assert found == set(jobs)


def looked(jobs):
    for name in jobs:
        getattr(tasks, name)()
    tasks.number_events()
    tasks.drain_outbox()
    getattr(tasks, jobs[-1])()


def test_a_full_batch_counts_as_work_because_the_look_ends_there(watch, monkeypatch):
    with on("2026-03-04 12:00"):
        people.a_plan(people.amal(), first=1)
        looked(("send_due_soon_reminders", "post_digests"))
        assert finds_nothing(watch, "send_due_soon_reminders")
        monkeypatch.setattr(reminders, "BATCH", 1)
        assert not finds_nothing(watch, "send_due_soon_reminders")


def test_a_queue_that_is_not_tidy_is_work_of_the_sweep(app):
    for is_tidy in (True, False):
        looking = idle.Watch(app.config["QIST"].database_url, is_tidy=lambda tidy=is_tidy: tidy)
        assert finds_nothing(looking, "sweep_stuck") == is_tidy
        looking.close()


def test_a_valkey_that_is_away_lets_the_sweep_run(app):
    def away():
        raise RedisError

    looking = idle.Watch(app.config["QIST"].database_url, is_tidy=away)
    assert not finds_nothing(looking, "sweep_stuck")
    looking.close()


def test_a_reversal_that_the_gateway_has_not_told_is_found(watch):
    amal, omar = people.amal(), people.omar()
    row = people.installments_of(people.a_plan(amal))[0]
    people.pay(row.id, omar, "card_reversed_later")
    assert finds_nothing(watch, "deliver_callbacks")
    db.session.execute(text("UPDATE gateway_charges SET created_at = created_at - interval '1 hour'"))
    db.session.commit()
    assert not finds_nothing(watch, "deliver_callbacks")
    assert tasks.deliver_callbacks() == 1
    assert finds_nothing(watch, "deliver_callbacks")


def test_callbacks_are_delivered_where_only_the_gateway_knows_of_them(app):
    assert not finds_nothing(idle.Watch(app.config["QIST"].database_url), "deliver_callbacks")


def test_other_jobs_always_run(watch):
    for function in ("portal.jobs.tasks.settle_payment", "subprocess.number_events", "number_events", ""):
        assert not watch.finds_nothing(function)


def test_a_lost_connection_lets_jobs_run_and_is_made_again(watch):
    assert finds_nothing(watch, "open_drafts")
    db.session.execute(
        text(
            "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE query LIKE '%EXISTS%plan_drafts%'"
            " AND datname = current_database() AND pid <> pg_backend_pid()"
        )
    )
    assert not finds_nothing(watch, "open_drafts")
    assert finds_nothing(watch, "open_drafts")


def test_a_database_that_is_away_lets_jobs_run():
    assert not finds_nothing(idle.Watch("postgresql+psycopg://nobody@127.0.0.1:1/none"), "open_drafts")


class Hole:
    """A proxy before PostgreSQL's socket. Once `silent` is set, nothing arrives any more, and nothing is closed."""

    def __init__(self, target: str) -> None:
        self.target, self.silent = target, threading.Event()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.server.accept()
                inner = socket.socket(socket.AF_UNIX)
                inner.connect(self.target)
                for ends in ((client, inner), (inner, client)):
                    threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if not self.silent.is_set():
                    target.sendall(data)
            target.shutdown(socket.SHUT_WR)


def test_a_connection_that_went_silent_lets_the_job_run_and_is_made_again(app):
    limit = functools.partial(queue.time_limit, 1, idle.TooLong)
    with servers.administrator() as connection:
        info = connection.info
        hole = Hole(f"{info.host}/.s.PGSQL.{info.port}")
        url = f"postgresql://{info.user}@127.0.0.1:{hole.port}/{servers.database_name()}?gssencmode=disable"
    with hole.server, closing(idle.Watch(url, limit=limit)) as watch:
        assert finds_nothing(watch, "open_drafts")
        hole.silent.set()
        assert not finds_nothing(watch, "open_drafts")
        hole.silent.clear()
        assert finds_nothing(watch, "open_drafts")


def test_an_old_connection_is_made_anew(watch, monkeypatch):
    """Another server may have taken the place of the one that it leads to."""
    monkeypatch.setattr(idle, "RENEW_SECONDS", 0.0)
    assert finds_nothing(watch, "open_drafts")
    first = watch._connection
    assert finds_nothing(watch, "open_drafts")
    assert first.closed and watch._connection is not first


def test_a_look_has_the_sessions_settings_of_its_job(watch):
    """Some queries take an instant's date, which the session's time zone decides."""
    assert finds_nothing(watch, "open_drafts")
    shown = [watch._connection.execute(f"SHOW {name}").fetchone()[0] for name in ("TimeZone", "jit")]
    assert shown == ["UTC", "off"]


def test_work_that_may_not_be_done_is_none(watch):
    """Nothing is sent for a deactivated business, and its refunds wait for an operator."""
    amal, omar = people.amal(), people.omar()
    an_endpoint(people.owner(amal), "http://127.0.0.1:9")
    plan_id = people.a_plan(amal)
    people.pay(people.installments_of(plan_id)[0].id, omar)
    assert not finds_nothing(watch, "deliver_webhooks")
    merchant_deactivations.deactivate(amal, actor=operations.olga(), reason="Fraud")
    refunds.refund(plan_id, actor=operations.owner(amal), amount=5_00, reason="Broken")
    with time_machine.travel(clock.now() + timedelta(days=30)):
        assert finds_nothing(watch, "deliver_webhooks")
        assert finds_nothing(watch, "settle_unknown_refunds")
    assert totals.fold_all() == 0
    assert finds_nothing(watch, "fold_totals"), "few rows are not worth a fold"


def a_worker(valkey, watch):
    rq_queue = Queue(
        queue.NAME, connection=valkey, job_class=WorkersJob, serializer=queue.JSONSerializer, default_timeout=90
    )
    options = {"connection": valkey, "job_class": WorkersJob, "serializer": queue.JSONSerializer}
    return rq_queue, IdleWorker([rq_queue], watch=watch, **options)


def test_a_job_that_can_not_be_read_fails_and_the_next_one_runs(watch, valkey):
    rq_queue, worker = a_worker(valkey, watch)
    bad = rq_queue.enqueue(f"{queue.JOBS}.settle_payment", 1)
    valkey.hset(bad.key, "data", b"\x80\x04garbage")
    good = rq_queue.enqueue(f"{queue.JOBS}.open_drafts", result_ttl=600)
    worker.work(burst=True)
    assert [valkey.hget(job.key, "status") for job in (bad, good)] == [b"failed", b"finished"]


def test_a_signal_during_a_look_leaves_the_job_in_the_queue(app, watch, valkey):
    """It was not begun. RQ's cleanup would call it failed a minute later."""
    rq_queue, worker = a_worker(valkey, watch)
    assert finds_nothing(watch, "open_drafts")
    job = rq_queue.enqueue(f"{queue.JOBS}.open_drafts", result_ttl=600)
    with db.engine.connect() as connection:
        connection.execute(text("LOCK TABLE plan_drafts"))
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
        worker.work(burst=True)
        connection.rollback()
    assert valkey.lrange(rq_queue.intermediate_queue_key, 0, -1) == []
    assert rq_queue.job_ids == [job.id]


@pytest.mark.parametrize(("result_ttl", "expires"), [(-1, -1), (600, 600), (0, -2)])
def test_a_worker_ends_a_job_without_work_in_its_own_process(watch, valkey, result_ttl, expires):
    """An entry of the schedule stays, a job that a request enqueued expires, and one that keeps no result is gone."""
    rq_queue, worker = a_worker(valkey, watch)
    job = rq_queue.enqueue(f"{queue.JOBS}.open_drafts", result_ttl=result_ttl)
    taken = rq_queue.fetch_job(job.id)
    worker.execute_job(taken, rq_queue)
    assert (worker.horse_pid, taken.get_status(refresh=False).value, taken.return_value()) == (0, "finished", None)
    assert valkey.ttl(job.key) == expires
