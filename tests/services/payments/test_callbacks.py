"""The gateway's callbacks: in time, repeated, late, out of order, forged, or about an unknown key."""

import hashlib
import hmac
import json
import time
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select, text

from portal.domain import clock
from portal.errors import Busy, QistError
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.gateways.payment.simulated import gateway as simulated
from portal.gateways.payment.simulated import signatures
from portal.models import Event, IdempotencyKey, LedgerEntry, Payment, Refund
from portal.reports.operations import checks
from portal.services.idempotency import RequestKey
from portal.services.payments import callbacks, outcomes, payments, refunds, reversals
from tests.fixtures import people
from tests.fixtures.concurrency import at_once

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def plan_id(amal, omar):
    """A plan of 100.00 in three installments."""
    return people.a_plan(amal)


@pytest.fixture
def unknown(plan_id, omar):
    """A payment that was charged, with a lost answer."""
    return people.pay(people.installments_of(plan_id)[0].id, omar, "card_lost_charged")


def body(key, kind="charge.succeeded", **more):
    return json.dumps({"type": kind, "key": key, **more}).encode()


def signed(sent):
    """The headers with the gateway's signature of this body."""
    return gateway.active().signed(sent)


def call_back(key, kind="charge.succeeded", **more):
    """Receive a callback with the gateway's signature."""
    sent = body(key, kind, **more)
    callbacks.receive(sent, signed(sent))


def code_of(call, *args, **kwargs):
    with pytest.raises(QistError) as refused:
        call(*args, **kwargs)
    db.session.rollback()
    return refused.value.code


def a_refund(plan_id, amal, omar, card):
    """A refund of 5.00 on a payment with this card."""
    people.pay(people.installments_of(plan_id)[0].id, omar, card)
    (refund_id,) = refunds.refund(plan_id, actor=people.owner(amal), amount=5_00, reason="A dent").refund_ids
    return refund_of(refund_id)


def refund_of(refund_id):
    db.session.rollback()
    return db.session.get_one(Refund, refund_id, populate_existing=True)


def booked():
    """Ledger entries by kind, events by kind, and the payments' states."""
    db.session.rollback()
    entries = select(LedgerEntry.kind, func.count()).group_by(LedgerEntry.kind).order_by(LedgerEntry.kind)
    events = select(Event.kind, func.count()).group_by(Event.kind).order_by(Event.kind)
    states = select(Payment.id, Payment.state, Payment.settled_at, Payment.reversed, Payment.refunded)
    return [list(db.session.execute(query)) for query in (entries, events, states.order_by(Payment.id))]


def checks_hold():
    return [check for check in checks.run() if check[1]] == []


class TestInTime:
    def test_a_callback_settles_a_payment_and_its_request_key(self, plan_id, omar):
        request_key = RequestKey(omar, "POST /pay", "key", "f")
        first = people.installments_of(plan_id)[0].id
        arguments = {
            "customer_id": omar,
            "shown": None,
            "method": "card_lost_charged",
            "request_key": request_key,
        }
        attempt = payments.pay_installment(first, **arguments)
        call_back(people.payment_of(attempt.payment_id).gateway_key)
        assert people.payment_of(attempt.payment_id).state == "succeeded"
        assert people.installments_of(plan_id)[0].status == "paid"
        assert db.session.scalars(select(IdempotencyKey.state)).all() == ["done"]
        again = payments.pay_installment(first, **arguments)
        assert again.replayed and again.payment_id == attempt.payment_id
        assert checks_hold()

    def test_a_callback_settles_a_refund(self, plan_id, amal, omar):
        refund = a_refund(plan_id, amal, omar, "card_refund_lost_done")
        assert refund.state == "in_flight"
        call_back(refund.gateway_key, "refund.succeeded")
        assert refund_of(refund.id).state == "succeeded"
        assert people.payment_of(refund.payment_id).refunded == 5_00
        assert checks_hold()

    def test_a_callback_reverses_a_payment(self, plan_id, omar):
        payment = people.pay(people.installments_of(plan_id)[0].id, omar)
        gateway.active().bounce(payment.gateway_key)
        call_back(payment.gateway_key, "charge.reversed")
        assert people.payment_of(payment.id).state == "reversed"
        assert people.installments_of(plan_id)[0].status == "pending"
        assert checks_hold()


