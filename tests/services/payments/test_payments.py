"""Payments: the charge, the booking and the refusals."""

import pytest
from sqlalchemy import func, select, text, update

from portal.domain import clock
from portal.errors import NotFound, Refused
from portal.extensions import db
from portal.gateways.payment.simulated import tables
from portal.models import Event, Installment, LedgerEntry, Payment, Plan
from portal.reports.operations import checks
from tests.fixtures import people

pytestmark = pytest.mark.usefixtures("context")


def refused(call, *args, **kwargs):
    with pytest.raises(Refused) as error:
        call(*args, **kwargs)
    db.session.rollback()
    return error.value


def charges(outcome="charged"):
    """Number of charges with this outcome in the gateway's own table."""
    db.session.rollback()
    return db.session.scalar(
        select(func.count()).select_from(tables.charges).where(tables.charges.c.outcome == outcome)
    )


def kinds(plan_id):
    return db.session.scalars(select(Event.kind).where(Event.plan_id == plan_id).order_by(Event.id)).all()


def checks_hold():
    return [check for check in checks.run() if check[1]] == []


class TestSucceeded:
    def test_the_money_is_booked_and_the_installment_is_paid(self, amal, omar):
        plan_id = people.a_plan(amal)
        first, second, _ = people.installments_of(plan_id)
        payment = people.pay(first.id, omar, shown=33_34)
        assert (payment.state, payment.amount, payment.currency, payment.created_by) == (
            "succeeded",
            33_34,
            "SAR",
            omar,
        )
        assert payment.gateway_reference and payment.settled_at and payment.decline_code is None
        first, second, _ = people.installments_of(plan_id)
        assert (first.status, first.paid, first.remaining, first.paid_at is not None) == ("paid", 33_34, 0, True)
        assert (second.status, second.paid) == ("pending", 0)
        assert [(part.installment_id, part.amount, part.state) for part in payment.allocations] == [
            (first.id, 33_34, "applied")
        ]
        entry = db.session.scalars(select(LedgerEntry).where(LedgerEntry.payment_id == payment.id)).one()
        assert {(line.account, line.amount, line.currency) for line in entry.lines} == {
            ("clearing", 33_34, "SAR"),
            ("receivable", -33_34, "SAR"),
        }
        assert kinds(plan_id) == ["plan.opened", "payment.succeeded"]
        assert people.plan_of(plan_id).status == "active"
        assert checks_hold()

    def test_open_installments_may_be_paid_early_or_late_and_in_any_order(self, amal, omar):
        plan_id = people.a_plan(amal, first=-40)
        for row in reversed(people.installments_of(plan_id)):
            assert people.pay(row.id, omar).state == "succeeded"
        assert people.plan_of(plan_id).status == "completed"
        assert checks_hold()

    def test_the_last_payment_completes_the_plan_in_the_same_commit(self, amal, omar):
        plan_id = people.a_plan(amal, count=2)
        first, last = people.installments_of(plan_id)
        people.pay(first.id, omar)
        assert people.plan_of(plan_id).closed_at is None
        payment = people.pay(last.id, omar)
        plan = people.plan_of(plan_id)
        assert (plan.state, plan.status, plan.next_due_on, plan.next_late_at) == ("completed", "completed", None, None)
        assert plan.closed_at >= payment.settled_at
        assert kinds(plan_id)[-2:] == ["payment.succeeded", "plan.completed"]
        commits = db.session.scalars(
            text(
                "SELECT xmin::text FROM plans WHERE id = :plan "
                "UNION SELECT xmin::text FROM payments WHERE id = :payment "
                "UNION SELECT xmin::text FROM installments WHERE id = :last "
                "UNION SELECT xmin::text FROM allocations WHERE payment_id = :payment "
                "UNION SELECT xmin::text FROM ledger_entries WHERE payment_id = :payment "
                "UNION (SELECT xmin::text FROM events WHERE plan_id = :plan ORDER BY id DESC LIMIT 2)"
            ),
            {"plan": plan_id, "payment": payment.id, "last": last.id},
        ).all()
        assert len(commits) == 1

    def test_kuwaiti_dinars_have_three_digits(self):
        badr, sara = people.badr(), people.sara()
        plan_id = people.a_plan(badr, "sara@example.com", total=10_001, count=2)
        assert people.pay(people.installments_of(plan_id)[0].id, sara, shown=5001).amount == 5001


class TestRefused:
    def test_another_amount_than_the_form_showed_is_refused(self, amal, omar):
        first = people.installments_of(people.a_plan(amal))[0]
        for shown in (33_33, 33_35, 0, 1):
            error = refused(people.pay, first.id, omar, shown=shown)
            assert (error.code, error.facts, error.status) == ("amount_changed", {"remaining": 33_34}, 409)
        assert charges() == 0

    def test_a_paid_installment_is_refused(self, amal, omar):
        first = people.installments_of(people.a_plan(amal))[0]
        people.pay(first.id, omar)
        for shown in (None, 33_34):
            assert refused(people.pay, first.id, omar, shown=shown).code == "already_paid"
        assert charges() == 1

    def test_an_installment_of_another_customer_is_not_found(self, amal, omar):
        sara, first = people.sara(), people.installments_of(people.a_plan(amal))[0]
        for customer_id in (sara, amal, people.badr(), 10**6):
            with pytest.raises(NotFound):
                people.pay(first.id, customer_id)
        with pytest.raises(NotFound):
            people.pay(10**6, omar)
        assert charges() == 0

    def test_an_unknown_method_is_refused(self, amal, omar):
        first = people.installments_of(people.a_plan(amal))[0]
        for token in ("", "card_", "CARD_OK", "4242424242424242", "\x00"):
            assert refused(people.pay, first.id, omar, token).code == "unknown_method"
        assert db.session.scalar(select(func.count(Payment.id))) == 0

    def test_a_cancelled_plan_is_refused(self, amal, omar):
        plan_id = people.a_plan(amal)
        first = people.installments_of(plan_id)[0]
        db.session.execute(update(Installment).values(credited=Installment.remaining, cancelled_at=clock.now()))
        db.session.execute(update(Plan).values(state="cancelled", closed_at=clock.now(), closed_by="cancel"))
        db.session.commit()
        assert refused(people.pay, first.id, omar).code == "plan_cancelled"
        assert charges() == 0


class TestDeclined:
    @pytest.mark.parametrize(
        ("card", "code"), [("card_declined", "declined"), ("card_insufficient_funds", "insufficient_funds")]
    )
    def test_a_declined_payment_changes_nothing_and_may_be_repeated(self, amal, omar, card, code):
        plan_id = people.a_plan(amal)
        first = people.installments_of(plan_id)[0]
        payment = people.pay(first.id, omar, card)
        assert (payment.state, payment.decline_code) == ("declined", code)
        assert [part.state for part in payment.allocations] == ["released"]
        assert people.installments_of(plan_id)[0].status == "pending"
        assert (charges(), charges("declined")) == (0, 1)
        event = db.session.scalars(select(Event).order_by(Event.id.desc()).limit(1)).one()
        assert (event.kind, event.data, event.installment_id) == (
            "payment.declined",
            {"amount": 33_34, "code": code},
            first.id,
        )
        assert people.pay(first.id, omar).state == "succeeded"
        assert checks_hold()
