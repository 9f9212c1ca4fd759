"""Jobs are idempotent: a job may run twice, at once with itself, and for a missing row."""

import ast
import importlib
import inspect
import pkgutil
from datetime import timedelta

import pytest
import time_machine
from rq.timeouts import JobTimeoutException
from sqlalchemy import func, select, text

from portal import queue, services
from portal.domain import clock
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.gateways.payment.simulated import gateway as simulated
from portal.jobs import tasks
from portal.jobs.schedule import SCHEDULE
from portal.jobs.scheduler import look
from portal.models import Event, IdempotencyKey, TokenFamily
from portal.services import unit_of_work
from portal.services.idempotency import RequestKey
from portal.services.maintenance import retention
from portal.services.payments import outcomes, payments, refunds
from tests.fixtures import people
from tests.fixtures.concurrency import at_once

pytestmark = pytest.mark.usefixtures("context")


def in_flight(count=1):
    amal, omar = people.amal(), people.omar()
    rows = [people.installments_of(people.a_plan(amal))[0].id for _ in range(count)]
    return [people.pay(row, omar, "card_lost_charged").id for row in rows]


def settled():
    db.session.rollback()
    return db.session.scalar(select(func.count(Event.id)).where(Event.kind == "payment.succeeded"))


def test_settling_one_payment_twice_and_at_once_has_one_effect(app):
    (payment_id,) = in_flight()
    assert at_once(app, [lambda: tasks.settle_payment(payment_id)] * 4) == [None] * 4
    tasks.settle_payment(payment_id)
    assert settled() == 1


def test_settling_a_missing_payment_does_nothing():
    tasks.settle_payment(10**6)


def test_the_sweep_settles_payments_without_a_job():
    in_flight(3)
    with time_machine.travel(clock.now() + outcomes.UNKNOWN_AFTER + timedelta(seconds=1)):
        assert tasks.settle_unknown_payments() == 3
        assert tasks.settle_unknown_payments() == 0
    assert settled() == 3


def every_service():
    modules = pkgutil.walk_packages(services.__path__, "portal.services.")
    return [importlib.import_module(info.name) for info in modules if not info.ispkg]


def limited():
    """Every module of services with a budget of seconds."""
    return [module for module in every_service() if hasattr(module, "BUDGET")]


def functions_with_a_forgiving_loop(module):
    """The functions with a loop that catches Exception for a single row, in the loop or in a function it calls."""
    functions = {
        node.name: node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.FunctionDef)
    }

    def forgives(node):
        return any(
            isinstance(child, ast.ExceptHandler) and child.type is not None and ast.unparse(child.type) == "Exception"
            for child in ast.walk(node)
        )

    forgiving = {name for name, node in functions.items() if forgives(node)}
    return [
        name
        for name, node in functions.items()
        for loop in ast.walk(node)
        if isinstance(loop, ast.For | ast.While)
        and (
            forgives(loop)
            or any(isinstance(child, ast.Call) and ast.unparse(child.func) in forgiving for child in ast.walk(loop))
        )
    ]


@pytest.mark.parametrize("service", limited(), ids=lambda service: service.__name__.rsplit(".", 1)[1])
def test_budget_and_longest_step_are_within_the_time_limit_of_a_job(service):
    assert service.BUDGET + service.MAX_STEP_SECONDS <= queue.JOB_SECONDS - 5


def names_of(modules):
    return {module.__name__.rsplit(".", 1)[1] for module in modules}


def sweep_calls(module):
    """The calls of the shared loop."""
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.Call)]
    return [call for call in calls if ast.unparse(call.func) in ("sweep", "sweeps.sweep")]


def test_every_function_with_a_forgiving_loop_has_a_budget():
    loops = names_of(module for module in every_service() if functions_with_a_forgiving_loop(module))
    assert loops == {"automatic", "delivery", "drafts", "retention", "sweeps"}
    sweeping = names_of(module for module in every_service() if sweep_calls(module))
    assert sweeping == {"acceptances", "callbacks", "closings", "numbers", "outcomes", "proposals", "refunds", "totals"}
    assert loops - {"sweeps"} | sweeping == names_of(limited())


def test_a_sweep_takes_the_budget_of_its_own_module():
    for module in every_service():
        for call in sweep_calls(module):
            budgets = [ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg == "budget"]
            assert budgets == ["BUDGET"], (module.__name__, budgets)


def test_a_job_calls_one_service_function():
    for node in ast.parse(inspect.getsource(tasks)).body:
        if isinstance(node, ast.FunctionDef):
            calls = [ast.unparse(child.func) for child in ast.walk(node) if isinstance(child, ast.Call)]
            assert len(calls) == 1, (node.name, calls)


def test_unknown_after_exceeds_the_longest_charge():
    assert simulated.SLOW < gateway.MAX_CALL_SECONDS
    assert outcomes.UNKNOWN_AFTER.total_seconds() > 2 * gateway.MAX_CALL_SECONDS + unit_of_work.STATEMENT_SECONDS


