"""GET /api/events/: complete, in the order of the commits, resumable, and without events of others."""

from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import create_engine, text

from portal.extensions import db
from portal.jobs import tasks
from portal.models import Event, PublicEvent
from tests.api import Api, Person, create_plan, customer, merchant, problem
from tests.fixtures.concurrency import at_once
from tests.fixtures.query_log import queries

FEED = "/api/events/"


def numbered(app: Flask) -> int:
    with app.app_context():
        return tasks.number_events()


def next_of(response) -> str:
    """The address of the next page, without the origin."""
    assert response.links["next"], response.headers
    return "/" + response.links["next"]["url"].split("/", 3)[3]


def story(amal: Person, omar: Person) -> dict:
    plan = create_plan(amal, omar.email, external_id="order-1")
    pay = f"/api/plans/installments/{plan['installments'][0]['id']}/pay/"
    assert omar.api.post(pay, {"payment_method": "card_declined"}).status_code == 402
    assert omar.api.post(pay).status_code == 200
    base = f"/api/plans/{plan['id']}"
    cash = {"amount": "10.00", "method": "cash", "received_on": str(datetime.now(UTC).date())}
    assert amal.api.post(f"{base}/payments/", cash).status_code == 201
    assert amal.api.post(f"{base}/refunds/", {"amount": "5.00", "reason": "A layer"}).status_code == 201
    assert amal.api.post(f"{base}/cancel/", {"reason": "The cake was returned"}).status_code == 200
    return plan


def test_events_are_oldest_first_with_their_objects(app: Flask, amal: Person, omar: Person) -> None:
    plan = story(amal, omar)
    assert amal.api.get(FEED).json() == [], "not numbered yet"
    numbered(app)
    answer = amal.api.get(FEED)
    assert answer.status_code == 200
    events = answer.json()
    assert [event["type"] for event in events] == [
        "plan.created",
        "payment.declined",
        *(["plan.accepted"] if "plan.accepted" in {event["type"] for event in events} else []),
        "payment.succeeded",
        "payment.succeeded",
        "refund.succeeded",
        "plan.cancelled",
    ]
    assert len({event["id"] for event in events}) == len(events)
    assert {event["plan"] for event in events} == {plan["id"]} and {event["version"] for event in events} == {1}
    now = {
        "plan": amal.api.get(f"/api/plans/{plan['id']}/").json(),
        **{f"payment {row['id']}": row for row in amal.api.get("/api/payments/").json()},
        **{f"refund {row['id']}": row for row in amal.api.get("/api/refunds/").json()},
    }
    for event in events:
        about, object_id = event["object"]["type"], event["object"]["id"]
        assert event["data"] == now[about if about == "plan" else f"{about} {object_id}"], event["type"]
        assert event["data"]["id"] == object_id


def test_a_reader_continues_where_it_stopped(app: Flask, amal: Person, omar: Person) -> None:
    create_plan(amal, omar.email)
    numbered(app)
    first = amal.api.get(FEED)
    later = next_of(first)
    empty = amal.api.get(later)
    assert (len(first.json()), empty.json(), next_of(empty)) == (1, [], later)
    second = create_plan(amal, omar.email)
    numbered(app)
    assert [event["plan"] for event in amal.api.get(later).json()] == [second["id"]]
    one = amal.api.get(f"{FEED}?limit=1")
    two = amal.api.get(next_of(one))
    assert [event["id"] for event in one.json() + two.json()] == [event["id"] for event in amal.api.get(FEED).json()]
    assert problem(amal.api.get(f"{FEED}?cursor=x"), 422, "bad_cursor")


def test_filters_take_types_and_a_plan(app: Flask, amal: Person, omar: Person) -> None:
    plan, other = story(amal, omar), create_plan(amal, omar.email)
    numbered(app)
    created = amal.api.get(f"{FEED}?types=plan.created").json()
    assert [event["plan"] for event in created] == [plan["id"], other["id"]]
    both = amal.api.get(f"{FEED}?types=plan.created,%20payment.declined&plan={plan['id']}").json()
    assert [event["type"] for event in both] == ["plan.created", "payment.declined"]
    assert amal.api.get(f"{FEED}?plan={other['id'] + 1}").json() == []
    fault = problem(amal.api.get(f"{FEED}?types=plan.painted"), 422, "unknown_event_type")["errors"][0]
    assert fault["pointer"] == "#/types" and "plan.created" in fault["detail"]


