"""Jobs only say "look now": each may run twice, at once, and for something that is gone."""

import ast
import importlib
import inspect
import pkgutil
import time
from datetime import timedelta

import pytest
import time_machine
from rq.timeouts import JobTimeoutException
from sqlalchemy import func, select, text

from portal import queue, services
from portal.domain import clock
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.jobs import tasks
from portal.jobs.schedule import SCHEDULE
from portal.jobs.scheduler import look
from portal.models import Event, IdempotencyKey, TokenFamily
from portal.services import unit_of_work
from portal.services.idempotency import RequestKey
from portal.services.maintenance import retention
from portal.services.payments import payments, refunds
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


def test_settling_a_payment_that_is_not_there_does_nothing():
    tasks.settle_payment(10**6)


def test_the_sweep_settles_payments_without_an_enqueued_job():
    in_flight(3)
    with time_machine.travel(clock.now() + payments.UNKNOWN_AFTER + timedelta(seconds=1)):
        assert tasks.settle_unknown_payments() == 3
        assert tasks.settle_unknown_payments() == 0
    assert settled() == 3


def every_service():
    modules = pkgutil.walk_packages(services.__path__, "portal.services.")
    return [importlib.import_module(module.name) for module in modules if not module.ispkg]


def limited():
    """Every service that goes through many rows for a number of seconds."""
    return [module for module in every_service() if hasattr(module, "BUDGET")]


def names_of(modules):
    return {module.__name__.rsplit(".", 1)[1] for module in modules}


def syntax_of(module):
    return ast.parse(inspect.getsource(module))


def sweep_calls(module):
    """The calls of the shared loop."""
    calls = [node for node in ast.walk(syntax_of(module)) if isinstance(node, ast.Call)]
    return [call for call in calls if ast.unparse(call.func) in ("sweep", "sweeps.sweep")]


def goes_through_one_by_one(module):
    """The functions with a loop that goes on after one row's failure, caught there or in a function that it calls."""
    functions = {node.name: node for node in syntax_of(module).body if isinstance(node, ast.FunctionDef)}

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
def test_a_job_ends_by_itself_before_it_is_stopped_even_when_its_last_step_is_the_longest(service):
    assert service.BUDGET + service.LONGEST_STEP <= queue.JOB_SECONDS - 5


def test_a_service_that_goes_through_rows_one_by_one_has_a_budget():
    loops = names_of(module for module in every_service() if goes_through_one_by_one(module))
    assert loops == {"automatic", "delivery", "retention", "sweeps"}
    sweeping = names_of(module for module in every_service() if sweep_calls(module))
    assert sweeping == {"callbacks", "payments", "refunds"}
    assert loops - {"sweeps"} | sweeping == names_of(limited())


def test_a_sweep_takes_the_budget_of_its_own_module():
    for module in every_service():
        for call in sweep_calls(module):
            budgets = [ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg == "budget"]
            assert budgets == ["BUDGET"], (module.__name__, budgets)


def test_a_job_does_one_thing_so_that_no_budget_is_spent_after_another():
    for node in ast.parse(inspect.getsource(tasks)).body:
        if isinstance(node, ast.FunctionDef):
            calls = [ast.unparse(child.func) for child in ast.walk(node) if isinstance(child, ast.Call)]
            assert len(calls) == 1, (node.name, calls)


def test_a_payment_is_not_asked_about_while_it_is_charged_to_the_slow_card():
    assert payments.UNKNOWN_AFTER.total_seconds() > 2 * gateway.SLOW + unit_of_work.STATEMENT_SECONDS


@pytest.mark.parametrize(
    "held",
    ["SELECT FROM plans FOR UPDATE", "LOCK TABLE gateway_charges"],
    ids=["in a verb", "in the gateway"],
)
def test_a_job_whose_time_is_up_does_not_go_on_with_the_next_row(held):
    """Where a database error is "no answer", and where one row's failure is kept from the others."""
    in_flight(2)
    began = time.monotonic()
    with time_machine.travel(clock.now() + payments.UNKNOWN_AFTER + timedelta(seconds=1)):
        with db.engine.connect() as other:
            other.execute(text(held))
            with pytest.raises(queue.TimeIsUp), queue.time_limit(1, JobTimeoutException):
                tasks.settle_unknown_payments()
        assert time.monotonic() - began < 3
        assert settled() == 0
        assert tasks.settle_unknown_payments() == 2
    assert settled() == 2


def test_a_sweep_out_of_time_leaves_the_rest_to_the_next(monkeypatch):
    in_flight(2)
    with time_machine.travel(clock.now() + payments.UNKNOWN_AFTER + timedelta(seconds=1)):
        with monkeypatch.context() as patched:
            patched.setattr(payments, "BUDGET", -1)
            assert tasks.settle_unknown_payments() == 0
        assert tasks.settle_unknown_payments() == 2


def test_so_does_the_one_for_refunds(monkeypatch):
    amal, omar = people.amal(), people.omar()
    for _ in range(2):
        plan_id = people.a_plan(amal)
        people.pay(people.installments_of(plan_id)[0].id, omar, "card_refund_lost_done")
        refunds.refund(plan_id, merchant_id=amal, amount=5_00, reason="A dent")
    with time_machine.travel(clock.now() + refunds.UNKNOWN_AFTER + timedelta(seconds=1)):
        with monkeypatch.context() as patched:
            patched.setattr(refunds, "BUDGET", -1)
            assert tasks.settle_unknown_refunds() == 0
        assert tasks.settle_unknown_payments() == 0
        assert tasks.settle_unknown_refunds() == 2
        assert tasks.settle_unknown_refunds() == 0


def test_purging_forgets_old_keys_and_nothing_that_still_runs():
    amal, omar = people.amal(), people.omar()
    first, second, third = people.installments_of(people.a_plan(amal))
    for row, card in ((first, "card_ok"), (second, "card_declined"), (third, "card_lost_charged")):
        request_key = RequestKey(omar, "POST /pay", str(row.id), "f")
        payments.pay_installment(row.id, customer_id=omar, shown=None, method=card, request_key=request_key)
    with time_machine.travel(clock.now() + timedelta(hours=25)):
        assert tasks.purge_expired() == 2
    db.session.rollback()
    assert db.session.scalars(select(IdempotencyKey.state)).all() == ["running"]


def test_purging_goes_on_until_nothing_is_left_and_one_kind_that_fails_keeps_no_other_waiting(monkeypatch):
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


def test_the_schedule_is_registered_once_however_often_the_scheduler_looks(valkey):
    for _ in range(3):
        look(valkey)
    assert len(valkey.keys("rq:job:schedule*")) == len(SCHEDULE)
    enqueued = [job.func_name for job in queue.queue_on(valkey).get_jobs()]
    assert set(enqueued) <= {f"portal.jobs.tasks.{entry.job}" for entry in SCHEDULE}
    valkey.flushdb()
    look(valkey)
    assert len(valkey.keys("rq:job:schedule*")) == len(SCHEDULE)
