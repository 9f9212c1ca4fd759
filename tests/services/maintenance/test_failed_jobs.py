"""Failed jobs are run again or forgotten, and RQ's leftovers are tidied."""

from dataclasses import replace

import pytest

from portal import queue
from portal.errors import Refused
from portal.services.maintenance import failed_jobs, queue_housekeeping
from tests.fixtures.rq_jobs import a_failed_job, enqueue

pytestmark = pytest.mark.usefixtures("context")


def on_the_list(valkey):
    return set(queue.queue_on(valkey).failed_job_registry.get_job_ids())


def test_a_failed_job_is_put_back_into_the_queue_once(valkey):
    job = a_failed_job(valkey, "settle_payment", 4)
    failed_jobs.retry(job.id)
    assert queue.queue_on(valkey).get_job_ids() == [job.id]
    assert on_the_list(valkey) == set()
    with pytest.raises(Refused, match="not on the list"):
        failed_jobs.retry(job.id)
    assert queue.queue_on(valkey).get_job_ids() == [job.id]


def test_failed_jobs_are_forgotten_one_by_one_or_all_at_once(valkey):
    one, two, three = (a_failed_job(valkey, "settle_payment", number) for number in range(3))
    failed_jobs.clear(two.id)
    assert on_the_list(valkey) == {one.id, three.id}
    with pytest.raises(Refused, match="not on the list"):
        failed_jobs.clear(two.id)
    assert failed_jobs.clear_all() == 2
    assert on_the_list(valkey) == set()
    assert failed_jobs.clear_all() == 0


@pytest.mark.parametrize("address", [None, "unix:///nowhere/valkey.sock"])
def test_while_valkey_is_away_they_say_so(app, monkeypatch, address):
    monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], redis_url=address))
    for verb in (lambda: failed_jobs.retry("x"), lambda: failed_jobs.clear("x"), failed_jobs.clear_all):
        with pytest.raises(Refused) as refused:
            verb()
        assert (refused.value.code, refused.value.status) == ("valkey_away", 503)


def test_tidying_takes_what_went_well_since_off_the_list_and_frees_a_dead_workers_lock(valkey):
    failed, again, gone = (a_failed_job(valkey, "settle_payment", number) for number in range(3))
    again.set_status("finished")
    valkey.delete(gone.key)
    enqueue(valkey, "drain_outbox")
    line = queue.queue_on(valkey)
    assert line.acquire_maintenance_lock()
    assert queue_housekeeping.tidy_queue() == 2
    assert on_the_list(valkey) == {failed.id}
    assert not line.acquire_maintenance_lock(), "somebody has just begun"
    valkey.expire(line.registry_cleaning_key, queue_housekeeping.MAINTENANCE_LOCK - 61)
    assert queue_housekeeping.tidy_queue() == 1
    assert line.acquire_maintenance_lock()
    assert queue_housekeeping.tidy_queue() == 0
