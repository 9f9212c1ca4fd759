"""Deliveries of webhooks: at least once under one id, signed, retried, given up, and never to a bad address."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select, update
from standardwebhooks import Webhook

from portal.domain import clock
from portal.domain.events import PlanAccepted
from portal.errors import Refused
from portal.extensions import db
from portal.gateways import webhooks as gateway
from portal.jobs import tasks
from portal.models import Email, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from portal.services import events
from portal.services.maintenance import retention
from portal.services.privacy import erasures
from portal.services.unit_of_work import unit_of_work
from portal.services.webhooks import delivery, endpoints, redelivery
from tests.fixtures import people, servers
from tests.fixtures.concurrency import at_once
from tests.fixtures.webhooks import Receiver, an_endpoint, receiving, slowly

ROOT = Path(__file__).parents[3]


def states() -> dict[str, int]:
    db.session.rollback()
    query = select(WebhookDelivery.state, func.count()).group_by(WebhookDelivery.state)
    return {row[0]: row[1] for row in db.session.execute(query)}


def attempts() -> list[WebhookAttempt]:
    db.session.rollback()
    return list(db.session.scalars(select(WebhookAttempt).order_by(WebhookAttempt.id)))


def endpoint() -> WebhookEndpoint:
    db.session.rollback()
    return db.session.scalars(select(WebhookEndpoint).execution_options(populate_existing=True)).one()


@unit_of_work
def happen(plan_id: int, count: int) -> None:
    """So many events of the plan."""
    events.record_all([(plan_id, PlanAccepted())] * count, by=None)


def later(**delta: int) -> time_machine.travel:
    return time_machine.travel(clock.now() + timedelta(**delta))


def test_an_event_is_delivered_with_a_signature_of_standard_webhooks(amal: int, omar: int) -> None:
    with receiving() as receiver:
        secret = endpoints.create(people.owner(amal), url=receiver.url, types=["payment.succeeded"]).secret
        plan_id = people.a_plan(amal)
        paid = people.pay(people.installments_of(plan_id)[0].id, omar)
        assert tasks.deliver_webhooks() == 1
        ((headers, body),) = receiver.got
        event = Webhook(secret or "").verify(body, headers)
        assert event["type"] == "payment.succeeded" and event["id"] == headers["webhook-id"]
        assert event["object"] == {"type": "payment", "id": paid.id} and event["data"]["amount"] == "33.34"
        assert headers["content-type"] == "application/json" and headers["host"] in receiver.url
        assert tasks.deliver_webhooks() == 0
    assert states() == {"delivered": 1}
    (attempt,) = attempts()
    assert (attempt.status, attempt.problem, attempt.excerpt) == (200, None, "ok")


def test_a_change_of_the_body_breaks_the_signature(amal: int) -> None:
    with receiving() as receiver:
        secret = endpoints.create(people.owner(amal), url=receiver.url).secret
        people.a_plan(amal)
        tasks.deliver_webhooks()
        headers, body = receiver.got[0]
        with pytest.raises(Exception, match="signature"):
            Webhook(secret or "").verify(body + b" ", headers)


def test_a_delivery_is_written_in_the_commit_of_its_event(amal: int) -> None:
    an_endpoint(people.owner(amal), "http://127.0.0.1:9/hook")
    people.a_plan(amal)
    assert states() == {"waiting": 1}
    badr = people.badr()
    people.a_plan(badr, "sara@example.com")
    assert states() == {"waiting": 1}, "events of another business"


def test_both_secrets_sign_while_a_rotation_lasts(amal: int) -> None:
    owner = people.owner(amal)
    with receiving() as receiver:
        first = endpoints.create(owner, url=receiver.url).secret or ""
        second = endpoints.rotate(endpoint().name, actor=owner).secret or ""
        people.a_plan(amal)
        tasks.deliver_webhooks()
        headers, body = receiver.got[0]
        assert Webhook(first).verify(body, headers) == Webhook(second).verify(body, headers)
        with later(hours=25):
            people.a_plan(amal)
            tasks.deliver_webhooks()
            headers, body = receiver.got[1]
            assert Webhook(second).verify(body, headers)
            with pytest.raises(Exception, match="signature"):
                Webhook(first).verify(body, headers)
    stored = endpoint()
    assert first not in stored.secret and second not in stored.secret


def test_a_delivery_takes_the_secret_along_to_a_new_key(app: Flask, amal: int, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = app.config["QIST"]
    new = replace(settings, secret_key="another-0123456789abcdefghijklmnopqrstuv")
    with receiving() as receiver:
        secret = endpoints.create(people.owner(amal), url=receiver.url).secret or ""
        monkeypatch.setitem(app.config, "QIST", replace(new, secret_keys_previous=(settings.secret_key or "",)))
        for keys in (app.config["QIST"], new):
            monkeypatch.setitem(app.config, "QIST", keys)
            people.a_plan(amal)
            tasks.deliver_webhooks()
            headers, body = receiver.got[-1]
            assert Webhook(secret).verify(body, headers)
    assert len(receiver.got) == 2


def test_an_error_is_retried_under_the_same_id_with_longer_pauses(amal: int) -> None:
    with receiving(lambda receiver: 500 if len(receiver.got) < 3 else 204) as receiver:
        an_endpoint(people.owner(amal), receiver.url)
        people.a_plan(amal)
        assert tasks.deliver_webhooks() == 1 and tasks.deliver_webhooks() == 0
        with later(seconds=14):
            assert tasks.deliver_webhooks() == 1
            with later(seconds=50):
                assert tasks.deliver_webhooks() == 0, "the second pause is a minute"
            with later(seconds=80):
                assert tasks.deliver_webhooks() == 1
    assert len(set(receiver.names)) == 1 and len(receiver.names) == 3
    assert [attempt.status for attempt in attempts()] == [500, 500, 204]
    assert states() == {"delivered": 1} and endpoint().failing_since is None


def test_a_delivery_is_given_up_after_three_days_and_sent_again_by_hand(amal: int) -> None:
    owner = people.owner(amal)
    answers = [500]
    with receiving(lambda receiver: answers[0]) as receiver:
        an_endpoint(owner, receiver.url)
        people.a_plan(amal)
        start = clock.now()
        for hours in range(0, 75, 3):
            with time_machine.travel(start + timedelta(hours=hours)):
                tasks.deliver_webhooks()
        assert states() == {"failed": 1} and 10 <= len(receiver.got) <= 16
        name, event = endpoint().name, receiver.names[0]
        redelivery.send_again(name, event, actor=owner)
        with pytest.raises(Refused, match="delivery_waiting"):
            redelivery.send_again(name, event, actor=owner)
        answers[0] = 200
        tasks.deliver_webhooks()
        assert states() == {"delivered": 1} and set(receiver.names) == {event}


def test_410_disables_the_endpoint_and_mails_the_owner(amal: int) -> None:
    owner = people.owner(amal)
    with receiving(lambda receiver: 410) as receiver:
        an_endpoint(owner, receiver.url)
        people.a_plan(amal)
        tasks.deliver_webhooks()
        assert endpoint().disabled_for == "gone" and states() == {"failed": 1}
        people.a_plan(amal)
        assert states() == {"failed": 1}, "a disabled endpoint gets no events"
    (mail,) = db.session.scalars(select(Email).where(Email.kind == "webhook_disabled"))
    assert mail.to_user_id == amal
    with pytest.raises(Refused, match="endpoint_disabled"):
        redelivery.send_again(endpoint().name, receiver.names[0], actor=owner)
    endpoints.change(endpoint().name, actor=owner, enabled=True)
    people.a_plan(amal)
    assert states() == {"failed": 1, "waiting": 1}


def test_an_endpoint_is_disabled_after_five_days_of_failure(amal: int) -> None:
    with receiving(lambda receiver: 503) as receiver:
        an_endpoint(people.owner(amal), receiver.url)
        start = clock.now()
        for day in range(6):
            with time_machine.travel(start + timedelta(days=day, minutes=day)):
                people.a_plan(amal, first=10)
                tasks.deliver_webhooks()
                assert (endpoint().disabled_for == "failing") is (day == 5)


def test_a_redirect_is_a_failure_and_is_not_followed(amal: int) -> None:
    with receiving() as target, receiving(lambda receiver: 307) as receiver:
        receiver.headers["Location"] = target.url
        an_endpoint(people.owner(amal), receiver.url)
        people.a_plan(amal)
        tasks.deliver_webhooks()
        assert (len(receiver.got), target.got) == (1, [])
    assert states() == {"waiting": 1}


def test_a_slow_receiver_is_given_up_and_does_not_hold_up_another(amal: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.send, "__kwdefaults__", {**gateway.send.__kwdefaults__, "max_seconds": 2.0})  # type: ignore[attr-defined]
    with receiving(slowly(4)) as slow, receiving() as quick:
        an_endpoint(people.owner(amal), slow.url)
        an_endpoint(people.owner(amal), quick.url)
        happen(people.a_plan(amal), 6 - 1)
        tasks.deliver_webhooks()
        assert len(quick.got) == 6
    assert {attempt.problem for attempt in attempts()} == {None, "timeout"}


def test_nothing_is_sent_to_a_name_that_resolves_to_a_private_address_on_a_second_look(
    amal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The resolver says a public address first and this machine's later: each attempt connects to what it checked."""
    answers = iter([["203.0.113.7"], ["127.0.0.1"], ["10.0.0.1"]])
    row = an_endpoint(people.owner(amal), "https://shop.example.com/hook")
    monkeypatch.setattr(endpoints, "allows_loopback", lambda: False)
    people.a_plan(amal)
    with receiving() as receiver:
        db.session.execute(update(WebhookEndpoint).values(url=row.url.replace("https", "https", 1)))
        db.session.commit()
        for hours in (0, 1, 2):
            with later(hours=hours):
                delivery.deliver_due(resolve=lambda host, port: next(answers))
        assert receiver.got == []
    assert [attempt.problem for attempt in attempts()] == ["refused_address"] * 3


