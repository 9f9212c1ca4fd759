"""A file holds every row of its list, and the journal sums to zero."""

from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import time_machine
from flask import current_app
from flask.ctx import AppContext

from portal.domain.permissions import Actor
from portal.extensions import db
from portal.models import Installment, LedgerLine, Payment, Plan
from portal.models.plans.installments import INSTALLMENT_STATUSES
from portal.reports.exports.columns import Export
from portal.reports.exports.customers import export_customers
from portal.reports.exports.installments import export_installments
from portal.reports.exports.journal import export_journal
from portal.reports.exports.payments import export_payments
from portal.reports.exports.plans import export_plans
from portal.reports.merchants.filters import CustomerFilters
from portal.reports.payments.filters import PaymentFilters
from portal.reports.plans.filters import InstallmentFilters, PlanFilters
from portal.services.books import numbers
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from tests.fixtures import agreements, people
from tests.fixtures.business import everything


@pytest.fixture
def ids(context: AppContext) -> dict[str, int]:
    return everything()


def amal(ids: dict[str, int]) -> Actor:
    db.session.rollback()
    return people.owner(ids["amal"])


def numbered(merchant_id: int) -> Actor:
    """The owner, after every entry of the business got its number."""
    numbers.number_entries(merchant_id)
    return people.owner(merchant_id)


def read(export: Export) -> list[dict[str, object]]:
    return [dict(zip(export.header, row, strict=True)) for row in export.rows]


def total(rows: list[dict[str, object]], column: str) -> Decimal:
    return sum((Decimal(str(row[column] or 0)) for row in rows), Decimal(0))


def test_the_journal_has_every_ledger_line_and_sums_to_zero(ids: dict[str, int]) -> None:
    rows = read(export_journal(numbered(ids["amal"])))
    assert len(rows) == db.session.scalar(db.select(db.func.count(LedgerLine.id)))
    assert total(rows, "debit") == total(rows, "credit") > 0
    entries: dict[object, Decimal] = defaultdict(Decimal)
    for row in rows:
        entries[row["entry"]] += total([row], "debit") - total([row], "credit")
        assert (row["debit"] is None) != (row["credit"] is None)
    assert set(entries.values()) == {Decimal(0)}
    kinds = {row["kind"] for row in rows}
    of_refunds = {"refund_begun", "refund"}
    assert kinds == {"plan_opened", "payment", *of_refunds, "credit", "write_off", "cancellation", "reversal", "void"}
    assert ("Moved away", ids["amal"]) in {(row["reason"], row["by"]) for row in rows}
    assert read(export_journal(people.owner(ids["badr"]))) == []


def test_the_journal_is_limited_by_booking_dates_in_the_merchants_time_zone(context: AppContext) -> None:
    """22:30 UTC is the next day in Riyadh."""
    with time_machine.travel(datetime(2026, 3, 1, 22, 30, tzinfo=UTC), tick=False) as now:
        merchant_id = people.amal()
        people.a_plan(merchant_id, total=10_00)
        now.move_to(datetime(2026, 3, 5, 9, tzinfo=UTC))
        people.a_plan(merchant_id, total=20_00)
        db.session.rollback()
        user = numbered(merchant_id)
        assert {row["date"] for row in read(export_journal(user))} == {"2026-03-02", "2026-03-05"}
        late = read(export_journal(user, first=date(2026, 3, 3)))
        assert total(late, "debit") == 20
        early = read(export_journal(user, last=date(2026, 3, 2)))
        assert total(early, "debit") == 10


def test_files_of_plans_payments_and_installments_are_complete_and_agree(ids: dict[str, int]) -> None:
    plans, installments = read(export_plans(amal(ids))), read(export_installments(amal(ids)))
    payments, customers = read(export_payments(amal(ids))), read(export_customers(amal(ids)))
    assert [row["plan"] for row in plans] == list(db.session.scalars(db.select(Plan.id).order_by(Plan.id.desc())))
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
    plan_statuses = {row["plan"]: row["status"] for row in plans}
    assert plan_statuses == {row.id: row.status for row in db.session.scalars(db.select(Plan))}
    statuses = {(row["plan"], row["number"]): row["status"] for row in installments}
    assert statuses == {(row.plan_id, row.number): row.status for row in db.session.scalars(db.select(Installment))}
    assert {row["state"] for row in payments} == {"succeeded", "declined", "in_flight", "reversed", "voided"}
    assert {row["method"] for row in payments} >= {"cash", "transfer"}


def test_a_customers_file_does_not_count_a_plan_that_waits_for_acceptance(ids: dict[str, int]) -> None:
    def outstanding() -> set[str]:
        return {row["outstanding"] for row in read(export_customers(amal(ids))) if row["customer_username"] == "omar"}

    before = outstanding()
    with agreements.acceptance(current_app, "required"):
        plans.open_plan(amal(ids), NewPlan("omar@example.com", 50_00, 2, people.today_of(ids["amal"])))
    assert outstanding() == before != set()


def test_filters_narrow_a_file_as_they_narrow_its_list(ids: dict[str, int]) -> None:
    cancelled = read(export_plans(amal(ids), PlanFilters(status="cancelled")))
    assert [row["plan"] for row in cancelled] == [ids["void_plan"]]
    assert {row["status"] for row in read(export_plans(amal(ids), PlanFilters(search="omar")))} > {"active"}
    assert read(export_plans(amal(ids), PlanFilters(search="nobody"))) == []
    declined = read(export_payments(amal(ids), PaymentFilters(state="declined")))
    assert {row["state"] for row in declined} == {"declined"}
    overdue = read(export_customers(amal(ids), CustomerFilters(show="overdue")))
    assert {row["customer_email"] for row in overdue} == {"omar@example.com"}
    for status in INSTALLMENT_STATUSES:
        rows = read(export_installments(amal(ids), InstallmentFilters(status=status)))
        assert {row["status"] for row in rows} <= {status}
    past = read(export_installments(amal(ids), InstallmentFilters(status="late", due_before=date(2000, 1, 2))))
    assert past == []


def test_the_headers_of_the_files_are_fixed(ids: dict[str, int]) -> None:
    """Spreadsheets and imports depend on the names and the order of the columns."""
    user = amal(ids)
    exports = (
        export_plans(user),
        export_customers(user),
        export_payments(user),
        export_installments(user),
        export_journal(user),
    )
    assert [",".join(export.header) for export in exports] == [
        "plan,external_id,customer_email,customer_username,description,currency,total,paid,credited,written_off,"
        "remaining,refunded,kept,installments,installments_paid,interval,start_date,next_due_on,status,created_on,closed_on,"
        "created_at,closed_at,customer_name",
        "customer_email,customer_username,plans,open_plans,currency,total,paid,outstanding,overdue,customer_name,"
        "customer_phone",
        "payment,plan,external_id,customer_email,description,installments,currency,amount,refunded,reversed,kept,"
        "state,decline_code,method,reference,received_on,created_on,value_on,reversed_on,created_at,settled_at,value_at,"
        "reversed_at,customer_name,lost,regained,wins_back",
        "plan,external_id,number,customer_email,description,due_date,late_on,currency,amount,paid,credited,"
        "written_off,remaining,status,days_past_due,paid_on,paid_at,customer_name,moved",
        "number,date,value_date,recorded_at,entry,kind,plan,external_id,payment,refund,method,gateway_reference,code,"
        "account,account_name,debit,credit,currency,reason,by",
    ]
