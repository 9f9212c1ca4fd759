"""The statement of a plan agrees with its ledger, installments and payments."""

from flask import Flask
from flask.ctx import AppContext

from portal.extensions import db
from portal.models import Installment, Payment, Plan
from portal.reports.payments import statements
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
