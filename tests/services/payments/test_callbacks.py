"""The gateway calls back: in time, twice, late, out of order, forged, or about something we never heard of."""

import hashlib
import hmac
import json
import time
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select, text

from portal.domain import clock
from portal.errors import Busy, Refused
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import Event, IdempotencyKey, LedgerEntry, Payment, Refund
from portal.reports.operations import checks
from portal.services.idempotency import RequestKey
from portal.services.payments import callbacks, payments, refunds, reversals
from tests.fixtures import people
from tests.fixtures.concurrency import at_once

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def plan_id(amal, omar):
    """100.00 in three."""
    return people.a_plan(amal)


@pytest.fixture
def unknown(plan_id, omar):
    """A payment that was charged, and whose answer was lost."""
    return people.pay(people.installments_of(plan_id)[0].id, omar, "card_lost_charged")


def body(key, kind="charge.succeeded", **more):
    return json.dumps({"type": kind, "key": key, **more}).encode()


def call_back(key, kind="charge.succeeded", **more):
    """A callback as the gateway signs it."""
    sent = body(key, kind, **more)
    callbacks.receive(sent, callbacks.sign(sent))


def code_of(call, *args, **kwargs):
    with pytest.raises(Refused) as refused:
        call(*args, **kwargs)
    db.session.rollback()
    return refused.value.code


def a_refund(plan_id, amal, omar, card):
    """Omar paid with this card, and Amal gives 5.00 of it back."""
    people.pay(people.installments_of(plan_id)[0].id, omar, card)
    (refund_id,) = refunds.refund(plan_id, merchant_id=amal, amount=5_00, reason="A dent").refund_ids
    return refund_of(refund_id)


def refund_of(refund_id):
    db.session.rollback()
    return db.session.get_one(Refund, refund_id, populate_existing=True)


def booked():
    """Entries by kind, events by kind, and the state of everything that could have moved."""
    db.session.rollback()
    entries = select(LedgerEntry.kind, func.count()).group_by(LedgerEntry.kind).order_by(LedgerEntry.kind)
    events = select(Event.kind, func.count()).group_by(Event.kind).order_by(Event.kind)
    states = select(Payment.id, Payment.state, Payment.settled_at, Payment.reversed, Payment.refunded)
    return [list(db.session.execute(each)) for each in (entries, events, states.order_by(Payment.id))]


def nothing_is_broken():
    return [found for found in checks.run() if found[1]] == []


class TestInTime:
    def test_it_settles_a_payment_whose_answer_was_lost_and_the_key_that_asked_for_it(self, plan_id, omar):
        request_key = RequestKey(omar, "POST /pay", "key", "f")
        first = people.installments_of(plan_id)[0].id
        ask = {"customer_id": omar, "shown": None, "method": "card_lost_charged", "once": request_key}
        attempt = payments.pay_installment(first, **ask)
        call_back(people.payment_of(attempt.payment_id).gateway_key)
        assert people.payment_of(attempt.payment_id).state == "succeeded"
        assert people.installments_of(plan_id)[0].status == "paid"
        assert db.session.scalars(select(IdempotencyKey.state)).all() == ["done"]
        again = payments.pay_installment(first, **ask)
        assert again.replay is not None and again.payment_id == attempt.payment_id
        assert nothing_is_broken()

    def test_it_settles_a_refund_whose_answer_was_lost(self, plan_id, amal, omar):
        one = a_refund(plan_id, amal, omar, "card_refund_lost_done")
        assert one.state == "in_flight"
        call_back(one.gateway_key, "refund.succeeded")
        assert refund_of(one.id).state == "succeeded"
        assert people.payment_of(one.payment_id).refunded == 5_00
        assert nothing_is_broken()

    def test_the_bank_took_a_payment_back(self, plan_id, omar):
        payment = people.pay(people.installments_of(plan_id)[0].id, omar)
        gateway.bounce(payment.gateway_key)
        call_back(payment.gateway_key, "charge.reversed")
        assert people.payment_of(payment.id).state == "reversed"
        assert people.installments_of(plan_id)[0].status == "pending"
        assert nothing_is_broken()