class TestTwiceOrLate:
    def test_a_repeated_callback_changes_nothing(self, app, plan_id, unknown):
        call_back(unknown.gateway_key)
        before = booked()
        for _ in range(3):
            call_back(unknown.gateway_key)
        key = unknown.gateway_key
        assert at_once(app, [lambda: call_back(key)] * 8) == [None] * 8
        assert booked() == before
        assert checks_hold()

    def test_callbacks_and_sweeps_at_once_record_a_payment_once(self, app, plan_id, unknown):
        key, payment_id = unknown.gateway_key, unknown.id
        db.session.rollback()
        calls = [lambda: call_back(key)] * 6 + [lambda: outcomes.settle_payment(payment_id)] * 2
        assert at_once(app, calls) == [None] * 8
        entries, events, _ = booked()
        assert dict(entries)["payment"] == 1 and dict(events)["payment.succeeded"] == 1
        assert checks_hold()

    def test_eight_callbacks_at_once_reverse_once(self, app, plan_id, omar):
        payment = people.pay(people.installments_of(plan_id)[0].id, omar)
        key = payment.gateway_key
        gateway.active().bounce(key)
        db.session.rollback()
        assert at_once(app, [lambda: call_back(key, "charge.reversed")] * 8) == [None] * 8
        entries, events, _ = booked()
        assert dict(entries)["reversal"] == 1 and dict(events)["payment.reversed"] == 1
        assert checks_hold()

    def test_a_key_that_the_sweep_closed_stays_declined(self, plan_id, omar):
        payment = people.pay(people.installments_of(plan_id)[0].id, omar, "card_lost_not_charged")
        outcomes.settle_payment(payment.id)
        before = booked()
        call_back(payment.gateway_key)
        assert booked() == before
        assert people.payment_of(payment.id).decline_code == "not_charged"

    def test_a_reversal_that_the_merchant_asked_about_stays_as_it_is(self, plan_id, amal, omar):
        payment = people.pay(people.installments_of(plan_id)[0].id, omar)
        gateway.active().bounce(payment.gateway_key)
        reversals.ask_gateway(payment.id, actor=people.owner(amal))
        before = booked()
        call_back(payment.gateway_key, "charge.reversed")
        assert booked() == before

    def test_a_reversal_after_a_full_refund_changes_nothing(self, plan_id, amal, omar):
        payment = people.pay(people.installments_of(plan_id)[0].id, omar)
        refunds.refund(plan_id, actor=people.owner(amal), amount=payment.amount, reason="It broke")
        before = booked()
        gateway.active().bounce(payment.gateway_key)
        call_back(payment.gateway_key, "charge.reversed")
        assert booked() == before


class TestOutOfOrder:
    def test_a_reversal_of_a_payment_with_unknown_outcome_is_recorded(self, plan_id, unknown):
        gateway.active().bounce(unknown.gateway_key)
        call_back(unknown.gateway_key, "charge.reversed")
        assert people.payment_of(unknown.id).state == "reversed"
        before = booked()
        call_back(unknown.gateway_key, "charge.succeeded")
        assert booked() == before
        assert checks_hold()

    def test_a_callback_before_the_gateway_has_an_outcome_is_refused_as_busy(self, plan_id, omar):
        payment = people.pay(people.installments_of(plan_id)[0].id, omar, "card_lost_not_charged")
        assert code_of(call_back, payment.gateway_key) == "busy"
        assert people.payment_of(payment.id).state == "in_flight"
        gateway.active().charge(payment.gateway_key, payment.amount, payment.currency, "card_ok")
        call_back(payment.gateway_key)
        assert people.payment_of(payment.id).state == "succeeded"
        assert checks_hold()

    def test_a_reversal_during_another_payment_of_the_plan_is_refused(self, plan_id, omar):
        first, second, _ = people.installments_of(plan_id)
        payment = people.pay(first.id, omar)
        other = people.pay(second.id, omar, "card_lost_charged")
        gateway.active().bounce(payment.gateway_key)
        assert code_of(call_back, payment.gateway_key, "charge.reversed") == "payment_in_flight"
        assert people.payment_of(payment.id).state == "succeeded"
        call_back(other.gateway_key)
        call_back(payment.gateway_key, "charge.reversed")
        assert people.payment_of(payment.id).state == "reversed"
        assert checks_hold()

    def test_a_reversal_during_a_refund_of_the_payment_is_refused(self, plan_id, amal, omar):
        refund = a_refund(plan_id, amal, omar, "card_refund_lost_done")
        charged = people.payment_of(refund.payment_id)
        gateway.active().bounce(charged.gateway_key)
        assert code_of(call_back, charged.gateway_key, "charge.reversed") == "refund_in_flight"
        call_back(refund.gateway_key, "refund.succeeded")
        call_back(charged.gateway_key, "charge.reversed")
        charged = people.payment_of(charged.id)
        assert (charged.state, charged.refunded, charged.reversed) == ("reversed", 5_00, charged.amount - 5_00)
        assert checks_hold()


