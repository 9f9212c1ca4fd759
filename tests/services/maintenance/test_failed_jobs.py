"""Failed jobs are retried or cleared, and RQ's stale keys are removed."""

from dataclasses import replace

import pytest

from portal import queue
from portal.errors import Forbidden, Refused
from portal.services.accounts import accounts
from portal.services.mail import delivery
from portal.services.maintenance import failed_jobs, queue_housekeeping
from tests.fixtures import operations, people
from tests.fixtures.mails import text_of
from tests.fixtures.valkey.rq_jobs import a_failed_job, enqueue

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def olga(context):
    return operations.olga()


def failed_ids(valkey):
    return set(queue.queue_on(valkey).failed_job_registry.get_job_ids())


def test_a_failed_job_is_put_back_into_the_queue_once(valkey, olga):
    job = a_failed_job(valkey, "settle_payment", 4)
    failed_jobs.retry(job.id, actor=olga)
    assert queue.queue_on(valkey).get_job_ids()[:1] == [job.id]
    assert failed_ids(valkey) == set()
    with pytest.raises(Refused, match="not_failed"):
        failed_jobs.retry(job.id, actor=olga)
    assert queue.queue_on(valkey).get_job_ids().count(job.id) == 1


def test_failed_jobs_are_cleared_one_by_one_or_all_at_once(valkey, olga):
    first, second, third = (a_failed_job(valkey, "settle_payment", number) for number in range(3))
    failed_jobs.clear(second.id, actor=olga)
    assert failed_ids(valkey) == {first.id, third.id}
    with pytest.raises(Refused, match="not_failed"):
        failed_jobs.clear(second.id, actor=olga)
    assert failed_jobs.clear_all(actor=olga) == 2
    assert failed_ids(valkey) == set()
    assert failed_jobs.clear_all(actor=olga) == 0
    assert [act[:2] for act in operations.acts()] == [
        ("job_cleared", olga.user_id),
        ("jobs_cleared", olga.user_id),
    ], "an empty list is no act"


@pytest.mark.parametrize("address", [None, "unix:///nowhere/valkey.sock"])
def test_without_valkey_every_function_refuses(app, monkeypatch, olga, address):
    monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], redis_url=address))
    for call in (
        lambda: failed_jobs.retry("x", actor=olga),
        lambda: failed_jobs.clear("x", actor=olga),
        lambda: failed_jobs.clear_all(actor=olga),
    ):
        with pytest.raises(Refused) as refused:
            call()
        assert (refused.value.code, refused.value.status) == ("valkey_away", 503)


def test_stale_failures_and_a_killed_workers_lock_are_removed(valkey):
    failed, succeeded, deleted = (a_failed_job(valkey, "settle_payment", number) for number in range(3))
    succeeded.set_status("finished")
    valkey.delete(deleted.key)
    enqueue(valkey, "drain_outbox")
    rq_queue = queue.queue_on(valkey)
    assert rq_queue.acquire_maintenance_lock()
    assert queue_housekeeping.tidy_queue() == 2
    assert failed_ids(valkey) == {failed.id}
    assert not rq_queue.acquire_maintenance_lock(), "a fresh lock stays"
    valkey.expire(rq_queue.registry_cleaning_key, queue_housekeeping.MAINTENANCE_LOCK - 61)
    assert queue_housekeeping.tidy_queue() == 1
    assert rq_queue.acquire_maintenance_lock()
    assert queue_housekeeping.tidy_queue() == 0


def test_each_operator_is_told_of_a_job_that_starts_again(valkey, olga, catcher):
    accounts.create_operator("otto", "otto@example.com", people.PASSWORD)
    job = a_failed_job(valkey, "settle_payment", 4)
    failed_jobs.retry(job.id, actor=olga)
    delivery.drain()
    assert {mail["To"] for mail in catcher.mails} == {"olga@example.com", "otto@example.com"}
    assert f"olga started the failed job {job.id} again." in text_of(catcher.mails[0])


def test_nobody_but_an_operator_touches_jobs(valkey, olga):
    amal = people.owner(people.amal())
    job = a_failed_job(valkey, "settle_payment", 4)
    for call in (
        lambda: failed_jobs.retry(job.id, actor=amal),
        lambda: failed_jobs.clear(job.id, actor=amal),
        lambda: failed_jobs.clear_all(actor=amal),
    ):
        with pytest.raises(Forbidden):
            call()
    assert failed_ids(valkey) == {job.id} and operations.acts() == []