class TestTwiceOrLate:
    def test_again_and_again_changes_nothing_more(self, app, plan_id, unknown):
        call_back(unknown.gateway_key)
        before = booked()
        for _ in range(3):
            call_back(unknown.gateway_key)
        key = unknown.gateway_key
        assert at_once(app, [lambda: call_back(key)] * 8) == [None] * 8
        assert booked() == before
        assert nothing_is_broken()

    def test_eight_at_once_with_the_sweep_among_them_record_it_once(self, app, plan_id, unknown):
        key, payment_id = unknown.gateway_key, unknown.id
        db.session.rollback()
        calls = [lambda: call_back(key)] * 6 + [lambda: payments.settle_payment(payment_id)] * 2
        assert at_once(app, calls) == [None] * 8
        entries, events, _ = booked()
        assert dict(entries)["payment"] == 1 and dict(events)["payment.succeeded"] == 1
        assert nothing_is_broken()

    def test_eight_at_once_reverse_it_once(self, app, plan_id, omar):
        payment = people.pay(people.installments_of(plan_id)[0].id, omar)
        key = payment.gateway_key
        gateway.bounce(key)
        db.session.rollback()
        assert at_once(app, [lambda: call_back(key, "charge.reversed")] * 8) == [None] * 8
        entries, events, _ = booked()
        assert dict(entries)["reversal"] == 1 and dict(events)["payment.reversed"] == 1
        assert nothing_is_broken()

    def test_after_the_sweep_has_closed_the_key_it_stays_declined(self, plan_id, omar):
        payment = people.pay(people.installments_of(plan_id)[0].id, omar, "card_lost_not_charged")
        payments.settle_payment(payment.id)
        before = booked()
        call_back(payment.gateway_key)
        assert booked() == before
        assert people.payment_of(payment.id).decline_code == "not_charged"

    def test_a_reversal_that_the_merchant_had_recorded_already(self, plan_id, amal, omar):
        payment = people.pay(people.installments_of(plan_id)[0].id, omar)
        reversals.reverse(payment.id, merchant_id=amal, reason="The bank wrote")
        before = booked()
        gateway.bounce(payment.gateway_key)
        call_back(payment.gateway_key, "charge.reversed")
        assert booked() == before

    def test_a_reversal_after_all_of_it_was_refunded(self, plan_id, amal, omar):
        payment = people.pay(people.installments_of(plan_id)[0].id, omar)
        refunds.refund(plan_id, merchant_id=amal, amount=payment.amount, reason="It broke")
        before = booked()
        gateway.bounce(payment.gateway_key)
        call_back(payment.gateway_key, "charge.reversed")
        assert booked() == before


class TestOutOfOrder:
    def test_reversed_before_we_knew_that_it_was_charged(self, plan_id, unknown):
        gateway.bounce(unknown.gateway_key)
        call_back(unknown.gateway_key, "charge.reversed")
        assert people.payment_of(unknown.id).state == "reversed"
        before = booked()
        call_back(unknown.gateway_key, "charge.succeeded")
        assert booked() == before
        assert nothing_is_broken()

    def test_before_the_gateway_itself_knows_it_is_asked_to_come_again(self, plan_id, omar):
        payment = people.pay(people.installments_of(plan_id)[0].id, omar, "card_lost_not_charged")
        assert code_of(call_back, payment.gateway_key) == "busy"
        assert people.payment_of(payment.id).state == "in_flight"
        gateway.charge(payment.gateway_key, payment.amount, payment.currency, "card_ok")
        call_back(payment.gateway_key)
        assert people.payment_of(payment.id).state == "succeeded"
        assert nothing_is_broken()

    def test_while_another_payment_of_the_plan_is_in_flight_a_reversal_has_to_come_again(self, plan_id, omar):
        first, second, _ = people.installments_of(plan_id)
        payment = people.pay(first.id, omar)
        other = people.pay(second.id, omar, "card_lost_charged")
        gateway.bounce(payment.gateway_key)
        assert code_of(call_back, payment.gateway_key, "charge.reversed") == "payment_in_flight"
        assert people.payment_of(payment.id).state == "succeeded"
        call_back(other.gateway_key)
        call_back(payment.gateway_key, "charge.reversed")
        assert people.payment_of(payment.id).state == "reversed"
        assert nothing_is_broken()

    def test_while_a_refund_of_it_is_on_its_way_a_reversal_has_to_come_again(self, plan_id, amal, omar):
        one = a_refund(plan_id, amal, omar, "card_refund_lost_done")
        charged = people.payment_of(one.payment_id)
        gateway.bounce(charged.gateway_key)
        assert code_of(call_back, charged.gateway_key, "charge.reversed") == "refund_in_flight"
        call_back(one.gateway_key, "refund.succeeded")
        call_back(charged.gateway_key, "charge.reversed")
        charged = people.payment_of(charged.id)
        assert (charged.state, charged.refunded, charged.reversed) == ("reversed", 5_00, charged.amount - 5_00)
        assert nothing_is_broken()


