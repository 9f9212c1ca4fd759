"""Refunds: amounts, payments, declined refunds, and refunds whose answer or request was lost."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import func, select, text

from portal.domain import clock
from portal.errors import Invalid, NotFound, QistError, Refused
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.gateways.payment.simulated import tables
from portal.models import Event, LedgerEntry, Payment, Refund
from portal.reports.operations import checks
from portal.reports.payments import statements
from portal.reports.plans.figures import plan_figures
from portal.services.adjustments import cancellations
from portal.services.idempotency import RequestKey
from portal.services.payments import manual_payments, outcomes, refunds
from tests.fixtures import people
from tests.fixtures.concurrency import at_once

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def plan_id(amal, omar):
    return people.a_plan(amal, total=100_00, count=4)


def paid(plan_id, omar, *cards):
    """Ids of one payment of 25.00 for each card, the oldest installment first."""
    rows = people.installments_of(plan_id)
    return [people.pay(row.id, omar, card).id for row, card in zip(rows, cards, strict=False)]


def refund(plan_id, amal, amount, **more):
    group = refunds.refund(plan_id, actor=people.owner(amal), amount=amount, reason="Broken", **more)
    db.session.rollback()
    return [db.session.get_one(Refund, refund_id, populate_existing=True) for refund_id in group.refund_ids]


def code_of(call, *args, **kwargs):
    with pytest.raises(QistError) as refused:
        call(*args, **kwargs)
    db.session.rollback()
    return refused.value.code


def given_back():
    """Sum of the refunds in the gateway's own table."""
    db.session.rollback()
    query = select(func.coalesce(func.sum(tables.refunds.c.amount), 0))
    return db.session.scalar(query.where(tables.refunds.c.outcome == "refunded"))


def balance_of(account):
    """The balance of a ledger account over all plans."""
    db.session.rollback()
    balance = "SELECT coalesce(sum(amount), 0) FROM ledger_lines WHERE account = :account"
    return db.session.scalar(text(balance), {"account": account})


def broken():
    """The checks that do not hold."""
    db.session.rollback()
    return [check for check in checks.run() if check[1]]


def test_the_newest_payment_is_refunded_first_and_nothing_is_owed_again(plan_id, amal, omar):
    first, second = paid(plan_id, omar, "card_ok", "card_ok")
    rows = refund(plan_id, amal, 30_00)
    assert [(row.payment_id, row.amount, row.state) for row in rows] == [
        (second, 25_00, "succeeded"),
        (first, 5_00, "succeeded"),
    ]
    assert people.payment_of(first).refunded == 5_00
    now = plan_figures(plan_id)
    assert (now.kept, now.refunded, now.refundable, now.remaining) == (20_00, 30_00, 20_00, 50_00)
    assert [row.status for row in people.installments_of(plan_id)] == ["paid", "paid", "pending", "pending"]
    assert given_back() == 30_00


def test_a_chosen_payment_is_refunded_up_to_its_amount(plan_id, amal, omar):
    first, _ = paid(plan_id, omar, "card_ok", "card_ok")
    refund(plan_id, amal, 10_00, payment_id=first)
    refund(plan_id, amal, 15_00, payment_id=first, shown=15_00)
    assert code_of(refund, plan_id, amal, 1, payment_id=first) == "nothing_to_refund"
    assert code_of(refund, plan_id, amal, 25_01) == "too_much"
    assert given_back() == 25_00


def test_another_amount_than_the_form_showed_is_refused(plan_id, amal, omar):
    paid(plan_id, omar, "card_ok", "card_ok")
    refund(plan_id, amal, 1_00)
    with pytest.raises(Refused) as refused:
        refund(plan_id, amal, 5_00, shown=50_00)
    assert (refused.value.code, refused.value.facts) == ("amount_changed", {"refundable": 49_00})
    assert given_back() == 1_00


@pytest.mark.parametrize("reason", ["", "   ", "x" * 201, "two\nlines", "\x00"])
def test_a_reason_is_required(plan_id, amal, omar, reason):
    paid(plan_id, omar, "card_ok")
    with pytest.raises(Invalid) as invalid:
        refunds.refund(plan_id, actor=people.owner(amal), amount=1, reason=reason)
    assert invalid.value.faults[0].field == "reason"
    assert given_back() == 0


