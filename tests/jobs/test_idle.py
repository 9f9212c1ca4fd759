"""The worker forks no process for a periodic job that would find nothing."""

from datetime import timedelta

import pytest
import time_machine
from redis.exceptions import RedisError
from rq import Queue
from sqlalchemy import text

from portal import queue
from portal.extensions import db
from portal.jobs import idle, tasks
from portal.jobs.schedule import SCHEDULE
from portal.jobs.worker import IdleWorker, WorkersJob
from portal.services.payments import callbacks
from portal.services.reminders import reminders
from tests.fixtures import people
from tests.fixtures.reminders import moment, on

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
    at_once = {"drain_outbox", "number_events", "settle_unknown_payments", "number_entries", "fold_totals"}
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
            "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE query LIKE '%FROM plan_drafts)%'"
            " AND pid <> pg_backend_pid()"
        )
    )
    assert not finds_nothing(watch, "open_drafts")
    assert finds_nothing(watch, "open_drafts")


def test_a_database_that_is_away_lets_jobs_run():
    assert not finds_nothing(idle.Watch("postgresql+psycopg://nobody@127.0.0.1:1/none"), "open_drafts")


@pytest.mark.parametrize(("result_ttl", "expires"), [(-1, -1), (600, 600), (0, -2)])
def test_a_worker_ends_a_job_without_work_in_its_own_process(watch, valkey, result_ttl, expires):
    """An entry of the schedule stays, a job that a request enqueued expires, and one that keeps no result is gone."""
    rq_queue = Queue(
        queue.NAME, connection=valkey, job_class=WorkersJob, serializer=queue.JSONSerializer, default_timeout=90
    )
    job = rq_queue.enqueue(f"{queue.JOBS}.open_drafts", result_ttl=result_ttl)
    worker = IdleWorker(
        [rq_queue], connection=valkey, job_class=WorkersJob, serializer=queue.JSONSerializer, watch=watch
    )
    taken = rq_queue.fetch_job(job.id)
    worker.execute_job(taken, rq_queue)
    assert (worker.horse_pid, taken.get_status(refresh=False).value, taken.return_value()) == (0, "finished", None)
    assert valkey.ttl(job.key) == expires
