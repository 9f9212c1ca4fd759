"""The watchdog finds stuck work, restarts it and reports it."""

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine

from portal import queue
from portal.domain import clock
from portal.extensions import db
from portal.jobs import tasks
from portal.models import Email, IdempotencyKey
from portal.services import emails
from portal.services.maintenance import watchdog
from portal.services.payments import refunds
from tests.fixtures import people
from tests.fixtures.valkey.rq_jobs import a_failed_job

pytestmark = pytest.mark.usefixtures("context")


def later(**delta):
    return time_machine.travel(clock.now() + timedelta(**delta))


def a_key(user_id, key, **columns):
    db.session.add(
        IdempotencyKey(
            user_id=user_id,
            scope="POST /pay",
            key=key,
            fingerprint="f",
            state="running",
            created_at=clock.now(),
            **columns,
        )
    )


def test_without_stuck_work_the_counts_are_empty(valkey):
    amal, omar = people.amal(), people.omar()
    people.pay(people.installments_of(people.a_plan(amal))[0].id, omar)
    assert tasks.sweep_stuck() == {}


def test_payments_and_refunds_without_an_outcome_are_counted(valkey):
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal)
    people.pay(people.installments_of(plan_id)[0].id, omar, "card_refund_lost_done")
    refunds.refund(plan_id, actor=people.owner(amal), amount=10_00, reason="Too sweet")
    people.pay(people.installments_of(people.a_plan(amal))[0].id, omar, "card_lost_charged")
    with later(minutes=14):
        assert "outcomes" not in watchdog.sweep()
    with later(minutes=16):
        assert watchdog.sweep()["outcomes"] == 2


def test_late_mails_and_expired_leases_enqueue_a_drain(valkey, monkeypatch):
    monkeypatch.setattr(emails, "_throttle", emails._Throttle())
    people.omar()
    omar = people.a_customer("omar2")
    now = clock.now()
    for number, (state, age) in enumerate((("waiting", 10), ("claimed", 10), ("claimed", 0), ("waiting", -60))):
        at = now - timedelta(minutes=age)
        db.session.add(
            Email(dedupe_key=f"x:{number}", kind="receipt", to_user_id=omar, state=state, next_try_at=at, created_at=at)
        )
    db.session.commit()
    assert watchdog.sweep() == {"mails": 2}
    assert [job.func_name for job in queue.queue_on(valkey).get_jobs()] == ["portal.jobs.tasks.drain_outbox"]


def test_abandoned_keys_are_counted_and_keys_in_flight_are_not(valkey):
    amal, omar = people.amal(), people.omar()
    first, second, _ = people.installments_of(people.a_plan(amal))
    paid = people.pay(first.id, omar).id
    in_flight = people.pay(second.id, omar, "card_lost_charged").id
    a_key(omar, "unattached")
    a_key(omar, "settled", payment_id=paid)
    a_key(omar, "in flight", payment_id=in_flight)
    db.session.commit()
    assert watchdog.sweep() == {}
    with later(minutes=16):
        assert watchdog.sweep()["keys"] == 2


def test_a_part_that_fails_does_not_block_the_others(app, valkey, monkeypatch):
    def broken() -> int:
        raise RuntimeError("this part is broken")

    monkeypatch.setattr(watchdog, "_mails", broken)
    a_failed_job(valkey, "settle_payment", 1).set_status("finished")
    assert watchdog.sweep() == {"jobs": 1}
    monkeypatch.setitem(app.config, "QIST", replace(app.config["QIST"], redis_url="unix:///nowhere/valkey.sock"))
    assert watchdog.sweep() == {}
