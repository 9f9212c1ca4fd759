"""The unit of work: commit, rollback, reattempts, and the errors after the last attempt."""

import threading
import time
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DataError, IntegrityError, NotSupportedError

from portal.errors import Busy, Unsure
from portal.extensions import LONG_VALUE, PREPARE_AFTER, db
from portal.models import Plan
from portal.services.idempotency import RequestKey
from portal.services.results import Result
from portal.services.unit_of_work import NestedUnitOfWork, after_commit, end_reading, unit_of_work, violated
from tests.fixtures import people
from tests.fixtures.concurrency import at_once

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def plan_ids(context):
    amal = people.amal()
    return people.a_plan(amal), people.a_plan(amal)


@pytest.fixture
def short_lock_timeout(monkeypatch):
    """A lock_timeout of 200 ms instead of 3 s."""
    limits = "SELECT set_config('lock_timeout', '200ms', true), set_config('statement_timeout', '5s', true)"
    monkeypatch.setattr("portal.services.unit_of_work._LIMITS", text(limits))


@unit_of_work
def describe(plan_id, words):
    Plan.lock(plan_id).description = words


def description(plan_id):
    return people.plan_of(plan_id).description


def test_a_unit_of_work_commits_and_one_that_raises_rolls_back(plan_ids):
    @unit_of_work
    def fails(plan_id):
        Plan.lock(plan_id).description = "never"
        db.session.flush()
        raise ValueError("a bug")

    describe(plan_ids[0], "new")
    with pytest.raises(ValueError, match="a bug"):
        fails(plan_ids[0])
    assert description(plan_ids[0]) == "new"
    assert not db.session.connection().in_nested_transaction()


def test_a_unit_of_work_keeps_the_connection_of_the_reads_before_it_and_reads_rows_anew(plan_ids):
    @unit_of_work
    def read(plan_id):
        plan = db.session.get_one(Plan, plan_id)
        return plan.description, db.session.connection().connection.dbapi_connection

    before = db.session.get_one(Plan, plan_ids[0])
    driver = db.session.connection().connection.dbapi_connection
    with db.engine.begin() as other:
        other.execute(text("UPDATE plans SET description = 'Changed elsewhere'"))
    assert before.description == "A cake"
    assert read(plan_ids[0]) == ("Changed elsewhere", driver)


def test_a_unit_of_work_forgets_changes_that_were_made_outside(plan_ids):
    @unit_of_work
    def read(plan_id):
        return db.session.get_one(Plan, plan_id).description

    db.session.get_one(Plan, plan_ids[0]).description = "typed, and never saved"
    db.session.add(Plan())
    assert read(plan_ids[0]) == description(plan_ids[0]) == "A cake"


class TestNested:
    """A unit of work inside another raises and changes nothing: no row, no hook, and not the outer's transaction."""

    @pytest.mark.parametrize("inner", [lambda ids: describe(ids[1], "inner"), lambda ids: end_reading()])
    def test_nesting_raises_and_leaves_the_outer_one_as_it_is(self, plan_ids, inner):
        called = []

        @unit_of_work
        def outer():
            Plan.lock(plan_ids[0]).description = "outer"
            db.session.flush()
            after_commit(lambda: called.append("outer"))
            transaction = db.session.scalar(text("SELECT pg_current_xact_id()::text"))
            with pytest.raises(NestedUnitOfWork, match="inside the unit of work outer"):
                inner(plan_ids)
            assert db.session.scalar(text("SELECT pg_current_xact_id()::text")) == transaction
            assert called == []

        outer()
        assert (description(plan_ids[0]), description(plan_ids[1])) == ("outer", "A cake")
        assert called == ["outer"]

    def test_a_nested_call_that_is_not_caught_rolls_the_outer_one_back(self, plan_ids):
        @unit_of_work
        def outer():
            Plan.lock(plan_ids[0]).description = "outer"
            describe(plan_ids[1], "inner")

        with pytest.raises(NestedUnitOfWork):
            outer()
        assert {description(plan_id) for plan_id in plan_ids} == {"A cake"}

    def test_the_next_one_runs_after_a_failure_and_in_a_hook(self, plan_ids):
        @unit_of_work
        def fails():
            raise ValueError("a bug")

        @unit_of_work
        def succeeds():
            after_commit(lambda: describe(plan_ids[0], "by a hook"))

        with pytest.raises(ValueError, match="a bug"):
            fails()
        succeeds()
        end_reading()
        assert description(plan_ids[0]) == "by a hook"


