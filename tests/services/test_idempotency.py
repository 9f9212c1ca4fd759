"""A repeated request to pay is one payment, also after a killed process."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from sqlalchemy import func, select

from portal.domain import clock
from portal.errors import KeyReused, Refused, StillRunning
from portal.extensions import db
from portal.gateways.payment.simulated import tables
from portal.models import IdempotencyKey, Payment
from portal.reports.operations import checks
from portal.services import idempotency
from portal.services.idempotency import RequestKey
from portal.services.payments import outcomes, payments
from portal.services.payments.outcomes import PaymentDeclined, PaymentMade
from portal.services.unit_of_work import unit_of_work
from tests.fixtures import people, servers
from tests.fixtures.concurrency import at_once

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def first(omar):
    """The id of the first installment of a plan of Amal's for Omar."""
    return people.installments_of(people.a_plan(people.amal()))[0].id


@pytest.fixture
def request_key(omar):
    return RequestKey(omar, "POST /pay", "key", idempotency.fingerprint("body"))


def pay(first, request_key, method="card_ok"):
    return payments.pay_installment(
        first, customer_id=request_key.user_id, shown=None, method=method, request_key=request_key
    )


def key_row():
    db.session.rollback()
    return db.session.scalars(select(IdempotencyKey)).one()


def counts():
    """The number of payments, and of charges in the gateway's own table."""
    db.session.rollback()
    charges = select(func.count()).select_from(tables.charges).where(tables.charges.c.outcome == "charged")
    return db.session.scalar(select(func.count(Payment.id))), db.session.scalar(charges)


def test_a_second_request_with_the_same_key_is_replayed(first, request_key):
    attempt = pay(first, request_key)
    again = pay(first, request_key)
    assert (attempt.replayed, again.replayed) == (False, True)
    assert again == attempt and isinstance(again, PaymentMade)
    assert again.installment.status == "paid"
    assert counts() == (1, 1)


def test_a_declined_payment_is_replayed_under_its_key_and_tried_anew_under_another(first, request_key):
    attempt = pay(first, request_key, "card_declined")
    again = pay(first, request_key, "card_declined")
    assert again.replayed and again == attempt and isinstance(again, PaymentDeclined)
    assert again.payment.decline_code == "declined"
    assert not pay(first, replace(request_key, key="another")).replayed
    assert counts() == (2, 1)


def test_another_body_under_the_same_key_is_refused(first, request_key):
    pay(first, request_key)
    with pytest.raises(KeyReused) as refused:
        pay(first, replace(request_key, fingerprint=idempotency.fingerprint("another")))
    assert (refused.value.code, refused.value.status) == ("idempotency_key_reused", 422)


def test_a_key_belongs_to_one_user_and_one_address(first, request_key):
    pay(first, request_key)
    for other in (
        replace(request_key, scope="POST /other"),
        replace(request_key, key="other"),
        replace(request_key, user_id=people.sara()),
    ):
        with pytest.raises(Refused) as refused:
            payments.pay_installment(
                first, customer_id=request_key.user_id, shown=None, method="card_ok", request_key=other
            )
        assert refused.value.code == "already_paid"
    assert counts() == (1, 1)


def test_a_refused_request_does_not_use_up_its_key(first, request_key):
    with pytest.raises(Refused):
        payments.pay_installment(
            first, customer_id=request_key.user_id, shown=1, method="card_ok", request_key=request_key
        )
    assert not pay(first, request_key).replayed


def test_a_key_counts_for_24_hours_and_is_purged_afterwards(first, request_key):
    pay(first, request_key)
    with time_machine.travel(clock.now() + timedelta(hours=23, minutes=59)):
        assert unit_of_work(idempotency.purge)() == 0
        assert pay(first, request_key).replayed
    with time_machine.travel(clock.now() + timedelta(hours=24, minutes=1)):
        with pytest.raises(Refused) as refused:
            pay(first, request_key)
        assert refused.value.code == "already_paid"
        assert unit_of_work(idempotency.purge)() == 1
        assert unit_of_work(idempotency.purge)() == 0


