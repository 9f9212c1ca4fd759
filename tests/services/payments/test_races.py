"""Eight payments of one installment at once charge it once. Without the locks the same test fails.

Charges are counted in the gateway's own table.
"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import select, text

from portal.errors import Refused
from portal.extensions import db
from portal.gateways.payment.simulated import tables
from portal.models import Installment, Payment
from portal.reports.operations import checks
from portal.services.idempotency import RequestKey
from portal.services.payments import payments
from tests.fixtures import people
from tests.fixtures.concurrency import slowly

CROWD = 8
ROUNDS, SEEN_IN = 10, 9
WRITE = "INSERT INTO payments"

pytestmark = pytest.mark.usefixtures("context")


def race(app, installment_ids, customer_id, *, one_key=False):
    """CROWD requests pay the same installment at once, one installment after the other.

    Returns the results of each installment: a result, or the exception.
    """
    together = Barrier(CROWD)

    def pay_all(number):
        results = []
        for installment_id in installment_ids:
            request_key = RequestKey(
                customer_id, "POST /pay", f"{installment_id}" if one_key else f"{installment_id}-{number}", "f"
            )
            together.wait(timeout=60)
            with app.app_context():
                try:
                    pay = payments.pay_installment
                    results.append(
                        pay(
                            installment_id,
                            customer_id=customer_id,
                            shown=None,
                            method="card_ok",
                            request_key=request_key,
                        )
                    )
                except Exception as error:
                    results.append(error)
        return results

    db.session.rollback()
    with ThreadPoolExecutor(CROWD) as pool:
        return list(zip(*pool.map(pay_all, range(CROWD)), strict=True))


def some_plans(count):
    """The first installments of `count` plans, and their customer."""
    amal, omar = people.amal(), people.omar()
    plan_ids = [people.a_plan(amal, total=20_00, count=2) for _ in range(count)]
    first = select(Installment.id).where(Installment.plan_id.in_(plan_ids), Installment.number == 1)
    return list(db.session.scalars(first.order_by(Installment.id))), omar


def charged():
    """Installment id -> number of the gateway's charges."""
    db.session.rollback()
    rows = db.session.execute(
        text(
            "SELECT part.installment_id FROM gateway_charges AS charge "
            "JOIN payments ON payments.gateway_key = charge.key "
            "JOIN allocations AS part ON part.payment_id = payments.id WHERE charge.outcome = 'charged'"
        )
    )
    return Counter(row.installment_id for row in rows)


@pytest.mark.parametrize(
    ("count", "keys"),
    [
        (10, "one key"),
        pytest.param(30, "one key", marks=pytest.mark.long),
        pytest.param(100, "different keys", marks=pytest.mark.long),
        pytest.param(300, "different keys", marks=pytest.mark.proof),
        pytest.param(300, "one key", marks=pytest.mark.proof),
    ],
)
def test_eight_payments_at_once_are_one_charge(app, count, keys):
    installment_ids, omar = some_plans(count)
    for results in race(app, installment_ids, omar, one_key=keys == "one key"):
        assert [result for result in results if isinstance(result, Exception) and not isinstance(result, Refused)] == []
        paid = {result.payment_id for result in results if not isinstance(result, Exception)}
        assert len(paid) == 1
        if keys == "one key":
            assert not [result for result in results if isinstance(result, Exception)]
        else:
            codes = Counter(result.code for result in results if isinstance(result, Refused))
            assert set(codes) <= {"already_paid", "payment_in_flight"} and codes.total() == CROWD - 1
    assert charged() == dict.fromkeys(installment_ids, 1)
    assert db.session.scalar(select(db.func.count(Payment.id))) == count
    assert db.session.scalar(select(db.func.sum(tables.charges.c.amount))) == count * 10_00
    assert [check for check in checks.run() if check[1]] == []


def test_canary_without_row_locks_the_unique_index_is_hit(app):
    """With the locks, no insert ever reaches the unique index's conflict."""
    installment_ids, omar = some_plans(ROUNDS)
    with slowly(WRITE, locks=False, pause=0.3):
        rounds = race(app, installment_ids, omar)
    hit = [
        results
        for results in rounds
        if any(isinstance(result, Exception) and not isinstance(result, Refused) for result in results)
    ]
    assert len(hit) >= SEEN_IN
    assert max(charged().values()) == 1


@pytest.mark.long
def test_canary_without_row_locks_and_without_the_index_customers_are_charged_twice(app):
    installment_ids, omar = some_plans(ROUNDS)
    with db.engine.begin() as connection:
        connection.execute(text("DROP INDEX uq_allocations_held_installment_id"))
    with slowly(WRITE, locks=False, pause=0.3):
        race(app, installment_ids, omar)
    assert sum(times > 1 for times in charged().values()) >= SEEN_IN


def test_row_locks_without_the_index_charge_once(app):
    """The index is a second guard."""
    installment_ids, omar = some_plans(ROUNDS)
    with db.engine.begin() as connection:
        connection.execute(text("DROP INDEX uq_allocations_held_installment_id"))
    with slowly(WRITE):
        race(app, installment_ids, omar)
    assert charged() == dict.fromkeys(installment_ids, 1)


def test_all_installments_of_a_plan_at_once_complete_it_and_are_charged_once_each(app):
    """A payment that meets another one in flight is refused, and repeated."""
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal, total=80_00, count=CROWD)
    ids = [row.id for row in people.installments_of(plan_id)]
    db.session.rollback()
    for _ in range(CROWD):
        with ThreadPoolExecutor(CROWD) as pool:
            codes = set(pool.map(lambda installment_id: _try(app, installment_id, omar), ids))
        assert codes <= {"paid", "already_paid", "payment_in_flight"}
    assert people.plan_of(plan_id).state == "completed"
    assert charged() == dict.fromkeys(ids, 1)


def _try(app, installment_id, customer_id):
    with app.app_context():
        try:
            payments.pay_installment(installment_id, customer_id=customer_id, shown=None, method="card_ok")
        except Refused as refused:
            return refused.code
        return "paid"