class TestFalse:
    def test_what_it_says_counts_for_nothing_only_what_the_gateway_answers(self, plan_id, amal, omar):
        paid = people.pay(people.installments_of(plan_id)[0].id, omar)
        before = booked()
        for kind in ("charge.reversed", "charge.declined", "refund.succeeded", "nonsense"):
            call_back(paid.gateway_key, kind, amount=1, state="reversed", reversed=True)
        assert booked() == before
        declined = people.pay(people.installments_of(plan_id)[1].id, omar, "card_declined")
        call_back(declined.gateway_key, "charge.succeeded")
        assert people.payment_of(declined.id).state == "declined"

    def test_a_signature_that_is_not_the_gateways(self, plan_id, unknown):
        sent = body(unknown.gateway_key)
        good = callbacks.sign(sent)
        at, _, mac = good.partition(",v1=")
        stranger = hmac.new(b"somebody else's secret", f"{at[2:]}.".encode() + sent, hashlib.sha256).hexdigest()
        forged = [
            None,
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
            callbacks.sign(body(unknown.gateway_key, "charge.reversed")),
            callbacks.sign(sent + b" "),
            good.encode().decode("latin-1") + "é",
        ]
        for signature in forged:
            with pytest.raises(callbacks.BadSignature) as refused:
                callbacks.receive(sent, signature)
            assert (refused.value.code, refused.value.status) == ("bad_signature", 401), signature
        assert people.payment_of(unknown.id).state == "in_flight"

    def test_a_good_one_that_was_recorded_and_is_sent_again_after_five_minutes(self, plan_id, unknown):
        sent = body(unknown.gateway_key)
        signature = callbacks.sign(sent)
        for shift in (callbacks.MAX_AGE + 2, -callbacks.MAX_AGE - 2):
            with time_machine.travel(clock.now() + timedelta(seconds=shift)):
                assert code_of(callbacks.receive, sent, signature) == "bad_signature"
        assert people.payment_of(unknown.id).state == "in_flight"
        with time_machine.travel(clock.now() + timedelta(seconds=callbacks.MAX_AGE - 5)):
            callbacks.receive(sent, signature)
        assert people.payment_of(unknown.id).state == "succeeded"

    def test_about_a_key_that_is_not_ours(self, plan_id, unknown):
        before = booked()
        gateway.charge("somebody_elses", 5_00, "SAR", "card_ok")
        for key in ("somebody_elses", "qist_0", unknown.gateway_key + "x", unknown.gateway_key[:-1], "%", "'"):
            call_back(key)
        assert booked() == before

    def test_signed_but_no_event(self, unknown):
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
                callbacks.receive(sent, callbacks.sign(sent))
            assert refused.value.status == 400, sent[:40]


class TestTheGatewaysOwnPart:
    def test_it_tells_us_of_a_bounced_charge_until_we_have_taken_it(self, plan_id, omar):
        first, second, _ = people.installments_of(plan_id)
        payment = people.pay(first.id, omar, "card_reversed_later")
        other = people.pay(second.id, omar, "card_lost_charged")
        with time_machine.travel(clock.now() + gateway.BOUNCES_AFTER + timedelta(seconds=1)):
            assert callbacks.deliver_due() == 0, "refused while another payment is in flight"
            assert people.payment_of(payment.id).state == "succeeded"
            payments.settle_payment(other.id)
            assert callbacks.deliver_due() == 1
            assert people.payment_of(payment.id).state == "reversed"
            before = booked()
            assert callbacks.deliver_due() == 0
        assert booked() == before
        assert nothing_is_broken()

    def test_one_that_is_refused_and_one_that_fails_keep_no_other_waiting(self, amal, omar, monkeypatch):
        plan_ids = [people.a_plan(amal) for _ in range(4)]
        bounced = [people.pay(people.installments_of(plan_id)[0].id, omar) for plan_id in plan_ids]
        people.pay(people.installments_of(plan_ids[0])[1].id, omar, "card_lost_charged")
        for payment in bounced:
            gateway.bounce(payment.gateway_key)
        reverse, broken = reversals.reverse_by_gateway, bounced[1].id
        monkeypatch.setattr(
            reversals, "reverse_by_gateway", lambda payment_id: 1 / 0 if payment_id == broken else reverse(payment_id)
        )
        assert callbacks.deliver_due(limit=1) == 2
        states = [people.payment_of(payment.id).state for payment in bounced]
        assert states == ["succeeded", "succeeded", "reversed", "reversed"]
        monkeypatch.undo()
        assert callbacks.deliver_due(limit=1) == 1
        assert people.payment_of(broken).state == "reversed"

    def test_out_of_time_the_rest_is_left_to_the_next_job(self, plan_id, omar, monkeypatch):
        payment = people.pay(people.installments_of(plan_id)[0].id, omar)
        gateway.bounce(payment.gateway_key)
        with monkeypatch.context() as patched:
            patched.setattr(callbacks, "BUDGET", -1)
            assert callbacks.deliver_due() == 0
        assert callbacks.deliver_due() == 1

    def test_those_that_use_all_the_time_up_every_time_dont_keep_newer_ones_waiting_for_ever(
        self, amal, omar, monkeypatch
    ):
        bounced = [people.pay(people.installments_of(people.a_plan(amal))[0].id, omar) for _ in range(4)]
        for payment in bounced:
            gateway.bounce(payment.gateway_key)
        *stuck, other = [payment.id for payment in bounced]
        reverse = reversals.reverse_by_gateway

        def somebody_holds_the_plan(payment_id):
            if payment_id in stuck:
                time.sleep(0.1)
                raise Busy()
            reverse(payment_id)

        monkeypatch.setattr(reversals, "reverse_by_gateway", somebody_holds_the_plan)
        monkeypatch.setattr(callbacks, "BUDGET", 0.05)
        for _ in range(60):
            if callbacks.deliver_due(limit=2):
                break
        assert people.payment_of(other).state == "reversed"

    def test_while_the_gateway_does_not_answer_a_callback_has_to_come_again(self, plan_id, omar):
        payment = people.pay(people.installments_of(plan_id)[0].id, omar)
        gateway.bounce(payment.gateway_key)
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
