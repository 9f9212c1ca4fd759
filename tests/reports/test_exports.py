"""Exported files contain all rows of their lists, and the journal sums to zero."""

from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import time_machine
from flask.ctx import AppContext

from portal.extensions import db
from portal.models import Installment, LedgerLine, Payment, Plan, User
from portal.models.plans.installments import INSTALLMENT_STATUSES
from portal.reports import exports
from portal.reports.exports import Export
from tests.fixtures import people
from tests.fixtures.books import everything


@pytest.fixture
def ids(context: AppContext) -> dict[str, int]:
    return everything()


def amal(ids: dict[str, int]) -> User:
    db.session.rollback()
    return db.session.get_one(User, ids["amal"])


def read(export: Export) -> list[dict[str, object]]:
    return [dict(zip(export.header, row, strict=True)) for row in export.rows]


def total(rows: list[dict[str, object]], column: str) -> Decimal:
    return sum((Decimal(str(row[column] or 0)) for row in rows), Decimal(0))


def test_the_journal_is_every_line_and_sums_to_zero(ids: dict[str, int]) -> None:
    rows = read(exports.journal(amal(ids)))
    assert len(rows) == db.session.scalar(db.select(db.func.count(LedgerLine.id)))
    assert total(rows, "debit") == total(rows, "credit") > 0
    entries: dict[object, Decimal] = defaultdict(Decimal)
    for row in rows:
        entries[row["entry"]] += total([row], "debit") - total([row], "credit")
        assert (row["debit"] is None) != (row["credit"] is None)
    assert set(entries.values()) == {Decimal(0)}
    kinds = {row["kind"] for row in rows}
    assert kinds == {"plan_opened", "payment", "refund", "credit", "write_off", "cancellation", "reversal"}
    assert ("Moved away", "amal") in {(row["reason"], row["who"]) for row in rows}
    assert read(exports.journal(db.session.get_one(User, ids["badr"]))) == []


def test_the_journal_goes_from_an_instant_to_an_instant_in_the_merchants_calendar(context: AppContext) -> None:
    """22:30 UTC is on the next day in Riyadh."""
    with time_machine.travel(datetime(2026, 3, 1, 22, 30, tzinfo=UTC), tick=False) as now:
        merchant_id = people.amal()
        people.a_plan(merchant_id, total=10_00)
        now.move_to(datetime(2026, 3, 5, 9, tzinfo=UTC))
        people.a_plan(merchant_id, total=20_00)
        db.session.rollback()
        user = db.session.get_one(User, merchant_id)
        assert {row["date"] for row in read(exports.journal(user))} == {"2026-03-02", "2026-03-05"}
        late = read(exports.journal(user, since=datetime(2026, 3, 2, tzinfo=UTC)))
        assert total(late, "debit") == 20
        early = read(exports.journal(user, until=datetime(2026, 3, 2, tzinfo=UTC)))
        assert total(early, "debit") == 10


def test_plans_payments_and_installments_are_all_there_and_agree(ids: dict[str, int]) -> None:
    plans, installments = read(exports.plans(amal(ids))), read(exports.installments(amal(ids)))
    payments, customers = read(exports.payments(amal(ids))), read(exports.customers(amal(ids)))
    assert [row["plan"] for row in plans] == list(db.session.scalars(db.select(Plan.id).order_by(Plan.id)))
    assert len(installments) == db.session.scalar(db.select(db.func.count(Installment.id)))
    assert len(payments) == db.session.scalar(db.select(db.func.count(Payment.id)))
    for column in ("paid", "credited", "written_off", "remaining"):
        assert total(plans, column) == total(installments, column)
    assert total(customers, "outstanding") == total(plans, "remaining") and total(customers, "total") == total(
        plans, "total"
    )
    assert total(payments, "kept") == Decimal(
        sum(row.kept for row in db.session.scalars(db.select(Payment)))
    ) / Decimal(100)
    statuses = {row["plan"]: row["status"] for row in plans}
    assert statuses == {row.id: row.status for row in db.session.scalars(db.select(Plan))}
    statuses = {(row["plan"], row["number"]): row["status"] for row in installments}
    assert statuses == {(row.plan_id, row.number): row.status for row in db.session.scalars(db.select(Installment))}
    assert {row["state"] for row in payments} == {"succeeded", "declined", "in_flight", "reversed"}
    assert {row["method"] for row in payments} >= {"cash", "transfer"}


def test_filters_narrow_files_as_they_narrow_lists(ids: dict[str, int]) -> None:
    assert [row["plan"] for row in read(exports.plans(amal(ids), status="cancelled"))] == [ids["void_plan"]]
    assert {row["status"] for row in read(exports.plans(amal(ids), search="omar"))} > {"active"}
    assert read(exports.plans(amal(ids), search="nobody")) == []
    assert {row["state"] for row in read(exports.payments(amal(ids), state="declined"))} == {"declined"}
    assert {row["customer_email"] for row in read(exports.customers(amal(ids), show="overdue"))} == {"omar@example.com"}
    for status in INSTALLMENT_STATUSES:
        statuses = {row["status"] for row in read(exports.installments(amal(ids), status=status))}
        assert statuses <= {status}
    past = read(exports.installments(amal(ids), status="late", due_before=date(2000, 1, 2)))
    assert past == []
