"""Turns of businesses and endpoints, pauses of receivers that give no answer, and failures that stop no batch."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import create_engine, func, select, text, update

from portal.domain import clock
from portal.domain.events import PlanAccepted
from portal.extensions import db
from portal.jobs import tasks
from portal.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from portal.reports import webhooks as reports
from portal.services import events, unit_of_work
from portal.services.webhooks import delivery, endpoints, redelivery, turns
from tests.fixtures import people
from tests.fixtures.webhooks import an_endpoint, receiving

DEAD = "http://127.0.0.1:9/hook"
"""A port on which nobody listens."""


@unit_of_work.unit_of_work
def happen(plan_id: int, count: int) -> None:
    """So many events of the plan."""
    events.record_all([(plan_id, PlanAccepted())] * count, by=None)


def later(**delta: int) -> time_machine.travel:
    return time_machine.travel(clock.now() + timedelta(**delta))


def states(endpoint_id: int) -> dict[str, int]:
    db.session.rollback()
    query = select(WebhookDelivery.state, func.count()).where(WebhookDelivery.endpoint_id == endpoint_id)
    return {row[0]: row[1] for row in db.session.execute(query.group_by(WebhookDelivery.state))}


def attempts() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(WebhookAttempt)) or 0


def endpoint(endpoint_id: int) -> WebhookEndpoint:
    db.session.rollback()
    return db.session.get_one(WebhookEndpoint, endpoint_id, populate_existing=True)


def test_a_business_with_dead_endpoints_and_a_backlog_does_not_hold_up_another(amal: int) -> None:
    for _ in range(endpoints.LIVE_MAX):
        an_endpoint(people.owner(amal), DEAD)
    happen(people.a_plan(amal), 60 - 1)
    badr = people.badr()
    with receiving() as receiver:
        quick = an_endpoint(people.owner(badr), receiver.url).id
        people.a_plan(badr, "sara@example.com")
        assert delivery.deliver_due(delivery.BATCH) == delivery.BATCH
        assert (len(receiver.got), states(quick)) == (1, {"delivered": 1})


def test_a_receiver_that_gives_no_answer_is_paused_longer_and_longer_until_a_success(amal: int) -> None:
    owner = people.owner(amal)
    dead = an_endpoint(owner, DEAD).id
    happen(people.a_plan(amal), 20 - 1)
    assert tasks.deliver_webhooks() == turns.OF_ONE_ENDPOINT, "the requests of one batch make one pause"
    assert endpoint(dead).unreached == 1
    with later(seconds=9):
        assert tasks.deliver_webhooks() == 0
    with later(seconds=11):
        assert tasks.deliver_webhooks() == 1, "one request tries whether the receiver is back"
        with later(seconds=59):
            assert tasks.deliver_webhooks() == 0
    assert (endpoint(dead).unreached, attempts()) == (2, 5)
    with receiving() as receiver:
        db.session.execute(update(WebhookEndpoint).values(url=receiver.url))
        db.session.commit()
        with later(minutes=5):
            assert tasks.deliver_webhooks() == 20
    row = endpoint(dead)
    assert (states(dead), row.unreached, row.paused_until) == ({"delivered": 20}, 0, None)


def test_a_new_address_and_sending_again_end_a_pause(amal: int) -> None:
    owner = people.owner(amal)
    dead = an_endpoint(owner, DEAD)
    dead_id, name = dead.id, dead.name
    people.a_plan(amal)
    tasks.deliver_webhooks()
    db.session.execute(update(WebhookDelivery).values(state="failed", ended_at=clock.now()))
    db.session.commit()
    redelivery.send_again(name, db.session.scalars(select(WebhookDelivery)).one().event.name, actor=owner)
    assert endpoint(dead_id).paused_until is None
    assert tasks.deliver_webhooks() == 1 and endpoint(dead_id).paused_until is not None
    endpoints.change(name, actor=owner, url=f"{DEAD}/2")
    assert (endpoint(dead_id).paused_until, endpoint(dead_id).unreached) == (None, 0)


def test_rows_of_a_deactivated_business_are_not_waiting(amal: int) -> None:
    row = an_endpoint(people.owner(amal), DEAD)
    people.a_plan(amal)
    assert reports.counts().waiting == 1
    row.merchant.deactivated_at = clock.now()
    db.session.commit()
    counts = reports.counts()
    assert (counts.waiting, counts.oldest_at) == (0, None)


def test_a_delivery_that_is_committed_after_its_endpoint_was_turned_off_ends(amal: int) -> None:
    row = an_endpoint(people.owner(amal), DEAD)
    row_id = row.id
    people.a_plan(amal)
    row.disabled_at, row.disabled_for = clock.now(), "owner"
    db.session.commit()
    assert tasks.deliver_webhooks() == 0 and states(row_id) == {"failed": 1}


def test_an_event_that_cannot_be_rendered_delays_no_other_one(amal: int) -> None:
    """A payload of wrong types. The events of the same business and of another one are sent."""
    badr = people.badr()
    with receiving() as receiver:
        mine = an_endpoint(people.owner(amal), receiver.url, types=["payment.succeeded", "plan.accepted"]).id
        other = an_endpoint(people.owner(badr), receiver.url, types=["plan.accepted"]).id
        plan_id = people.a_plan(amal)
        broken = """INSERT INTO events (plan_id, kind, type, data, created_at)
            VALUES (:plan, 'payment.succeeded', 'payment.succeeded', '{"payment_id": "x", "amount": []}', now())"""
        db.session.execute(text(broken), {"plan": plan_id})
        db.session.commit()
        happen(plan_id, 2)
        happen(people.a_plan(badr, "sara@example.com"), 1)
        tasks.deliver_webhooks()
        assert (states(mine), states(other)) == ({"waiting": 1, "delivered": 2}, {"delivered": 1})
        with later(days=3, minutes=1):
            tasks.deliver_webhooks()
        assert (states(mine), len(receiver.got)) == ({"failed": 1, "delivered": 2}, 3)


@pytest.mark.parametrize("damage", ["secret", "kind"])
def test_what_can_never_be_sent_is_given_up(amal: int, damage: str) -> None:
    """A secret that can't be read, and an event of an unknown kind."""
    with receiving() as receiver:
        row_id = an_endpoint(people.owner(amal), receiver.url, types=["plan.accepted"]).id
        plan_id = people.a_plan(amal)
        unknown = """INSERT INTO events (plan_id, kind, type, created_at)
            VALUES (:plan, 'plan.painted', 'plan.accepted', :now)"""
        if damage == "kind":
            db.session.execute(text(unknown), {"plan": plan_id, "now": clock.now()})
        else:
            db.session.execute(update(WebhookEndpoint).values(secret="not a ciphertext"))
        db.session.commit()
        if damage == "secret":
            happen(plan_id, 1)
        tasks.deliver_webhooks()
        assert states(row_id) == {"waiting": 1}
        with later(days=2):
            tasks.deliver_webhooks()
        assert states(row_id) == {"waiting": 1}
        with later(days=3, minutes=1):
            tasks.deliver_webhooks()
        assert (states(row_id), receiver.got, attempts()) == ({"failed": 1}, [], 0)


def test_a_mark_that_fails_stops_no_batch(amal: int, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another transaction holds the endpoint that is marked first, for longer than a lock is waited for."""
    monkeypatch.setattr(unit_of_work, "MAX_ATTEMPTS", 1)
    engine = create_engine(database)
    with receiving() as receiver, engine.connect() as other:
        held = an_endpoint(people.owner(amal), receiver.url).id
        free = an_endpoint(people.owner(amal), receiver.url).id
        happen(people.a_plan(amal), 2 - 1)
        other.execute(text("SELECT id FROM webhook_endpoints WHERE id = :id FOR UPDATE"), {"id": held})
        assert tasks.deliver_webhooks() == 4
        assert (states(held), states(free)) == ({"waiting": 2}, {"delivered": 2})
        other.rollback()
        with later(seconds=30):
            assert tasks.deliver_webhooks() == 2
        assert states(held) == {"delivered": 2} and len(set(receiver.names)) == 2
    engine.dispose()
