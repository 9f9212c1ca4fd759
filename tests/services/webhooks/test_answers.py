"""The receivers' answers in the log: none about a former or an erased customer stays, whenever it comes."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import create_engine, func, select, text

from portal.domain import clock
from portal.domain.events import PlanAccepted
from portal.extensions import db
from portal.jobs import tasks
from portal.models import Merchant, WebhookAttempt, WebhookDelivery
from portal.services import events
from portal.services.maintenance import retention
from portal.services.plans import customer_emails
from portal.services.privacy import erasures
from portal.services.unit_of_work import unit_of_work
from portal.services.webhooks import answers, delivery, endpoints
from tests.fixtures import people
from tests.fixtures.concurrency import at_once
from tests.fixtures.query_log import round_trips
from tests.fixtures.webhooks import Receiver, an_endpoint, receiving
from tests.reports.test_explain import explained, nodes

RIGHT = "right@example.com"


@unit_of_work
def happen(plan_id: int, count: int = 1) -> None:
    """So many events of the plan."""
    events.record_all([(plan_id, PlanAccepted())] * count, by=None)


def excerpts() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(WebhookAttempt.excerpt).order_by(WebhookAttempt.id)))


def once(app: Flask, act: Callable[[], object]) -> Callable[[Receiver], int]:
    """An answer that comes after `act`, which the first request causes."""

    def answer(receiver: Receiver) -> int:
        if len(receiver.got) == 1:
            with app.app_context():
                act()
        return 200

    return answer


def correct(plan_id: int, email: str = RIGHT) -> None:
    customer_emails.correct(plan_id, email, actor=people.owner(people.plan_of(plan_id).merchant_id))


def a_paid_plan(amal: int, omar: int) -> int:
    plan_id = people.a_plan(amal, count=1)
    people.pay(people.installments_of(plan_id)[0].id, omar)
    return plan_id


def test_an_answer_that_comes_after_a_correction_is_logged_without_its_text(app: Flask, amal: int, omar: int) -> None:
    plan_id = people.a_plan(amal)
    with receiving(once(app, lambda: correct(plan_id))) as receiver:
        receiver.body = b"omar@example.com"
        an_endpoint(people.owner(amal), receiver.url, types=["plan.accepted"])
        happen(plan_id)
        assert tasks.deliver_webhooks() == 1
        assert excerpts() == [""]
        receiver.body = RIGHT.encode()
        happen(plan_id)
        assert tasks.deliver_webhooks() == 1
    assert excerpts() == ["", RIGHT], "the answer about the new customer stays"
    assert b"omar" in receiver.got[0][1] and b"omar" not in receiver.got[1][1]


def test_an_answer_that_comes_after_an_erasure_is_logged_without_its_text(app: Flask, amal: int, omar: int) -> None:
    with receiving(once(app, lambda: erasures.erase(omar, password=people.PASSWORD))) as receiver:
        receiver.body = b"thanks, omar@example.com"
        an_endpoint(people.owner(amal), receiver.url, types=["payment.succeeded"])
        a_paid_plan(amal, omar)
        assert tasks.deliver_webhooks() == 1
    assert excerpts() == [""]


def a_mark_waits() -> bool:
    """Whether a transaction waits for an advisory lock within some seconds."""
    query = "SELECT 1 FROM pg_locks JOIN pg_database d ON d.oid = database AND d.datname = current_database() "
    query += "WHERE locktype = 'advisory' AND NOT granted"
    engine = create_engine(db.engine.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as other:
        found = any(other.scalar(text(query)) or other.scalar(text("SELECT pg_sleep(0.02)")) for _ in range(120))
    engine.dispose()
    return found


@pytest.mark.parametrize("act", ["correction", "erasure"])
def test_an_answer_is_logged_behind_a_change_that_is_not_committed_yet(
    app: Flask, amal: int, omar: int, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    """The change has blanked the log when the answer is marked, and commits once the mark waits."""
    is_correction = act == "correction"
    plan_id = people.a_plan(amal) if is_correction else a_paid_plan(amal, omar)
    blank, mark, blanked, waited = answers.blank, delivery._mark, threading.Event(), []

    def blank_and_wait(*arguments: Any) -> None:
        blank(*arguments)
        blanked.set()
        waited.append(a_mark_waits())

    def change() -> None:
        if is_correction:
            correct(plan_id)
        else:
            erasures.erase(omar, password=people.PASSWORD)

    def mark_meanwhile(*arguments: Any) -> None:
        at_once(app, [change, lambda: blanked.wait(10) and mark(*arguments)])

    with receiving() as receiver:
        receiver.body = b"omar@example.com"
        an_endpoint(people.owner(amal), receiver.url, types=["plan.accepted"])
        happen(plan_id)
        monkeypatch.setattr(answers, "blank", blank_and_wait)
        monkeypatch.setattr(delivery, "_mark", mark_meanwhile)
        assert tasks.deliver_webhooks() == 1
    assert (waited, excerpts()) == ([True], [""])


@pytest.mark.parametrize("change", ["delete", "turn off", "deactivate"])
def test_nothing_is_sent_to_an_endpoint_that_ends_between_claim_and_sending(
    amal: int, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    owner, compose = people.owner(amal), delivery._compose
    with receiving() as receiver:
        name = an_endpoint(owner, receiver.url, types=["plan.accepted"]).name

        def later(claims: Any) -> Any:
            match change:
                case "delete":
                    endpoints.delete(name, actor=owner)
                case "turn off":
                    endpoints.change(name, actor=owner, enabled=False)
                case "deactivate":
                    deactivate(amal)
            return compose(claims)

        happen(people.a_plan(amal))
        monkeypatch.setattr(delivery, "_compose", later)
        tasks.deliver_webhooks()
        assert (receiver.got, excerpts()) == ([], [])
    row = db.session.scalars(select(WebhookDelivery)).one()
    assert row.state == ("waiting" if change == "deactivate" else "failed")


def deactivate(merchant_id: int) -> None:
    db.session.rollback()
    db.session.get_one(Merchant, merchant_id).deactivated_at = clock.now()
    db.session.commit()


def test_the_log_of_a_deactivated_business_goes_after_30_days(amal: int) -> None:
    badr = people.badr()
    with receiving(lambda receiver: 500) as receiver:
        receiver.body = b"no: omar@example.com"
        for merchant_id in (amal, badr):
            an_endpoint(people.owner(merchant_id), receiver.url, types=["plan.accepted"])
            happen(people.a_plan(merchant_id))
        assert tasks.deliver_webhooks() == 2
    deactivate(amal)
    for days, left in ((29, 2), (31, 1)):
        with time_machine.travel(clock.now() + timedelta(days=days)):
            retention.purge_expired()
            assert len(excerpts()) == left
    assert db.session.scalars(select(WebhookDelivery)).one().endpoint.merchant_id == badr, "it waits to be sent"


def test_an_attempt_is_marked_in_as_many_round_trips_whatever_the_batch(app: Flask, amal: int) -> None:
    plan_id, trips = people.a_plan(amal), {}
    with receiving() as receiver:
        for _ in range(4):
            an_endpoint(people.owner(amal), receiver.url, types=["plan.accepted"])
        for count in (1, 4):
            happen(plan_id, count)
            with round_trips(app) as found:
                tasks.deliver_webhooks()
            trips[4 * count] = found.count
    db.session.rollback()
    assert db.session.scalar(select(func.count(WebhookAttempt.id))) == 20
    assert trips[16] - trips[4] == 12 * MARK


MARK = 5
"""Round trips of one mark: the endpoint with its lock, the delivery, the attempt, both changes, the commit."""


def test_the_purge_of_the_log_uses_indexes(amal: int) -> None:
    """Among 20,000 deliveries that ended lately or wait, it reads the few old ones."""
    an_endpoint(people.owner(amal), "http://127.0.0.1:9/hook")
    deactivate(amal)
    fill = """INSERT INTO webhook_deliveries
            (endpoint_id, event_id, state, next_try_at, give_up_at, created_at, ended_at)
        SELECT w.id, n, CASE WHEN n % 100 = 0 THEN 'waiting' ELSE 'delivered' END, day, day, day,
            CASE WHEN n % 100 > 0 THEN day END FROM webhook_endpoints w, generate_series(1, 20000) n,
            LATERAL (SELECT now() - interval '1 day' * CASE WHEN n <= 200 THEN 40 ELSE 2 END AS day) d"""
    with db.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(fill))
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE webhook_deliveries"))
    with explained("DELETE") as query_plans:
        assert delivery.purge() == 200
    reads = [node for plan in query_plans for node in nodes(plan) if node.get("Relation Name") == "webhook_deliveries"]
    used = {node["Index Name"] for plan in query_plans for node in nodes(plan) if "Index Name" in node}
    assert "Seq Scan" not in {node["Node Type"] for node in reads}
    assert used >= {"ix_webhook_deliveries_ended_at", "ix_webhook_deliveries_pending_endpoint_id_next_try_at"}
