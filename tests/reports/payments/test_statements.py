"""The statement of a plan agrees with its ledger, installments and payments."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.ctx import AppContext

from portal.domain import clock
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.models import Installment, Payment, Plan
from portal.reports.payments import statements
from portal.services.payments import payments, refunds
from tests.fixtures import people
from tests.fixtures.agreements import acceptance
from tests.fixtures.business import everything
from tests.fixtures.query_log import queries


def test_the_last_balance_of_every_statement_is_the_remaining_amount(app: Flask, context: AppContext) -> None:
    ids = everything()
    for plan in db.session.scalars(db.select(Plan)).all():
        rows = db.session.scalars(db.select(Installment).where(Installment.plan_id == plan.id)).all()
        payments = db.session.scalars(Payment.of_plan(plan.id)).all()
        statement = statements.statement(plan)
        assert statement.lines[0].kind == "plan_opened" and statement.lines[0].balance == plan.total
        assert statement.closing == statement.lines[-1].balance == sum(row.remaining for row in rows)
        assert statement.kept == sum(payment.kept for payment in payments)
        assert statement.credited == sum(row.credited for row in rows)
        assert statement.written_off == sum(row.written_off for row in rows)
    plan = db.session.get_one(Plan, ids["credit_plan"])
    with queries(app) as sent:
        statements.statement(plan)
    assert len(sent) == 2


def test_each_line_has_the_balance_after_it(context: AppContext) -> None:
    ids = everything()

    def lines(name: str) -> list[tuple[str, int, int, int]]:
        statement = statements.statement(db.session.get_one(Plan, ids[name]))
        return [(line.kind, line.owed, line.cash, line.balance) for line in statement.lines]

    assert lines("credit_plan") == [
        ("plan_opened", 60_00, 0, 60_00),
        ("credit", -10_00, 0, 50_00),
        ("payment", -5_00, 5_00, 45_00),
    ]
    assert lines("lost_plan") == [
        ("plan_opened", 60_00, 0, 60_00),
        ("write_off", -60_00, 0, 0),
        ("payment", 0, 20_00, 0),
    ]
    assert lines("bounced_plan") == [
        ("plan_opened", 60_00, 0, 60_00),
        ("payment", -30_00, 30_00, 30_00),
        ("reversal", 30_00, -30_00, 60_00),
    ]
    refund = lines("back_plan")[-1]
    assert refund[:2] == ("refund", 0) and refund[2] < 0 == refund[3]


@pytest.mark.parametrize(
    ("method", "last"), [("card_ok", ("refund", 0)), ("card_refund_declined", ("refund_declined", -10_00))]
)
def test_a_refund_before_the_acceptance_is_one_line_a_day(
    app: Flask, context: AppContext, monkeypatch: pytest.MonkeyPatch, method: str, last: tuple[str, int]
) -> None:
    """Of a plan that waits, the balance is what was paid and is not asked back. On one day that is one line."""
    amal, omar = people.amal(), people.omar()
    with acceptance(app, "required"):
        plan_id = people.a_plan(amal)
    how = {"customer_id": omar, "choice": "amount", "shown": None}
    paid = payments.pay_plan(plan_id, amount=30_00, method=method, **how).payment_id
    at_once = payments.pay_plan(plan_id, amount=5_00, method="card_ok", **how).payment_id
    refunds.refund(plan_id, actor=people.owner(amal), amount=5_00, reason="Sorry", payment_id=at_once)
    with monkeypatch.context() as away:
        away.setattr(gateway.active(), "refund", lambda *request: gateway.UNKNOWN)
        refunds.refund(plan_id, actor=people.owner(amal), amount=10_00, reason="Sorry", payment_id=paid)
    shown = statements.statement(people.plan_of(plan_id)).lines
    assert [(line.kind, line.owed, line.cash, line.balance) for line in shown] == [
        ("payment", -30_00, 30_00, -30_00),
        ("payment", -5_00, 5_00, -35_00),
        ("refund", 5_00, -5_00, -30_00),
        ("refund_begun", 10_00, 0, -20_00),
    ]
    with time_machine.travel(clock.now() + timedelta(days=1)):
        refunds.settle_unknown_refunds()
    db.session.rollback()
    (*same, line) = statements.statement(people.plan_of(plan_id)).lines
    assert [row.balance for row in same] == [row.balance for row in shown]
    assert (line.kind, line.owed) == last