def test_another_merchants_plan_and_another_plans_payment_are_not_found(plan_id, amal, omar):
    paid(plan_id, omar, "card_ok")
    other = people.a_plan(amal)
    (elsewhere,) = paid(other, omar, "card_ok")
    badr = people.badr()
    with pytest.raises(NotFound):
        refund(plan_id, badr, 1)
    with pytest.raises(NotFound):
        refund(plan_id, amal, 1, payment_id=elsewhere)


def test_a_declined_refund_changes_nothing_and_may_be_repeated(plan_id, amal, omar):
    (payment_id,) = paid(plan_id, omar, "card_refund_declined")
    (row,) = refund(plan_id, amal, 10_00)
    assert (row.state, row.decline_code) == ("declined", "refund_refused")
    payment = people.payment_of(payment_id)
    assert (payment.refunded, payment.refunding, payment.refundable) == (0, 0, 25_00)
    assert "refund.declined" in db.session.scalars(select(Event.kind)).all()


@pytest.mark.parametrize(
    ("card", "state", "back"),
    [("card_refund_lost_done", "succeeded", 10_00), ("card_refund_lost_not_done", "declined", 0)],
)
def test_a_refund_in_flight_counts_until_the_sweep_settles_it(plan_id, amal, omar, card, state, back):
    (payment_id,) = paid(plan_id, omar, card)
    (row,) = refund(plan_id, amal, 10_00)
    assert row.state == "in_flight"
    assert people.payment_of(payment_id).refundable == 15_00
    assert code_of(refund, plan_id, amal, 15_01) == "too_much"
    assert refunds.settle_unknown_refunds() == 0
    with time_machine.travel(clock.now() + timedelta(seconds=16)):
        assert refunds.settle_unknown_refunds() == 1
    payment = people.payment_of(payment_id)
    assert (payment.refunded, payment.refunding) == (back, 0)
    assert db.session.get_one(Refund, row.id, populate_existing=True).state == state
    assert given_back() == back


@pytest.mark.parametrize(("card", "kind"), [("card_ok", "refund"), ("card_refund_declined", "refund_declined")])
def test_a_refund_in_flight_is_payable_until_its_outcome_is_known(amal, omar, monkeypatch, card, kind):
    """It is asked for in the last minute of March, and the gateway hears of it in April."""
    asked, next_day = datetime(2026, 3, 31, 20, 59, tzinfo=UTC), datetime(2026, 3, 31, 21, 9, tzinfo=UTC)
    with time_machine.travel(asked, tick=False) as now:
        plan_id = people.a_plan(amal, total=100_00, count=4)
        paid(plan_id, omar, card)
        with monkeypatch.context() as away:
            away.setattr(gateway.active(), "refund", lambda *request: gateway.UNKNOWN)
            (row,) = refund(plan_id, amal, 10_00)
        accounts = ("refunds", "refunds_payable", "clearing")
        assert [balance_of(account) for account in accounts] == [10_00, -10_00, 25_00]
        now.move_to(next_day)
        assert refunds.settle_unknown_refunds() == 1
    back = 10_00 if kind == "refund" else 0
    assert [balance_of(account) for account in accounts] == [back, 0, 25_00 - back]
    db.session.rollback()
    entries = select(LedgerEntry.kind, LedgerEntry.booked_on).where(LedgerEntry.refund_id == row.id)
    booked = [tuple(entry) for entry in db.session.execute(entries.order_by(LedgerEntry.id))]
    assert booked == [("refund_begun", date(2026, 3, 31)), (kind, date(2026, 4, 1))]
    lines = statements.statement(people.plan_of(plan_id)).lines
    assert [(line.kind, line.on, line.owed, line.cash) for line in lines[2:]] == (
        [("refund", date(2026, 4, 1), 0, -10_00)] if back else []
    )
    assert broken() == []