@pytest.mark.parametrize(
    "lock",
    ["SELECT FROM plans FOR UPDATE", "LOCK TABLE gateway_charges"],
    ids=["in a unit of work", "in the gateway"],
)
def test_a_job_past_its_time_limit_starts_no_next_row(monkeypatch, lock):
    """Both where a database error counts as no answer, and where a single row's failure is caught."""
    in_flight(2)
    begun, settle_payment = [], outcomes.settle_payment

    def count_and_settle(payment_id):
        begun.append(payment_id)
        settle_payment(payment_id)

    monkeypatch.setattr(outcomes, "settle_payment", count_and_settle)
    with time_machine.travel(clock.now() + outcomes.UNKNOWN_AFTER + timedelta(seconds=1)):
        with db.engine.connect() as other:
            other.execute(text(lock))
            with pytest.raises(queue.TimeLimitExceeded), queue.time_limit(1, JobTimeoutException):
                tasks.settle_unknown_payments()
        assert len(begun) == 1
        assert settled() == 0
        assert tasks.settle_unknown_payments() == 2
    assert settled() == 2


def test_the_payments_sweep_leaves_the_rest_to_the_next_run_after_its_budget(monkeypatch):
    in_flight(2)
    with time_machine.travel(clock.now() + outcomes.UNKNOWN_AFTER + timedelta(seconds=1)):
        with monkeypatch.context() as patched:
            patched.setattr(outcomes, "BUDGET", -1)
            assert tasks.settle_unknown_payments() == 0
        assert tasks.settle_unknown_payments() == 2


def test_the_refunds_sweep_leaves_the_rest_to_the_next_run_after_its_budget(monkeypatch):
    amal, omar = people.amal(), people.omar()
    for _ in range(2):
        plan_id = people.a_plan(amal)
        people.pay(people.installments_of(plan_id)[0].id, omar, "card_refund_lost_done")
        refunds.refund(plan_id, actor=people.owner(amal), amount=5_00, reason="A dent")
    with time_machine.travel(clock.now() + refunds.UNKNOWN_AFTER + timedelta(seconds=1)):
        with monkeypatch.context() as patched:
            patched.setattr(refunds, "BUDGET", -1)
            assert tasks.settle_unknown_refunds() == 0
        assert tasks.settle_unknown_payments() == 0
        assert tasks.settle_unknown_refunds() == 2
        assert tasks.settle_unknown_refunds() == 0


def test_purging_deletes_old_keys_and_keeps_running_ones():
    amal, omar = people.amal(), people.omar()
    first, second, third = people.installments_of(people.a_plan(amal))
    for row, card in ((first, "card_ok"), (second, "card_declined"), (third, "card_lost_charged")):
        request_key = RequestKey(omar, "POST /pay", str(row.id), "f")
        payments.pay_installment(row.id, customer_id=omar, shown=None, method=card, request_key=request_key)
    with time_machine.travel(clock.now() + timedelta(hours=25)):
        assert tasks.purge_expired() == 2
    db.session.rollback()
    assert db.session.scalars(select(IdempotencyKey.state)).all() == ["running"]


def test_purging_continues_until_nothing_is_left_and_a_kind_that_fails_blocks_no_other(monkeypatch):
    omar = people.omar()
    now = clock.now()
    for number in range(5):
        request_key = RequestKey(omar, "POST /pay", str(number), "f")
        db.session.add(
            IdempotencyKey(
                user_id=request_key.user_id,
                scope=request_key.scope,
                key=request_key.key,
                fingerprint="f",
                state="done",
                result={},
                created_at=now,
            )
        )
        db.session.add(TokenFamily(user_id=omar, created_at=now, expires_at=now + timedelta(hours=1)))
    db.session.commit()
    monkeypatch.setattr(retention, "CHUNK", 2)
    with time_machine.travel(now + timedelta(hours=25)):
        with monkeypatch.context() as patched:
            patched.setattr(retention, "BUDGET", -1)
            assert tasks.purge_expired() == 0
        with monkeypatch.context() as patched:
            patched.setitem(retention.KINDS, "idempotency_keys", lambda limit: 1 // 0)
            assert tasks.purge_expired() == 5
        assert tasks.purge_expired() == 5
        assert tasks.purge_expired() == 0


def test_the_schedule_is_registered_once_over_many_loops(valkey):
    for _ in range(3):
        look(valkey)
    assert len(valkey.keys("rq:job:schedule*")) == len(SCHEDULE)
    enqueued = [job.func_name for job in queue.queue_on(valkey).get_jobs()]
    assert set(enqueued) <= {f"portal.jobs.tasks.{entry.job}" for entry in SCHEDULE}
    valkey.flushdb()
    look(valkey)
    assert len(valkey.keys("rq:job:schedule*")) == len(SCHEDULE)
