"""The cost of the hot requests in round trips to PostgreSQL, which a later change must not raise unnoticed."""

import re
import threading
from collections.abc import Callable

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select, text
from werkzeug.test import TestResponse

from portal import extensions
from portal.extensions import WriteOutsideUnitOfWork, db
from portal.models import Merchant, User
from portal.services import idempotency, row_facts
from portal.services.accounts import tokens
from tests.fixtures import people
from tests.fixtures.concurrency import at_once
from tests.fixtures.query_log import round_trips
from tests.web import HTMX, browser_of

NEW_PLAN = {
    "customer_email": "omar@example.com",
    "total_amount": "100.00",
    "num_installments": 4,
    "start_date": "2030-01-01",
}


@pytest.fixture
def cost(app: Flask, database: str) -> Callable[..., int]:
    """Send a request twice by `send`, and return the round trips of the second one, when all caches are warm."""

    def measure(send: Callable[[int], TestResponse], status: int = 200) -> int:
        assert send(0).status_code == status
        with round_trips(app) as trips:
            response = send(1)
        assert response.status_code == status, response.text
        return trips.count

    return measure


def test_round_trips_of_the_api(app: Flask, cost: Callable[..., int]) -> None:
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        plan_ids = [people.a_plan(amal, count=4) for _ in range(6)]
        rows = [[row.id for row in people.installments_of(plan_id)] for plan_id in plan_ids]
        ours, owed = ({"Authorization": f"Bearer {tokens.start(user).access}"} for user in (amal, omar))
    client = app.test_client()

    def pay(plan: int, row: int, **more: str) -> TestResponse:
        return client.post(f"/api/plans/installments/{rows[plan][row]}/pay/", headers=owed | more)

    found = {
        "me, of a business": cost(lambda _: client.get("/api/auth/me/", headers=ours)),
        "me, of a customer": cost(lambda _: client.get("/api/auth/me/", headers=owed)),
        "new plan": cost(lambda _: client.post("/api/plans/", json=NEW_PLAN, headers=ours), 201),
        "pay": cost(lambda turn: pay(turn, 0)),
        "pay with a key": cost(lambda turn: pay(turn, 1, **{"Idempotency-Key": f"key-{turn}"})),
        "pay a third": cost(lambda turn: pay(turn, 2)),
        "pay the last": cost(lambda turn: pay(turn, 3)),
        "plans": cost(lambda _: client.get("/api/plans/?limit=20", headers=ours)),
        "installments": cost(lambda _: client.get("/api/plans/installments/", headers=owed)),
        "dashboard": cost(lambda _: client.get("/api/analytics/dashboard/", headers=ours)),
    }
    assert found == {
        "me, of a business": 1,
        "me, of a customer": 1,
        "new plan": 7,
        "pay": 11,  # the first payment also accepts the plan
        "pay with a key": 11,
        "pay a third": 10,
        "pay the last": 10,
        "plans": 3,
        "installments": 2,
        "dashboard": 2,
    }


def test_round_trips_of_pages(app: Flask, cost: Callable[..., int]) -> None:
    with app.app_context():
        amal = people.amal()
        people.omar()
        plan_ids = [people.a_plan(amal, count=4) for _ in range(4)]
        rows = [people.installments_of(plan_id)[0].id for plan_id in plan_ids]
    omar, amal_at = browser_of(app, "omar"), browser_of(app, "amal")

    def pay(turn: int) -> TestResponse:
        page = omar.get(f"/plans/{plan_ids[turn]}").text
        form = page[page.index(f'action="/installments/{rows[turn]}/payments"') :].split("</form>")[0]
        values = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
        return omar.post(f"/installments/{rows[turn]}/payments", data=values, headers=HTMX)

    found = {
        "home": cost(lambda _: omar.get("/home")),
        "installments": cost(lambda _: omar.get("/installments")),
        "plan": cost(lambda _: omar.get(f"/plans/{plan_ids[0]}")),
        "plan, of a business": cost(lambda _: amal_at.get(f"/plans/{plan_ids[0]}")),
        "plans": cost(lambda _: amal_at.get("/plans")),
        "dashboard": cost(lambda _: amal_at.get("/dashboard")),
        "pay": cost(pay) - cost(lambda turn: omar.get(f"/plans/{plan_ids[turn + 2]}")),
    }
    assert found == {
        "home": 6,
        "installments": 2,
        "plan": 6,
        "plan, of a business": 7,
        "plans": 2,
        "dashboard": 8,
        "pay": 17,
    }


def test_a_read_is_one_round_trip(app: Flask, database: str) -> None:
    with app.app_context():
        people.amal()
        with round_trips(app) as trips:
            db.session.scalars(select(User.id)).all()
            db.session.remove()
        assert trips.count == 1, trips.messages


def test_a_write_outside_a_unit_of_work_is_refused(context: None) -> None:
    with pytest.raises(WriteOutsideUnitOfWork):
        idempotency.purge()
    amal = people.amal()
    db.session.get_one(User, amal).username = "amal2"
    with pytest.raises(WriteOutsideUnitOfWork):
        row_facts.changed_plan(1)
    db.session.rollback()
    assert db.session.get_one(User, amal).username == "amal"


def test_sessions_that_begin_at_once_share_one_engine(app: Flask, context: None) -> None:
    """With two engines a session would open its transaction on one connection and write on another."""
    ready = threading.Barrier(8)

    def bind() -> object:
        ready.wait(10)
        return extensions.session().get_bind()

    assert len({id(engine) for engine in at_once(app, [bind] * 8)}) == 1


def test_a_read_on_a_dead_connection_runs_again(app: Flask, context: None) -> None:
    people.amal()
    db.session.remove()
    pid = db.session.scalar(select(text("pg_backend_pid()")))
    _end(app, pid)
    assert db.session.scalars(select(Merchant.id)).all()
    assert db.session.scalar(select(text("pg_backend_pid()"))) != pid


def test_a_connection_that_lay_idle_is_asked_first(app: Flask, context: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extensions, "PING_AFTER", -1.0)
    pid = db.session.scalar(select(text("pg_backend_pid()")))
    db.session.remove()
    _end(app, pid)
    extensions.session().start_transaction()  # no read, so nothing runs again
    assert db.session.scalar(select(text("pg_backend_pid()"))) != pid
    db.session.rollback()


def _end(app: Flask, pid: int) -> None:
    url = app.config["SQLALCHEMY_DATABASE_URI"].replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
