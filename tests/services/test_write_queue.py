"""The queue of a unit of work: events, mails, ledger entries and changed rows go out in one statement."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm.exc import StaleDataError

from portal import write_queue
from portal.domain.events import PlanClosed, PlanReopened
from portal.extensions import WriteOutsideUnitOfWork, db, session
from portal.models import Email, Event, Installment, Plan
from portal.services import emails, events, row_facts
from portal.services.unit_of_work import unit_of_work
from tests.fixtures import people
from tests.fixtures.query_log import queries


@pytest.fixture
def plan_id(context):
    amal = people.amal()
    people.omar()
    return people.a_plan(amal, count=12)


def test_events_mails_and_changed_rows_are_one_statement(app, plan_id):
    @unit_of_work
    def change():
        plan = db.session.get_one(Plan, plan_id)
        plan.description = "a 'new' cake"
        for payload in (PlanReopened(), PlanClosed(), PlanReopened()):
            events.record(payload, plan_id=plan_id, by=None)
        emails.post("receipt", to_user_id=plan.customer_id, dedupe_key="receipt:0", data={"payment_id": 0})

    with queries(app) as statements:
        change()
    assert len(statements) == 2
    assert db.session.get_one(Plan, plan_id).description == "a 'new' cake"
    kinds = db.session.scalars(select(Event.kind).where(Event.plan_id == plan_id).order_by(Event.id)).all()
    assert kinds[-3:] == ["plan.reopened", "plan.closed", "plan.reopened"]
    assert db.session.scalar(select(Email.state).where(Email.dedupe_key == "receipt:0")) == "waiting"


def test_many_events_keep_their_order(plan_id, monkeypatch):
    monkeypatch.setattr(write_queue, "MAX_ROWS", 2)

    @unit_of_work
    def change():
        for payload in [PlanReopened(), PlanClosed()] * 3 + [PlanClosed()]:
            events.record(payload, plan_id=plan_id, by=None)

    change()
    kinds = db.session.scalars(select(Event.kind).where(Event.plan_id == plan_id).order_by(Event.id)).all()
    assert kinds[-7:] == ["plan.reopened", "plan.closed"] * 3 + ["plan.closed"]


def test_a_statement_sees_what_was_queued_before_it(plan_id):
    @unit_of_work
    def read():
        events.record(PlanReopened(), plan_id=plan_id, by=None)
        return db.session.scalar(text("SELECT count(*) FROM events WHERE kind = 'plan.reopened'"))

    assert read() == 1


def test_a_column_that_postgresql_computes_is_read_again(plan_id):
    @unit_of_work
    def credit():
        row = Installment.lock_of_plan(plan_id)[0]
        before = row.remaining
        row.credited, row.credited_at = 1, row.added_at or row.late_at
        db.session.flush()
        after = row.remaining
        db.session.rollback()
        return before - after

    assert credit() == 1


def test_a_rollback_empties_the_queue(plan_id):
    @unit_of_work
    def fail():
        events.record(PlanReopened(), plan_id=plan_id, by=None)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not session().queue


def test_a_queue_outside_a_unit_of_work_is_refused(plan_id):
    session().queue.add_part("nothing# AS (SELECT 1)", ())
    with pytest.raises(WriteOutsideUnitOfWork):
        row_facts.changed_plan(plan_id)
    db.session.rollback()


@pytest.mark.parametrize("limit", [8, 200])
def test_many_changed_rows_are_written_too(plan_id, monkeypatch, limit):
    monkeypatch.setattr(write_queue, "MAX_CHANGED", limit)

    @unit_of_work
    def mute():
        rows = Installment.lock_of_plan(plan_id)
        for row in rows:
            row.credited = row.number
            row.credited_at = row.late_at
        events.record(PlanReopened(), plan_id=plan_id, by=None)
        db.session.flush()
        query = "SELECT count(*) FROM installments WHERE credited = number AND credited_at = late_at"
        count = db.session.scalar(text(query))
        db.session.rollback()
        return count, len(rows)

    count, rows = mute()
    assert count == rows


def test_a_change_that_a_foreign_key_copies_follows_the_rows_that_get_it(plan_id):
    """The rows of the plan are written twice in this commit, so their foreign key is checked each time."""

    @unit_of_work
    def dispute():
        rows = Installment.lock_of_plan(plan_id)
        plan = rows[0].plan
        rows[0].credited, rows[0].credited_at = 1, rows[0].late_at
        db.session.flush()
        rows[0].credited, plan.disputed, plan.disputed_at = 2, True, plan.created_at
        events.record(PlanReopened(), plan_id=plan_id, by=None)
        db.session.flush()
        found = db.session.execute(text("SELECT credited, disputed FROM installments ORDER BY id LIMIT 1")).one()
        db.session.rollback()
        return tuple(found)

    assert dispute() == (2, True)


def test_a_changed_row_that_is_gone_is_an_error(plan_id):
    @unit_of_work
    def change():
        mail = Email(kind="receipt", to_address="x@example.com", dedupe_key="receipt:1", state="waiting")
        mail.next_try_at = mail.created_at = db.session.get_one(Plan, plan_id).created_at
        db.session.add(mail)
        db.session.flush()
        db.session.execute(text("DELETE FROM emails WHERE dedupe_key = 'receipt:1'"))
        mail.attempts = 1

    with pytest.raises(StaleDataError):
        change()


@pytest.mark.parametrize("statement", ["SELECT 'per % cent'", "SELECT 'per % ' || :word"])
def test_the_first_statement_of_a_transaction_keeps_its_percent_signs(context, statement):
    @unit_of_work
    def answer():
        return db.session.scalar(text(statement), {"word": "cent"} if ":word" in statement else {})

    assert answer() == "per % cent"
