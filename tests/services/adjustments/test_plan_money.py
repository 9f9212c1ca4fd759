"""A customer's payments of a plan, and a merchant's credits, write-offs, cancellations, manual payments, reversals."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from portal.domain import clock
from portal.errors import Invalid, NotFound, QistError, Refused
from portal.extensions import db
from portal.models import Event, LedgerEntry, Merchant, Payment, Refund
from portal.reports.merchants import overview
from portal.reports.plans.figures import plan_figures
from portal.services.adjustments import cancellations, credits, voids, write_offs
from portal.services.idempotency import RequestKey
from portal.services.payments import (
    manual_payments,
    payment_methods,
    payments,
    refunds,
)
from tests.fixtures import people

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def plan_id(amal, omar):
    """A plan of 100.00 in four installments; the first two are due."""
    return people.a_plan(amal, total=100_00, count=4, first=-31)


def code_of(call, *args, **kwargs):
    with pytest.raises(QistError) as refused:
        call(*args, **kwargs)
    db.session.rollback()
    return refused.value.code


def statuses(plan_id):
    return [row.status for row in people.installments_of(plan_id)]


def remains(plan_id):
    return [row.remaining for row in people.installments_of(plan_id)]


def pay(plan_id, omar, choice, **more):
    options = {"shown": None, "method": "card_ok"} | more
    attempt = payments.pay_plan(plan_id, customer_id=omar, choice=choice, **options)
    return people.payment_of(attempt.payment_id)


class TestOmarPays:
    def test_all_due_installments_in_one_payment(self, plan_id, omar):
        payment = pay(plan_id, omar, "due", shown=50_00)
        assert (payment.amount, len(payment.allocations)) == (50_00, 2)
        assert statuses(plan_id) == ["paid", "paid", "pending", "pending"]
        assert code_of(pay, plan_id, omar, "due") == "nothing_due"

    def test_the_whole_remaining_amount(self, plan_id, omar):
        assert pay(plan_id, omar, "all", shown=100_00).amount == 100_00
        assert people.plan_of(plan_id).state == "completed"
        assert code_of(pay, plan_id, omar, "all") == "already_paid"

    def test_an_amount_pays_the_oldest_installment_first_which_stays_late_with_a_rest(self, plan_id, omar):
        pay(plan_id, omar, "amount", amount=10_00, shown=100_00)
        first = people.installments_of(plan_id)[0]
        assert (first.paid, first.remaining, first.status) == (10_00, 15_00, "late")
        pay(plan_id, omar, "amount", amount=20_00, shown=90_00)
        assert remains(plan_id) == [0, 20_00, 25_00, 25_00]

    def test_a_part_of_one_installment(self, plan_id, omar):
        last = people.installments_of(plan_id)[3]
        payments.pay_installment(last.id, customer_id=omar, shown=25_00, amount=5_00, method="card_ok")
        assert remains(plan_id) == [25_00, 25_00, 25_00, 20_00]

    def test_an_amount_above_the_remaining_one_is_refused_with_the_remaining_amount(self, plan_id, omar):
        with pytest.raises(Refused) as refused:
            pay(plan_id, omar, "amount", amount=100_01)
        assert (refused.value.code, refused.value.facts) == ("too_much", {"remaining": 100_00})
        assert remains(plan_id) == [25_00] * 4

    def test_a_shown_amount_that_changed_charges_nothing(self, plan_id, omar):
        assert code_of(pay, plan_id, omar, "all", shown=99_00) == "amount_changed"
        assert code_of(pay, plan_id, omar, "due", shown=100_00) == "amount_changed"
        assert db.session.scalars(select(Payment)).all() == []

    @pytest.mark.parametrize("amount", [None, 0, -5])
    def test_the_choice_amount_needs_an_amount_above_zero(self, plan_id, omar, amount):
        with pytest.raises(Invalid) as invalid:
            pay(plan_id, omar, "amount", amount=amount)
        assert invalid.value.faults[0].field == "amount"

    def test_another_customers_plan_is_not_found(self, plan_id):
        with pytest.raises(NotFound):
            pay(plan_id, people.sara(), "all")

    def test_a_saved_method_pays_for_its_own_customer_only(self, plan_id, omar):
        method_id = payment_methods.save(omar, "card_declined").method_id
        method = db.session.get_one(payment_methods.PaymentMethod, method_id)
        token, shown = method.token, (method.brand, method.last4)
        assert shown == ("Visa", "0002")
        assert pay(plan_id, omar, "all", method=token).state == "declined"
        sara = people.sara()
        other = people.a_plan(people.badr(), "sara@example.com", total=100, count=1)
        assert code_of(pay, other, sara, "all", method=token) == "unknown_method"
        with pytest.raises(NotFound):
            payment_methods.remove(sara, method_id)
        payment_methods.remove(omar, method_id)
        assert code_of(pay, plan_id, omar, "all", method=token) == "unknown_method"

    def test_a_customer_saves_at_most_ten_methods(self, omar):
        for _ in range(payment_methods.LIMIT):
            payment_methods.save(omar, "card_ok")
        assert code_of(payment_methods.save, omar, "card_ok") == "too_many_methods"
        with pytest.raises(Invalid):
            payment_methods.save(omar, "4242424242424242")


class TestCredit:
    def test_from_the_last_backwards_waives_an_installment_at_zero(self, plan_id, amal):
        credits.credit(plan_id, actor=people.owner(amal), amount=30_00, how="last", reason="Scratched", shown=100_00)
        assert remains(plan_id) == [25_00, 25_00, 20_00, 0]
        assert statuses(plan_id)[3] == "waived"

    def test_spread_over_the_unpaid_installments(self, plan_id, amal, omar):
        pay(plan_id, omar, "due")
        credits.credit(plan_id, actor=people.owner(amal), amount=10_01, how="spread", reason="Scratched")
        assert remains(plan_id) == [0, 0, 19_99, 20_00]

    def test_a_credit_of_the_whole_rest_completes_a_paid_plan_and_cancels_an_unpaid_one(self, plan_id, amal, omar):
        pay(plan_id, omar, "due")
        credits.credit(plan_id, actor=people.owner(amal), amount=50_00, how="last", reason="A gift")
        assert people.plan_of(plan_id).state == "completed"
        other = people.a_plan(amal)
        credits.credit(other, actor=people.owner(amal), amount=100_00, how="spread", reason="A gift")
        assert people.plan_of(other).state == "cancelled"
        assert set(statuses(other)) == {"waived"}

    def test_refusals(self, plan_id, amal):
        options = {"actor": people.owner(amal), "how": "last", "reason": "Scratched"}
        assert code_of(credits.credit, plan_id, amount=100_01, **options) == "too_much"
        assert code_of(credits.credit, plan_id, amount=1, shown=1, **options) == "amount_changed"
        assert code_of(credits.credit, plan_id, amount=0, **options) == "bad_amount"
        assert code_of(credits.credit, plan_id, amount=1, **options | {"how": "never"}) == "bad_choice"
        stranger = {"actor": people.owner(people.badr())}
        assert code_of(credits.credit, plan_id, amount=1, **options | stranger) == "not_found"
        assert remains(plan_id) == [25_00] * 4

    def test_repeated_requests_with_the_same_key_are_one_credit(self, plan_id, amal):
        request_key = RequestKey(amal, "POST /credits", "k", "f")
        for _ in range(3):
            credits.credit(
                plan_id, actor=people.owner(amal), amount=1_00, how="last", reason="Scratched", request_key=request_key
            )
        assert plan_figures(plan_id).credited == 1_00


class TestWriteOff:
    def test_the_rest_is_written_off_and_a_later_payment_is_a_recovery(self, plan_id, amal, omar):
        pay(plan_id, omar, "due")
        write_offs.write_off(plan_id, actor=people.owner(amal), reason="Moved away", shown=50_00)
        assert statuses(plan_id) == ["paid", "paid", "written_off", "written_off"]
        assert people.plan_of(plan_id).state == "completed"
        now = plan_figures(plan_id)
        assert (now.remaining, now.owed, now.written_off) == (0, 50_00, 50_00)
        assert pay(plan_id, omar, "all", shown=50_00).state == "succeeded"
        assert statuses(plan_id) == ["paid"] * 4
        assert plan_figures(plan_id).written_off == 0
        data = db.session.scalars(select(Event.data).where(Event.kind == "payment.succeeded").order_by(Event.id)).all()
        assert [entry.get("recovered") for entry in data] == [None, 50_00]

    def test_an_unpaid_plan_is_cancelled_until_a_payment_completes_it(self, plan_id, amal):
        write_offs.write_off(plan_id, actor=people.owner(amal), reason="Moved away")
        assert people.plan_of(plan_id).state == "cancelled"
        today = people.today_of(amal)
        manual_payments.record(plan_id, actor=people.owner(amal), amount=10_00, method="transfer", received_on=today)
        assert people.plan_of(plan_id).state == "completed"
        assert statuses(plan_id)[0] == "written_off"
        assert code_of(write_offs.write_off, plan_id, actor=people.owner(amal), reason="Again") == "nothing_owed"


class TestCancel:
    def test_the_unpaid_rest_is_void_and_payments_are_kept(self, plan_id, amal, omar):
        pay(plan_id, omar, "amount", amount=30_00)
        cancellations.cancel(plan_id, actor=people.owner(amal), reason="Sold out", shown=70_00, shown_refundable=30_00)
        assert people.plan_of(plan_id).status == "cancelled"
        assert statuses(plan_id) == ["paid", "cancelled", "cancelled", "cancelled"]
        assert plan_figures(plan_id).kept == 30_00
        again = code_of(cancellations.cancel, plan_id, actor=people.owner(amal), reason="Again")
        assert again == "plan_cancelled"
        assert code_of(pay, plan_id, omar, "all") == "plan_cancelled"

    def test_a_cancellation_may_refund_the_payments(self, plan_id, amal, omar):
        pay(plan_id, omar, "due")
        done = cancellations.cancel(plan_id, actor=people.owner(amal), reason="Sold out", refund=50_00)
        assert db.session.get_one(Refund, done.refunds[0].id).state == "succeeded"
        assert (plan_figures(plan_id).kept, people.plan_of(plan_id).state) == (0, "cancelled")

    def test_a_declined_refund_leaves_the_plan_cancelled(self, plan_id, amal, omar):
        pay(plan_id, omar, "due", method="card_refund_declined")
        done = cancellations.cancel(plan_id, actor=people.owner(amal), reason="Sold out", refund=50_00)
        assert db.session.get_one(Refund, done.refunds[0].id).state == "declined"
        assert (plan_figures(plan_id).kept, people.plan_of(plan_id).state) == (50_00, "cancelled")

    def test_changed_amounts_and_too_large_refunds_change_nothing(self, plan_id, amal, omar):
        pay(plan_id, omar, "due")
        options = {"actor": people.owner(amal), "reason": "Sold out"}
        assert code_of(cancellations.cancel, plan_id, shown=100_00, **options) == "amount_changed"
        assert code_of(cancellations.cancel, plan_id, shown_refundable=0, **options) == "amount_changed"
        assert code_of(cancellations.cancel, plan_id, refund=50_01, **options) == "too_much"
        assert code_of(cancellations.cancel, plan_id, refund=-1, **options) == "bad_amount"
        assert people.plan_of(plan_id).state == "active"

    def test_a_paid_plan_is_refused(self, plan_id, amal, omar):
        pay(plan_id, omar, "all")
        assert code_of(cancellations.cancel, plan_id, actor=people.owner(amal), reason="Sold out") == "nothing_owed"


class TestRecord:
    def test_cash_pays_the_oldest_installment_first(self, plan_id, amal):
        today = people.today_of(amal)
        attempt = manual_payments.record(
            plan_id,
            actor=people.owner(amal),
            amount=30_00,
            method="cash",
            received_on=today,
            reference=" till 4 ",
            shown=100_00,
        )
        payment = people.payment_of(attempt.payment_id)
        assert (payment.state, payment.gateway_key, payment.reference) == ("succeeded", None, "till 4")
        assert remains(plan_id) == [0, 20_00, 25_00, 25_00]

    def test_a_payment_received_on_the_due_date_is_on_time_when_recorded_later(self, amal, omar):
        plan_id = people.a_plan(amal, total=100_00, count=4, first=-5)
        due = people.installments_of(plan_id)[0].due_date
        manual_payments.record(plan_id, actor=people.owner(amal), amount=25_00, method="transfer", received_on=due)
        first = people.installments_of(plan_id)[0]
        assert clock.local_date(first.paid_at, "Asia/Riyadh") == due
        home = overview.overview(db.session.get_one(Merchant, amal)).home
        assert (home.on_time, home.past) == (1, 1)

    @pytest.mark.parametrize(
        ("field", "change"),
        [
            ("received_on", {"received_on": 1}),
            ("received_on", {"received_on": -10_000}),
            ("method", {"method": "card_ok"}),
            ("reference", {"reference": "x" * 201}),
            ("reference", {"reference": "a\x00b"}),
            ("amount", {"amount": 0}),
        ],
    )
    def test_bad_input_is_a_fault_on_its_field(self, plan_id, amal, field, change):
        day = people.today_of(amal) + timedelta(days=change.get("received_on", 0))
        options = {"amount": 1_00, "method": "cash"} | change | {"received_on": day}
        with pytest.raises(Invalid) as invalid:
            manual_payments.record(plan_id, actor=people.owner(amal), **options)
        assert invalid.value.faults[0].field == field
        assert remains(plan_id) == [25_00] * 4

    def test_the_last_accepted_date_is_today_in_the_plans_zone(self, plan_id, amal):
        with time_machine.travel("2027-03-01T22:30:00Z", tick=False):
            today = people.today_of(amal)
            assert today.day == 2
            manual_payments.record(plan_id, actor=people.owner(amal), amount=1, method="cash", received_on=today)

    def test_repeated_requests_with_the_same_key_are_one_payment(self, plan_id, amal):
        request_key, today = RequestKey(amal, "POST /payments", "k", "f"), people.today_of(amal)
        ids = {
            manual_payments.record(
                plan_id,
                actor=people.owner(amal),
                amount=1_00,
                method="cash",
                received_on=today,
                request_key=request_key,
            ).payment_id
            for _ in range(3)
        }
        assert len(ids) == 1 and plan_figures(plan_id).paid == 1_00


def test_a_payment_in_flight_refuses_every_other_change_to_the_plan(plan_id, amal, omar):
    cash = {"method": "cash", "received_on": people.today_of(amal)}
    recorded = manual_payments.record(plan_id, actor=people.owner(amal), amount=5_00, **cash)
    pay(plan_id, omar, "amount", amount=5_00, method="card_lost_charged")
    options = {"actor": people.owner(amal), "reason": "Now"}
    assert {
        code_of(refunds.refund, plan_id, amount=1, **options),
        code_of(credits.credit, plan_id, amount=1, how="last", **options),
        code_of(write_offs.write_off, plan_id, **options),
        code_of(cancellations.cancel, plan_id, **options),
        code_of(voids.void, recorded.payment_id, **options),
        code_of(manual_payments.record, plan_id, actor=people.owner(amal), amount=1, **cash),
        code_of(pay, plan_id, omar, "all"),
    } == {"payment_in_flight"}


def test_the_reason_of_a_manual_payment_is_in_its_event_and_in_the_ledger(plan_id, amal):
    today, why = people.today_of(amal), "Paid at the counter"
    record = manual_payments.record
    record(plan_id, actor=people.owner(amal), amount=1_00, method="cash", received_on=today, reason=f" {why} ")
    event = db.session.scalars(select(Event).where(Event.kind == "payment.recorded")).one()
    entry = db.session.scalars(select(LedgerEntry).where(LedgerEntry.kind == "payment")).one()
    assert (event.reason, entry.reason) == (why, why)
    assert event.reason_id == entry.reason_id and "reason" not in event.data
    with pytest.raises(Invalid) as invalid:
        record(plan_id, actor=people.owner(amal), amount=1_00, method="cash", received_on=today, reason="x" * 201)
    assert invalid.value.faults[0].field == "reason"