class TestFalse:
    def test_the_body_of_a_callback_does_not_count(self, plan_id, amal, omar):
        paid = people.pay(people.installments_of(plan_id)[0].id, omar)
        before = booked()
        for kind in ("charge.reversed", "charge.declined", "refund.succeeded", "nonsense"):
            call_back(paid.gateway_key, kind, amount=1, state="reversed", reversed=True)
        assert booked() == before
        declined = people.pay(people.installments_of(plan_id)[1].id, omar, "card_declined")
        call_back(declined.gateway_key, "charge.succeeded")
        assert people.payment_of(declined.id).state == "declined"

    def test_a_forged_signature_is_refused(self, plan_id, unknown):
        sent = body(unknown.gateway_key)
        good = signed(sent)[signatures.HEADER]
        at, _, mac = good.partition(",v1=")
        stranger = hmac.new(b"another secret", f"{at[2:]}.".encode() + sent, hashlib.sha256).hexdigest()
        forged = [
            "",
            "v1=" + mac,
            f"{at},v1={stranger}",
            f"{at},v1={'0' * 64}",
            f"{at},v1={mac.upper()}",
            f"{at},v1={mac}0",
            f"{at},v1={mac}\n",
            f"t={int(at[2:]) + 1},v1={mac}",
            f"t=-1,v1={mac}",
            f"t={'9' * 13},v1={mac}",
            signed(body(unknown.gateway_key, "charge.reversed"))[signatures.HEADER],
            signed(sent + b" ")[signatures.HEADER],
            good.encode().decode("latin-1") + "é",
        ]
        for headers in [{}, *({signatures.HEADER: signature} for signature in forged)]:
            with pytest.raises(callbacks.BadSignature) as refused:
                callbacks.receive(sent, headers)
            assert (refused.value.code, refused.value.status) == ("bad_signature", 401), headers
        assert people.payment_of(unknown.id).state == "in_flight"

    def test_a_signature_older_than_five_minutes_is_refused(self, plan_id, unknown):
        sent = body(unknown.gateway_key)
        headers = signed(sent)
        for shift in (signatures.MAX_AGE + 2, -signatures.MAX_AGE - 2):
            with time_machine.travel(clock.now() + timedelta(seconds=shift)):
                assert code_of(callbacks.receive, sent, headers) == "bad_signature"
        assert people.payment_of(unknown.id).state == "in_flight"
        with time_machine.travel(clock.now() + timedelta(seconds=signatures.MAX_AGE - 5)):
            callbacks.receive(sent, headers)
        assert people.payment_of(unknown.id).state == "succeeded"

    def test_a_callback_about_an_unknown_key_changes_nothing(self, plan_id, unknown):
        before = booked()
        gateway.active().charge("somebody_elses", 5_00, "SAR", "card_ok")
        for key in ("somebody_elses", "qist_0", unknown.gateway_key + "x", unknown.gateway_key[:-1], "%", "'"):
            call_back(key)
        assert booked() == before

    def test_a_signed_body_that_is_no_event_is_refused(self, unknown):
        bodies = [
            b"",
            b"{}",
            b"[]",
            b'"key"',
            b"null",
            b"{",
            b"\xff\xfe",
            b'{"key": 1}',
            b'{"key": null}',
            b'{"key": ""}',
        ]
        bodies += [b'{"key": "a b"}', b'{"key": "\\u0000"}', b'{"key": "' + b"x" * 65 + b'"}', b"[" * 100_000]
        for sent in bodies:
            with pytest.raises(callbacks.Unreadable) as refused:
                callbacks.receive(sent, signed(sent))
            assert refused.value.status == 400, sent[:40]