def test_a_deactivated_business_sends_nothing(amal: int) -> None:
    with receiving() as receiver:
        row = an_endpoint(people.owner(amal), receiver.url)
        people.a_plan(amal)
        row.merchant.deactivated_at = clock.now()
        db.session.commit()
        assert tasks.deliver_webhooks() == 0 and receiver.got == []


def test_the_log_is_kept_for_30_days_and_blanked_with_the_customer(amal: int, omar: int) -> None:
    with receiving() as receiver:
        receiver.body = b"thanks, omar@example.com" + b"x" * 100_000
        an_endpoint(people.owner(amal), receiver.url, types=["payment.succeeded"])
        plan_id = people.a_plan(amal, count=1)
        people.pay(people.installments_of(plan_id)[0].id, omar)
        tasks.deliver_webhooks()
    assert attempts()[0].excerpt.startswith("thanks") and len(attempts()[0].excerpt) == 1024
    erasures.erase(omar, password=people.PASSWORD)
    assert attempts()[0].excerpt == ""
    with later(days=29):
        retention.purge_expired()
        assert states() == {"delivered": 1}
    with later(days=31):
        retention.purge_expired()
        assert states() == {} and attempts() == []


def test_two_workers_at_once_send_each_event_once(app: object, amal: int) -> None:
    with receiving() as receiver:
        an_endpoint(people.owner(amal), receiver.url)
        happen(people.a_plan(amal), 12 - 1)
        at_once(app, [tasks.deliver_webhooks] * 3)  # type: ignore[arg-type]
        assert len(receiver.names) == 12 == len(set(receiver.names))
    assert states() == {"delivered": 12}


