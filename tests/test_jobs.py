"""Jobs only say "look now": each may run twice, at once, and for something that is gone."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from portal import clock, jobs, queue
from portal.extensions import db
from portal.models import Event, IdempotencyKey
from portal.processes import look
from portal.services import payments
from portal.services.idempotency import Once
from portal.timetable import TIMETABLE
from tests import people
from tests.crowd import at_once

pytestmark = pytest.mark.usefixtures("context")


def in_flight(count=1):
    amal, omar = people.amal(), people.omar()
    rows = [people.installments_of(people.a_plan(amal))[0].id for _ in range(count)]
    return [people.pay(row, omar, "card_lost_charged").id for row in rows]


def settled():
    db.session.rollback()
    return db.session.scalar(select(func.count(Event.id)).where(Event.kind == "payment.succeeded"))


def test_settling_one_payment_twice_and_at_once_has_one_effect(app):
    (payment_id,) = in_flight()
    assert at_once(app, [lambda: jobs.settle_payment(payment_id)] * 4) == [None] * 4
    jobs.settle_payment(payment_id)
    assert settled() == 1


def test_settling_a_payment_that_is_not_there_does_nothing():
    jobs.settle_payment(10**6)


def test_the_sweep_finds_what_nobody_rang_for():
    in_flight(3)
    with time_machine.travel(clock.now() + payments.UNKNOWN_AFTER + timedelta(seconds=1)):
        assert jobs.settle_unknown_payments() == 3
        assert jobs.settle_unknown_payments() == 0
    assert settled() == 3


def test_purging_forgets_old_keys_and_nothing_that_still_runs():
    amal, omar = people.amal(), people.omar()
    first, second, third = people.installments_of(people.a_plan(amal))
    for row, card in ((first, "card_ok"), (second, "card_declined"), (third, "card_lost_charged")):
        once = Once(omar, "POST /pay", str(row.id), "f")
        payments.pay_installment(row.id, customer_id=omar, shown=None, method=card, once=once)
    with time_machine.travel(clock.now() + timedelta(hours=25)):
        assert jobs.purge_expired() == 2
    db.session.rollback()
    assert db.session.scalars(select(IdempotencyKey.state)).all() == ["running"]


def test_the_timetable_is_registered_once_however_often_the_scheduler_looks(valkey):
    for _ in range(3):
        look(valkey)
    assert len(valkey.keys("rq:job:timetable*")) == len(TIMETABLE)
    enqueued = [job.func_name for job in queue.queue(valkey).get_jobs()]
    assert set(enqueued) <= {f"portal.jobs.{entry.job}" for entry in TIMETABLE}
    valkey.flushdb()
    look(valkey)
    assert len(valkey.keys("rq:job:timetable*")) == len(TIMETABLE)