def test_a_second_request_with_the_same_key_is_replayed(plan_id, amal, omar):
    paid(plan_id, omar, "card_ok", "card_ok")
    request_key = RequestKey(amal, "POST /refunds", "k1", "f")
    first = refunds.refund(plan_id, actor=people.owner(amal), amount=30_00, reason="Broken", request_key=request_key)
    again = refunds.refund(plan_id, actor=people.owner(amal), amount=30_00, reason="Broken", request_key=request_key)
    assert again == first and len(first.refund_ids) == 2
    assert (first.replayed, again.replayed) == (False, True)
    assert given_back() == 30_00


def test_a_key_of_a_refund_in_flight_is_done_after_the_sweep(plan_id, amal, omar):
    paid(plan_id, omar, "card_refund_lost_done")
    request_key = RequestKey(amal, "POST /refunds", "k1", "f")
    (refund_id,) = refunds.refund(
        plan_id, actor=people.owner(amal), amount=5_00, reason="Broken", request_key=request_key
    ).refund_ids
    with time_machine.travel(clock.now() + timedelta(seconds=16)):
        refunds.settle_unknown_refunds()
    again = refunds.refund(plan_id, actor=people.owner(amal), amount=5_00, reason="Broken", request_key=request_key)
    assert (again.refund_ids, again.replayed) == ((refund_id,), True)
    assert again.refunds[0].state == "succeeded"
    assert given_back() == 5_00


def test_a_refund_of_cash_is_booked_at_once(plan_id, amal):
    today = people.today_of(amal)
    manual_payments.record(plan_id, actor=people.owner(amal), amount=30_00, method="cash", received_on=today)
    (row,) = refund(plan_id, amal, 30_00)
    assert (row.state, row.gateway_key) == ("succeeded", None)
    assert plan_figures(plan_id).kept == 0
    assert given_back() == 0


def test_a_fully_refunded_plan_is_cancelled(amal, omar):
    plan_id = people.a_plan(amal, total=10_00, count=1)
    paid(plan_id, omar, "card_ok")
    assert people.plan_of(plan_id).state == "completed"
    refund(plan_id, amal, 10_00)
    assert people.plan_of(plan_id).state == "cancelled"
    assert [row.status for row in people.installments_of(plan_id)] == ["paid"]


def test_a_refund_during_a_payment_in_flight_is_refused(plan_id, amal, omar):
    paid(plan_id, omar, "card_ok", "card_lost_charged")
    assert code_of(refund, plan_id, amal, 1_00) == "payment_in_flight"


def charged_too_much(plan_id, omar):
    """A payment of 25.00 in flight for the first installment, of which 15.00 is owed by now.

    No service function leads to this state, so SQL makes it.
    """
    (payment_id,) = paid(plan_id, omar, "card_lost_charged")
    row = people.installments_of(plan_id)[0]
    db.session.execute(text("UPDATE installments SET credited = 10_00 WHERE id = :id"), {"id": row.id})
    entry = (
        "INSERT INTO ledger_entries (merchant_id, plan_id, kind, booked_on, recorded_at) "
        "SELECT merchant_id, id, 'credit', current_date, now() FROM plans WHERE id = :plan RETURNING id"
    )
    entry_id = db.session.scalar(text(entry), {"plan": plan_id})
    line = "INSERT INTO ledger_lines (entry_id, account, currency, amount) VALUES (:id, :account, 'SAR', :amount)"
    db.session.execute(text(line), {"id": entry_id, "account": "credits", "amount": 10_00})
    db.session.execute(text(line), {"id": entry_id, "account": "receivable", "amount": -10_00})
    db.session.commit()
    return payment_id


def test_an_excess_charge_is_refunded_at_once(plan_id, amal, omar):
    payment_id = charged_too_much(plan_id, omar)
    outcomes.settle_payment(payment_id)
    first = people.installments_of(plan_id)[0]
    assert (first.status, first.paid, first.credited) == ("paid", 15_00, 10_00)
    payment = people.payment_of(payment_id)
    assert (payment.amount, payment.refunded, payment.kept) == (25_00, 10_00, 15_00)
    excess = db.session.scalars(select(Refund)).one()
    assert (excess.excess, excess.created_by, excess.state, excess.amount) == (True, None, "succeeded", 10_00)
    assert given_back() == 10_00
    assert balance_of("overpayments") == 0
    assert balance_of("clearing") == 15_00
    assert broken() == []
    assert db.session.scalar(select(func.count(Payment.id))) == 1