WORKER = """
import sys
from portal.job_app import create_job_app
from portal.jobs import tasks
from tests.fixtures import servers
app = create_job_app(servers.settings_for(sys.argv[1]))
with app.app_context():
    print("ready", flush=True)
    tasks.deliver_webhooks()
"""


def killed_while_delivering(receiver: Receiver, kills: int, each: int) -> None:
    """Kill a worker `kills` times once it has sent a few events, then let the leases run out and deliver the rest."""
    for _ in range(kills):
        before = len(receiver.got)
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, servers.database_name()],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            process.stdout.readline()
            while len(receiver.got) < before + each and process.poll() is None:
                time.sleep(0.005)
        finally:
            process.kill()
            process.wait()
        db.session.rollback()
        db.session.execute(
            update(WebhookDelivery).where(WebhookDelivery.state == "claimed").values(next_try_at=clock.now())
        )
        db.session.commit()
    for _ in range(100):
        if tasks.deliver_webhooks() == 0:
            break


def check_all_arrived(receiver: Receiver, count: int) -> None:
    assert len(set(receiver.names)) == count
    assert states() == {"delivered": count}
    bodies = {json.loads(body)["id"] for _, body in receiver.got}
    assert bodies == set(receiver.names)


@pytest.mark.long
def test_every_event_arrives_though_workers_are_killed(amal: int) -> None:
    with receiving(slowly(0.01)) as receiver:
        an_endpoint(people.owner(amal), receiver.url)
        happen(people.a_plan(amal), 30 - 1)
        killed_while_delivering(receiver, kills=3, each=4)
        check_all_arrived(receiver, 30)


@pytest.mark.proof
def test_a_thousand_events_arrive_though_workers_are_killed_30_times(amal: int) -> None:
    with receiving(slowly(0.01)) as receiver:
        an_endpoint(people.owner(amal), receiver.url)
        happen(people.a_plan(amal), 1_000 - 1)
        killed_while_delivering(receiver, kills=30, each=20)
        check_all_arrived(receiver, 1_000)