def test_eight_equal_requests_at_once_are_one_payment(app, first, request_key):
    results = at_once(app, [lambda: pay(first, request_key)] * 8)
    assert len({result.payment_id for result in results}) == 1
    assert sum(not result.replayed for result in results) == 1
    assert counts() == (1, 1)


class TestNoAnswer:
    """The gateway does not answer: the key runs until the sweep settles the payment."""

    def test_a_retry_waits_and_is_then_refused_as_still_running(self, first, request_key, monkeypatch):
        monkeypatch.setattr(idempotency, "WAIT_SECONDS", 0.2)
        pay(first, request_key, "card_lost_charged")
        with pytest.raises(StillRunning) as refused:
            pay(first, request_key, "card_lost_charged")
        assert (refused.value.code, refused.value.status, refused.value.retry_after) == ("still_running", 409, 1)
        assert counts() == (1, 1)

    def test_a_waiting_retry_is_replayed_once_the_payment_is_settled(self, app, first, request_key):
        payment_id = pay(first, request_key, "card_lost_charged").payment_id
        retry, _ = at_once(app, [lambda: pay(first, request_key), lambda: outcomes.settle_payment(payment_id)])
        assert (retry.payment_id, retry.replayed, retry.payment.state) == (payment_id, True, "succeeded")
        assert counts() == (1, 1)

    @pytest.mark.parametrize(
        ("card", "state"), [("card_lost_charged", "succeeded"), ("card_lost_not_charged", "declined")]
    )
    def test_the_sweep_finishes_the_key(self, first, request_key, card, state):
        payment_id = pay(first, request_key, card).payment_id
        assert (key_row().state, key_row().payment_id, key_row().result) == ("running", payment_id, None)
        outcomes.settle_payment(payment_id)
        assert (key_row().state, key_row().result["fields"]["payment"]["state"]) == ("done", state)
        again = pay(first, request_key, card)
        assert (again.payment_id, again.replayed, again.payment.state) == (payment_id, True, state)
        assert people.payment_of(payment_id).state == state


KILLED = """
import os, signal, sys
from portal.app import create_app
from portal.gateways import payment as gateway
from portal.services.payments import payments
from portal.services.idempotency import RequestKey
from tests.fixtures import servers

database, when, first, user, fingerprint = sys.argv[1:]
create_app(servers.settings_for(database)).app_context().push()
charge = gateway.active().charge

def charge_and_die(*args):
    if when == "after":
        charge(*args)
    os.kill(os.getpid(), signal.SIGKILL)

gateway.active().charge = charge_and_die
payments.pay_installment(
    int(first), customer_id=int(user), shown=None, method="card_ok",
    request_key=RequestKey(int(user), "POST /pay", "key", fingerprint),
)
"""


@pytest.mark.parametrize(
    ("when", "state", "charged"),
    [pytest.param("before", "declined", 0, marks=pytest.mark.long), ("after", "succeeded", 1)],
)
def test_the_sweep_settles_the_payment_of_a_process_killed_while_it_charged(
    first, request_key, monkeypatch, when, state, charged
):
    """A real SIGKILL between the two commits, before or after the gateway's charge."""
    arguments = [servers.database_name(), when, str(first), str(request_key.user_id), request_key.fingerprint]
    process = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments], cwd=ROOT, env=os.environ, timeout=60, capture_output=True
    )
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    assert counts() == (1, charged)
    assert key_row().state == "running"
    monkeypatch.setattr(idempotency, "WAIT_SECONDS", 0.1)
    with pytest.raises(StillRunning):
        pay(first, request_key)
    with pytest.raises(Refused) as refused:
        pay(first, replace(request_key, key="another"))
    assert refused.value.code == "payment_in_flight"

    with time_machine.travel(clock.now() + timedelta(seconds=16)):
        assert outcomes.settle_unknown_payments() == 1
    payment = people.payment_of(key_row().payment_id)
    assert (payment.state, key_row().state) == (state, "done")
    again = pay(first, request_key)
    assert (again.payment_id, again.replayed, again.payment.state) == (payment.id, True, state)
    assert counts() == (1, charged)
    assert [check for check in checks.run() if check[1]] == []
