"""The operator's figures of the queue, mails and payments, also without Valkey."""

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine

from portal import queue
from portal.domain import clock
from portal.extensions import db
from portal.jobs.scheduler import look
from portal.models import Email
from portal.reports.operations import background, health
from portal.valkey import connections
from tests.fixtures import people
from tests.fixtures.valkey.rq_jobs import a_failed_job, a_worker, enqueue
from tests.fixtures.valkey.valkey_waits import valkey_waits
from tests.processes.running import ValkeyServer

pytestmark = pytest.mark.usefixtures("context")


def test_an_idle_queue_with_a_worker_and_a_scheduler(valkey):
    a_worker(valkey, "shop-1")
    look(valkey, ())
    figures = background.background()
    assert figures and (figures.waiting, figures.oldest_at, figures.failed_count, figures.failed) == (0, None, 0, [])
    (worker,) = figures.workers
    assert (worker.name, worker.state, worker.job, worker.silent) == ("shop-1", "idle", None, False)
    assert figures.ticking
    later = clock.now() + timedelta(seconds=3 * queue.TICK_SECONDS + 1)
    with time_machine.travel(later):
        assert not background.background().ticking
        assert health.check().degraded == {"scheduler": "not_ticking"}
    with time_machine.travel(clock.now() + timedelta(minutes=2)):
        assert background.background().workers[0].silent


def test_queued_running_and_failed_jobs(valkey):
    worker = a_worker(valkey)
    running, _, _ = (
        enqueue(valkey, "settle_payment", 17),
        enqueue(valkey, "drain_outbox"),
        enqueue(valkey, "sweep_stuck"),
    )
    queue.queue_on(valkey).remove(running.id)
    worker.prepare_execution(running)
    failed = a_failed_job(valkey, "settle_payment", 4)
    went_well = a_failed_job(valkey, "purge_expired")
    went_well.set_status("finished")
    a_worker(valkey, "died").register_death()

    figures = background.background()
    assert figures and figures.waiting == 2 and figures.oldest_at is not None
    assert clock.now() - figures.oldest_at < timedelta(minutes=1)
    assert [(row.name, row.state, row.job) for row in figures.workers] == [("shop-1", "busy", "settle_payment 17")]
    (job,) = figures.failed
    assert (job.id, job.name, job.reason) == (failed.id, "settle_payment 4", "ValueError: no such plan")
    assert job.trace.startswith("Traceback") and job.failed_at is not None and figures.failed_count == 1


def test_a_failed_job_that_cannot_be_read_is_listed(valkey):
    job = a_failed_job(valkey, "settle_payment", 4)
    valkey.hset(job.key, "data", b"\x80 no job of ours")
    assert [row.name for row in background.background().failed] == [""]


def test_with_valkey_frozen_or_gone_it_says_so_at_once(app, monkeypatch, tmp_path):
    with ValkeyServer(tmp_path / "valkey") as doorbell:
        monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], redis_url=doorbell.url))
        assert background.background() is not None
        with doorbell.frozen():
            with valkey_waits() as waits:
                assert background.background() is None
                assert health.check().degraded == {"valkey": "unreachable"}
            assert 0 < sum(waits) < 4 * connections.TIMEOUT
        assert background.background() is not None
        doorbell.kill()
        assert background.background() is None
    monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], redis_url=None))
    assert background.background() is None


def test_pending_late_and_dead_mails():
    omar, now = people.omar(), clock.now()
    db.session.rollback()
    waits = {"state": "waiting", "next_try_at": now, "created_at": now - timedelta(minutes=1)}
    late = {"state": "claimed", "next_try_at": now - timedelta(minutes=5), "created_at": now - timedelta(hours=1)}
    dead = {"state": "dead", "next_try_at": now, "created_at": now, "ended_at": now, "last_error": "killed"}
    for number, columns in enumerate((waits, late, *[dead] * (background.MAX_LISTED + 1))):
        db.session.add(Email(dedupe_key=f"receipt:{number}", kind="receipt", to_user_id=omar, **columns))
    db.session.flush()
    figures = background.mail()
    before = db.session.query(Email).filter(Email.dedupe_key.in_(["receipt:0", "receipt:1"])).count()
    assert (figures.depth, figures.late, figures.dead_count) == (before, 1, background.MAX_LISTED + 1)
    assert figures.oldest_at == late["created_at"]
    assert len(figures.dead) == background.MAX_LISTED and figures.dead[0].recipient.email == "omar@example.com"
    db.session.rollback()


def test_payments_in_flight():
    amal, omar = people.amal(), people.omar()
    assert background.in_flight().oldest_at is None
    payment = people.pay(people.installments_of(people.a_plan(amal))[0].id, omar, "card_lost_charged")
    figures = background.in_flight()
    assert (figures.payments, figures.refunds, figures.oldest_at) == (1, 0, payment.created_at)