@dataclass(frozen=True, slots=True)
class Described(Result):
    """A result of these tests."""

    words: str


class TestUnderAKey:
    @pytest.fixture
    def request_key(self, context):
        return RequestKey(people.sara(), "POST /describe", "k", "f")

    def test_it_runs_once_and_a_repeated_call_gets_the_stored_result(self, plan_ids, request_key):
        calls = []

        @unit_of_work
        def describe_once(plan_id, words, *, request_key):
            calls.append(words)
            Plan.lock(plan_id).description = words
            return Described(words)

        first = describe_once(plan_ids[0], "new", request_key=request_key)
        describe(plan_ids[0], "newer")
        again = describe_once(plan_ids[0], "new", request_key=request_key)
        assert again == first == Described("new")
        assert (first.replayed, again.replayed, calls) == (False, True, ["new"])
        assert description(plan_ids[0]) == "newer"
        assert not describe_once(plan_ids[0], "new", request_key=None).replayed

    def test_a_retry_after_a_rollback_claims_its_key_again(self, plan_ids, request_key):
        attempts = []

        @unit_of_work
        def fails_once(*, request_key):
            attempts.append(1)
            if len(attempts) == 1:
                db.session.execute(text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'serialization_failure'; END $$"))
            return Described("done")

        assert fails_once(request_key=request_key).replayed is False
        assert fails_once(request_key=request_key).replayed is True
        assert len(attempts) == 2

    def test_another_result_is_an_error_of_the_program_and_keeps_the_key_free(self, request_key):
        @unit_of_work
        def returns(value, *, request_key):
            return value

        with pytest.raises(TypeError, match="returns a Result, not int"):
            returns(7, request_key=request_key)
        assert not returns(Described("done"), request_key=request_key).replayed

    def test_the_key_is_a_keyword(self):
        with pytest.raises(TypeError, match="keyword-only"):
            unit_of_work(lambda request_key: None)


def test_a_unit_of_work_starts_a_fresh_transaction(plan_ids):
    with db.engine.begin() as elsewhere:
        db.session.scalars(select(Plan)).all()
        elsewhere.execute(text("UPDATE plans SET description = 'fresh' WHERE id = :id"), {"id": plan_ids[0]})

    @unit_of_work
    def read(plan_id):
        return db.session.get_one(Plan, plan_id).description

    assert read(plan_ids[0]) == "fresh"


def test_the_timeouts_end_with_the_transaction(plan_ids):
    @unit_of_work
    def limits():
        return db.session.scalar(text("SELECT current_setting('lock_timeout') || current_setting('statement_timeout')"))

    assert limits() == "3s5s"
    assert db.session.scalar(text("SELECT current_setting('lock_timeout')")) == "0"


def test_a_retry_succeeds_after_the_lock_is_released(plan_ids, short_lock_timeout, monkeypatch):
    """The lock is released in the pause before the second attempt."""
    pauses = []
    with db.engine.connect() as holder:
        holder.execute(text("SELECT FROM plans WHERE id = :id FOR UPDATE"), {"id": plan_ids[0]})

        def release(seconds):
            pauses.append(seconds)
            holder.rollback()

        monkeypatch.setattr("portal.services.unit_of_work.time", SimpleNamespace(sleep=release))
        describe(plan_ids[0], "after a retry")
    assert len(pauses) == 1
    assert description(plan_ids[0]) == "after a retry"


def test_a_lock_that_is_not_released_raises_busy_after_three_attempts(plan_ids, short_lock_timeout):
    with db.engine.connect() as holder:
        holder.execute(text("SELECT FROM plans WHERE id = :id FOR UPDATE"), {"id": plan_ids[0]})
        began = time.monotonic()
        with pytest.raises(Busy) as refused:
            describe(plan_ids[0], "never")
        seconds = time.monotonic() - began
        holder.rollback()
    assert (refused.value.code, refused.value.status, refused.value.retry_after) == ("busy", 503, 2)
    assert seconds >= 0.6
    assert description(plan_ids[0]) == "A cake"


def test_two_units_of_work_in_a_deadlock_both_commit(app, plan_ids):
    first_locks = threading.Barrier(2)
    attempts = []

    @unit_of_work
    def describe_both(first_id, second_id, words):
        attempts.append(words)
        Plan.lock(first_id).description = words
        db.session.flush()
        if len(attempts) <= 2:
            first_locks.wait(timeout=60)
        Plan.lock(second_id).description = words

    results = at_once(
        app, [lambda: describe_both(*plan_ids, "forth"), lambda: describe_both(*reversed(plan_ids), "back")]
    )
    assert results == [None, None]
    assert len(attempts) > 2, "no attempt was repeated"
    assert description(plan_ids[0]) == description(plan_ids[1])


def test_a_serialization_failure_is_retried(plan_ids):
    attempts = []

    @unit_of_work
    def fails_twice(plan_id):
        attempts.append(plan_id)
        if len(attempts) < 3:
            db.session.execute(text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'serialization_failure'; END $$"))
        Plan.lock(plan_id).description = "third time"

    fails_twice(plan_ids[0])
    assert len(attempts) == 3
    assert description(plan_ids[0]) == "third time"


def test_a_violated_constraint_is_not_retried_and_has_its_name(plan_ids):
    attempts = []

    @unit_of_work
    def breaks(plan_id):
        attempts.append(plan_id)
        Plan.lock(plan_id).total += 1

    with pytest.raises(IntegrityError) as refused:
        breaks(plan_ids[0])
    assert violated(refused.value) == "schedule_sum"
    assert len(attempts) == 1


def test_a_connection_lost_before_the_commit_raises_busy(plan_ids):
    @unit_of_work
    def loses(plan_id):
        Plan.lock(plan_id).description = "never"
        db.session.flush()
        _terminate(db.session.scalar(text("SELECT pg_backend_pid()")))
        db.session.scalars(select(Plan)).all()

    with pytest.raises(Busy) as refused:
        loses(plan_ids[0])
    assert refused.value.code == "busy"
    assert description(plan_ids[0]) == "A cake"


def test_a_connection_lost_during_the_commit_raises_unsure(plan_ids):
    @unit_of_work
    def loses(plan_id):
        Plan.lock(plan_id).description = "perhaps"
        db.session.flush()
        _terminate(db.session.scalar(text("SELECT pg_backend_pid()")))

    with pytest.raises(Unsure) as refused:
        loses(plan_ids[0])
    assert (refused.value.code, refused.value.status) == ("outcome_unknown", 503)
    describe(plan_ids[0], "the pool has good connections again")


def _terminate(pid):
    with db.engine.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid, 2000)"), {"pid": pid})


PREPARED = text("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT plans.description%'")


@pytest.fixture
def new_connection(plan_ids):
    """A connection that has prepared no statement yet."""
    db.engine.dispose()
    with db.engine.connect() as connection:
        assert connection.scalar(PREPARED) == 0
        yield connection


def look(connection):
    for _ in range(PREPARE_AFTER + 1):
        connection.execute(select(Plan.description)).all()


def test_a_refusal_keeps_the_prepared_statements_and_an_error_of_the_database_forgets_them(new_connection):
    look(new_connection)
    new_connection.rollback()
    assert new_connection.scalar(PREPARED) == 1
    new_connection.execute(text("UPDATE plans SET description = 'Changed'"))
    new_connection.rollback()
    assert new_connection.scalar(select(Plan.description).limit(1)) != "Changed"
    with pytest.raises(DataError):
        new_connection.execute(text("SELECT 1 / 0"))
    new_connection.rollback()
    assert new_connection.scalar(PREPARED) == 0


def test_a_prepared_statement_whose_table_has_changed_fails_once(plan_ids):
    everything = text("SELECT * FROM plans")
    with db.engine.connect() as connection, db.engine.connect() as other:
        for _ in range(PREPARE_AFTER + 1):
            connection.execute(everything)
        connection.rollback()
        other.execute(text("ALTER TABLE plans ADD COLUMN colour text"))
        other.commit()
        with pytest.raises(NotSupportedError, match="cached plan"):
            connection.execute(everything)
        connection.rollback()
        assert connection.execute(everything).all()[0].colour is None


def test_a_statement_with_a_very_long_value_is_planned_for_it_each_time(new_connection):
    """The plan that PostgreSQL keeps for any value would take an array of thousands of ids for ten."""
    for length, prepared in ((LONG_VALUE, 0), (LONG_VALUE - 1, 1)):
        for _ in range(PREPARE_AFTER + 1):
            new_connection.execute(select(Plan.description).where(Plan.description != "x" * length)).all()
        assert new_connection.scalar(PREPARED) == prepared