class Killed(BaseException):
    """Stands for a kill of the process."""


@pytest.fixture
def killed(monkeypatch):
    """Runs a call that is killed just before the request to the gateway."""

    def kill(*_):
        raise Killed

    def run_killed(call, *args, **kwargs):
        with monkeypatch.context() as patched:
            patched.setattr(gateway.active(), "refund", kill)
            with pytest.raises(Killed):
                call(*args, **kwargs)
        db.session.rollback()

    return run_killed


def sweep_later():
    with time_machine.travel(clock.now() + timedelta(seconds=16)):
        return refunds.settle_unknown_refunds()


def test_a_refund_killed_before_its_request_is_sent_once_by_the_sweep(plan_id, amal, omar, killed):
    paid(plan_id, omar, "card_ok", "card_ok")
    killed(refund, plan_id, amal, 30_00)
    assert (given_back(), plan_figures(plan_id).refunding) == (0, 30_00)
    assert [sweep_later(), sweep_later()] == [2, 0]
    assert (given_back(), plan_figures(plan_id).refunded, plan_figures(plan_id).refunding) == (30_00, 30_00, 0)
    assert broken() == []


def test_the_refund_of_a_killed_cancellation_is_sent_by_the_sweep(plan_id, amal, omar, killed):
    paid(plan_id, omar, "card_ok", "card_ok")
    killed(cancellations.cancel, plan_id, actor=people.owner(amal), refund=50_00, reason="Sold out")
    assert people.plan_of(plan_id).cancelled_at is not None
    sweep_later()
    assert (given_back(), plan_figures(plan_id).refunded) == (50_00, 50_00)
    assert broken() == []


def test_the_refund_of_an_excess_charge_is_sent_by_the_sweep(plan_id, amal, omar, killed):
    payment_id = charged_too_much(plan_id, omar)
    killed(outcomes.settle_payment, payment_id)
    assert (given_back(), balance_of("overpayments"), balance_of("refunds_payable")) == (0, 0, -10_00)
    assert broken() == []
    sweep_later()
    assert (given_back(), balance_of("refunds_payable"), balance_of("clearing")) == (10_00, 0, 15_00)
    assert broken() == []


@pytest.mark.parametrize(
    ("card", "state", "back"),
    [
        ("card_refund_declined", "declined", 0),
        ("card_refund_lost_done", "succeeded", 10_00),
        ("card_refund_lost_not_done", "declined", 0),
    ],
)
def test_a_refund_sent_by_the_sweep_ends_with_the_gateways_answer(plan_id, amal, omar, killed, card, state, back):
    (payment_id,) = paid(plan_id, omar, card)
    killed(refund, plan_id, amal, 10_00)
    sweep_later()
    assert db.session.scalars(select(Refund.state)).all() == [state]
    assert (given_back(), people.payment_of(payment_id).refundable) == (back, 25_00 - back)
    assert broken() == []


def test_a_refund_of_a_reversed_charge_is_declined(plan_id, amal, omar, killed):
    (payment_id,) = paid(plan_id, omar, "card_ok")
    killed(refund, plan_id, amal, 10_00)
    gateway.active().bounce(people.payment_of(payment_id).gateway_key)
    sweep_later()
    assert db.session.scalars(select(Refund.decline_code)).all() == ["charge_reversed"]
    assert given_back() == 0


def test_a_slow_request_and_the_sweep_refund_once(app, plan_id, amal, omar, killed):
    """Both send the same key at the same time."""
    paid(plan_id, omar, "card_ok")
    killed(refund, plan_id, amal, 10_00)
    refund_id = db.session.scalars(select(Refund.id)).one()
    db.session.rollback()
    at_once(app, [lambda: refunds.send(refund_id), lambda: refunds.settle_refund(refund_id)] * 4)
    assert (given_back(), plan_figures(plan_id).refunded) == (10_00, 10_00)
    assert broken() == []
