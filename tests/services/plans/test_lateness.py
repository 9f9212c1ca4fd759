"""The event `installment.late`: once for each installment, from the first moment on which it is late."""

from datetime import date

import pytest
from sqlalchemy import select

from portal.extensions import db
from portal.jobs import tasks
from portal.models import Event, Merchant
from portal.services.payments import payments
from portal.services.plans import lateness
from tests.fixtures import people
from tests.fixtures.concurrency import at_once
from tests.fixtures.reminders import on

pytestmark = pytest.mark.usefixtures("context")

DUE = date(2026, 3, 10)


def late_events():
    db.session.rollback()
    return list(db.session.scalars(select(Event).where(Event.kind == "installment.late").order_by(Event.id)))


@pytest.mark.parametrize(
    ("zone", "due", "grace", "before", "late"),
    [
        ("Asia/Riyadh", "2026-03-10", 0, "2026-03-10 23:59:59", "2026-03-11 00:00"),
        ("America/New_York", "2026-03-07", 0, "2026-03-07 23:59:59", "2026-03-08 00:00"),
        ("Pacific/Auckland", "2026-04-04", 1, "2026-04-05 23:59:59", "2026-04-06 00:00"),
        ("Asia/Riyadh", "2028-02-28", 1, "2028-02-29 23:59:59", "2028-03-01 00:00"),
    ],
)
def test_the_event_is_written_once_at_the_local_midnight_after_grace(context, zone, due, grace, before, late):
    with on("2026-02-01 12:00", zone):
        merchant, omar = people.a_merchant("nadia", time_zone=zone), people.omar()
        db.session.get_one(Merchant, merchant).grace_days = grace
        db.session.commit()
        plan = people.a_plan(merchant, count=1, first=date.fromisoformat(due))
    with on(before, zone):
        assert tasks.mark_late_installments() == 0
    with on(late, zone) as now:
        assert tasks.mark_late_installments() == 1
        assert tasks.mark_late_installments() == 0
        now.shift(-3600)  # the clock is set back by an hour
        assert tasks.mark_late_installments() == 0
        now.shift(3600 + 86400)
        assert tasks.mark_late_installments() == 0
    (event,) = late_events()
    assert (event.plan_id, event.actor_id, event.data) == (plan, None, {"amount": 100_00})
    assert event.installment_id == people.installments_of(plan)[0].id
    assert omar


def test_parallel_and_interrupted_runs_in_small_batches_write_each_event_once(app, context, monkeypatch):
    amal, omar = people.amal(), people.omar()
    for _ in range(2):
        people.a_plan(amal, count=3, first=-70)
    paid = people.installments_of(people.a_plan(amal, count=1, first=-5))[0]
    people.pay(paid.id, omar)
    monkeypatch.setattr(lateness, "BATCH", 2)
    insert_batch, batches = lateness._insert_batch, []

    def killed(*args):
        if len(batches) == 1:
            raise KeyboardInterrupt
        batches.append(args)
        return insert_batch(*args)

    monkeypatch.setattr(lateness, "_insert_batch", killed)
    with pytest.raises(KeyboardInterrupt):
        lateness.mark_late_installments()
    assert len(late_events()) == 2
    monkeypatch.setattr(lateness, "_insert_batch", insert_batch)
    assert sum(at_once(app, [lateness.mark_late_installments] * 3)) == 4
    assert lateness.mark_late_installments() == 0
    late_ids = [event.installment_id for event in late_events()]
    assert len(late_ids) == len(set(late_ids)) == 6
    assert paid.id not in late_ids


@pytest.mark.parametrize(("method", "events"), [("card_lost_charged", 0), ("card_lost_not_charged", 1)])
def test_an_installment_is_not_reported_while_a_payment_that_covers_it_is_checked(context, method, events):
    with on("2026-02-01 12:00", "Asia/Riyadh"):
        amal, omar = people.amal(), people.omar()
        plan = people.a_plan(amal, count=1, first=date(2026, 2, 10))
    with on("2026-02-10 23:59", "Asia/Riyadh") as now:
        people.pay(people.installments_of(plan)[0].id, omar, method)
        now.shift(3600)
        assert tasks.mark_late_installments() == 0
        now.shift(3600)
        assert tasks.settle_unknown_payments() == 1
        assert tasks.mark_late_installments() == events


def test_a_part_that_is_checked_does_not_cover_the_rest(context):
    with on("2026-02-01 12:00", "Asia/Riyadh"):
        amal, omar = people.amal(), people.omar()
        plan = people.a_plan(amal, count=1, first=date(2026, 2, 10))
    with on("2026-02-10 23:59", "Asia/Riyadh") as now:
        payments.pay_plan(plan, customer_id=omar, choice="amount", shown=None, amount=5_00, method="card_lost_charged")
        now.shift(3600)
        assert tasks.mark_late_installments() == 1