class TestDeliverDue:
    def test_a_bounced_charge_is_called_back_until_it_is_taken(self, plan_id, omar):
        first, second, _ = people.installments_of(plan_id)
        payment = people.pay(first.id, omar, "card_reversed_later")
        other = people.pay(second.id, omar, "card_lost_charged")
        with time_machine.travel(clock.now() + simulated.BOUNCES_AFTER + timedelta(seconds=1)):
            assert callbacks.deliver_due() == 0, "refused while another payment is in flight"
            assert people.payment_of(payment.id).state == "succeeded"
            outcomes.settle_payment(other.id)
            assert callbacks.deliver_due() == 1
            assert people.payment_of(payment.id).state == "reversed"
            before = booked()
            assert callbacks.deliver_due() == 0
        assert booked() == before
        assert checks_hold()

    def test_a_refused_and_a_failed_callback_do_not_block_the_others(self, amal, omar, monkeypatch):
        plan_ids = [people.a_plan(amal) for _ in range(4)]
        bounced = [people.pay(people.installments_of(plan_id)[0].id, omar) for plan_id in plan_ids]
        people.pay(people.installments_of(plan_ids[0])[1].id, omar, "card_lost_charged")
        for payment in bounced:
            gateway.active().bounce(payment.gateway_key)
        reverse, broken = reversals.reverse_by_gateway, bounced[1].id
        monkeypatch.setattr(
            reversals,
            "reverse_by_gateway",
            lambda payment_id, outcome: 1 / 0 if payment_id == broken else reverse(payment_id, outcome),
        )
        assert callbacks.deliver_due(limit=1) == 2
        states = [people.payment_of(payment.id).state for payment in bounced]
        assert states == ["succeeded", "succeeded", "reversed", "reversed"]
        monkeypatch.undo()
        assert callbacks.deliver_due(limit=1) == 1
        assert people.payment_of(broken).state == "reversed"

    def test_the_rest_is_left_to_the_next_job_after_the_budget(self, plan_id, omar, monkeypatch):
        payment = people.pay(people.installments_of(plan_id)[0].id, omar)
        gateway.active().bounce(payment.gateway_key)
        with monkeypatch.context() as patched:
            patched.setattr(callbacks, "BUDGET", -1)
            assert callbacks.deliver_due() == 0
        assert callbacks.deliver_due() == 1

    def test_callbacks_that_use_up_the_budget_do_not_starve_newer_ones(self, amal, omar, monkeypatch):
        bounced = [people.pay(people.installments_of(people.a_plan(amal))[0].id, omar) for _ in range(4)]
        for payment in bounced:
            gateway.active().bounce(payment.gateway_key)
        *stuck, other = [payment.id for payment in bounced]
        reverse = reversals.reverse_by_gateway

        def fail_slowly(payment_id, outcome):
            if payment_id in stuck:
                time.sleep(0.1)
                raise Busy()
            reverse(payment_id, outcome)

        monkeypatch.setattr(reversals, "reverse_by_gateway", fail_slowly)
        monkeypatch.setattr(callbacks, "BUDGET", 0.05)
        for _ in range(60):
            if callbacks.deliver_due(limit=2):
                break
        assert people.payment_of(other).state == "reversed"

    def test_a_callback_is_refused_while_the_gateway_is_away(self, plan_id, omar):
        payment = people.pay(people.installments_of(plan_id)[0].id, omar)
        gateway.active().bounce(payment.gateway_key)
        rename("gateway_charges", "away")
        try:
            with pytest.raises(Busy):
                call_back(payment.gateway_key, "charge.reversed")
        finally:
            rename("away", "gateway_charges")
        call_back(payment.gateway_key, "charge.reversed")
        assert people.payment_of(payment.id).state == "reversed"


def rename(table, new):
    db.session.rollback()
    with db.engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO {new}"))