def test_a_reader_of_a_rare_type_does_not_walk_the_same_events_again(app: Flask, amal: Person, omar: Person) -> None:
    plan = create_plan(amal, omar.email)
    numbered(app)
    rare = amal.api.get(f"{FEED}?types=plan.cancelled")
    assert rare.json() == []
    end = next_of(amal.api.get(FEED)).partition("cursor=")[2]
    assert next_of(rare).endswith(end), "behind everything that was read"
    assert next_of(amal.api.get(next_of(rare))) == next_of(rare)
    of_plan = amal.api.get(f"{FEED}?plan={plan['id']}&limit=1")
    assert len(of_plan.json()) == 1
    assert amal.api.post(f"/api/plans/{plan['id']}/cancel/", {"reason": "Returned"}).status_code == 200
    numbered(app)
    (cancelled,) = amal.api.get(next_of(rare)).json()
    assert (cancelled["type"], cancelled["plan"]) == ("plan.cancelled", plan["id"])
    assert [event["type"] for event in amal.api.get(next_of(of_plan)).json()] == ["plan.cancelled"]


def test_only_the_merchant_reads_its_events(app: Flask, api: Api, amal: Person, omar: Person) -> None:
    create_plan(amal, omar.email)
    numbered(app)
    badr = merchant(api)
    assert badr.api.get(FEED).json() == []
    problem(omar.api.get(FEED), 403, "forbidden")
    problem(customer(api).api.get(FEED), 403, "forbidden")


def test_the_number_of_queries_does_not_grow_with_the_events(app: Flask, amal: Person, omar: Person) -> None:
    story(amal, omar)
    numbered(app)
    amal.api.get(FEED)
    with queries(app) as few:
        amal.api.get(FEED)
    for _ in range(3):
        story_of_another(amal, omar)
    numbered(app)
    with queries(app) as many:
        amal.api.get(FEED)
    assert len(many) == len(few)


def story_of_another(amal: Person, omar: Person) -> None:
    plan = create_plan(amal, omar.email)
    omar.api.post(f"/api/plans/installments/{plan['installments'][0]['id']}/pay/")


@pytest.fixture
def plan_id(amal: Person, omar: Person) -> int:
    return int(create_plan(amal, omar.email)["id"])


def test_an_event_that_is_committed_late_is_not_skipped(app: Flask, amal: Person, plan_id: int, database: str) -> None:
    """Two open transactions take their ids in one order and commit in the other."""
    numbered(app)
    later = next_of(amal.api.get(FEED))
    insert = text(
        "INSERT INTO events (plan_id, kind, type, created_at) VALUES (:plan, :type, :type, now()) RETURNING id"
    )
    engine = create_engine(database)
    try:
        with engine.connect() as slow, engine.connect() as quick:
            early = slow.execute(insert, {"plan": plan_id, "type": "plan.accepted"}).scalar_one()
            late = quick.execute(insert, {"plan": plan_id, "type": "plan.disputed"}).scalar_one()
            assert early < late
            quick.commit()
            assert numbered(app) == 1
            seen = amal.api.get(later)
            assert [event["type"] for event in seen.json()] == ["plan.disputed"]
            slow.commit()
            assert numbered(app) == 1
            rest = amal.api.get(next_of(seen))
            assert [event["type"] for event in rest.json()] == ["plan.accepted"]
            assert amal.api.get(next_of(rest)).json() == []
    finally:
        engine.dispose()


def test_two_runs_at_once_number_each_event_once(app: Flask, amal: Person, omar: Person) -> None:
    for _ in range(5):
        create_plan(amal, omar.email)
    assert sum(at_once(app, [tasks.number_events] * 4)) == 5
    with app.app_context():
        numbers = db.session.scalars(db.select(PublicEvent.number).order_by(PublicEvent.number)).all()
        assert numbers == [1, 2, 3, 4, 5]
        kinds = db.session.scalars(db.select(Event.kind).where(Event.type.is_(None)).distinct()).all()
        assert "plan.opened" not in kinds
