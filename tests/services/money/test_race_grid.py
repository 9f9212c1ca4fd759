"""Eight requests at once change the same plan's money, in pairs of operations. Without the locks the grid fails.

Charges and refunds are counted in the gateway's own tables.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.errors import Refused
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.gateways.payment.simulated import tables
from portal.models import IdempotencyKey, Payment, Refund
from portal.reports.operations import checks
from portal.services.adjustments import cancellations, credits, voids, write_offs
from portal.services.idempotency import RequestKey
from portal.services.payments import callbacks, manual_payments, payments, refunds, reversals
from tests.conftest import Figures
from tests.fixtures import people
from tests.fixtures.concurrency import at_once, slowly
from tests.services.money.race_figures import Money, money_of

EACH = 4
PART = 10_00
"""Amount of every installment in minor units."""
FIRST_WRITES = ("INSERT INTO payments", "UPDATE payments", "UPDATE installments", "UPDATE plans")
CANARY_ROUNDS, SEEN_IN = 3, 2

pytestmark = pytest.mark.usefixtures("context")


@dataclass(frozen=True)
class Scene:
    """A plan of three installments. Each paid one has a payment of its own."""

    amal: int
    omar: int
    plan: int
    parts: list[int]
    paid: list[int]

    def request_key(self, name: str) -> RequestKey:
        return RequestKey(self.omar, f"POST /race/{self.plan}", name, "f")


@dataclass(frozen=True)
class Pair:
    """Two operations on a plan's money, the refusals allowed, and the predicate of (wins left, wins right, money)."""

    left: Callable[[Scene, RequestKey], Any]
    right: Callable[[Scene, RequestKey], Any]
    ends: Callable[[int, int, Money], bool]
    refusals: set[str]
    paid: int = 0
    by_cash: bool = False
    begun: str = ""
    may_exceed: bool = False
    meanwhile: set[str] = field(default_factory=lambda: {"payment_in_flight"})


def pay_first(scene: Scene, request_key: RequestKey) -> Any:
    return payments.pay_installment(
        scene.parts[0], customer_id=scene.omar, shown=None, method="card_ok", request_key=request_key
    )


def pay_next(scene: Scene, request_key: RequestKey) -> Any:
    return payments.pay_installment(
        scene.parts[len(scene.paid)], customer_id=scene.omar, shown=None, method="card_ok", request_key=request_key
    )


def pay_due(scene: Scene, request_key: RequestKey) -> Any:
    return payments.pay_plan(
        scene.plan, customer_id=scene.omar, choice="due", shown=None, method="card_ok", request_key=request_key
    )


def pay_all(scene: Scene, request_key: RequestKey) -> Any:
    return payments.pay_plan(
        scene.plan, customer_id=scene.omar, choice="all", shown=None, method="card_ok", request_key=request_key
    )


def refund(amount: int, *, of_first: bool = False) -> Callable[[Scene, RequestKey], Any]:
    def request(scene: Scene, request_key: RequestKey) -> Any:
        payment = scene.paid[0] if of_first else None
        return refunds.refund(
            scene.plan,
            actor=people.owner(scene.amal),
            amount=amount,
            reason="A race",
            payment_id=payment,
            request_key=request_key,
        )

    return request


def cancel(scene: Scene, request_key: RequestKey) -> Any:
    return cancellations.cancel(
        scene.plan, actor=people.owner(scene.amal), refund=PART, reason="A race", request_key=request_key
    )


def cancel_rest(scene: Scene, request_key: RequestKey) -> Any:
    return cancellations.cancel(scene.plan, actor=people.owner(scene.amal), reason="A race", request_key=request_key)


def credit(scene: Scene, request_key: RequestKey) -> Any:
    amount = 2 * PART + 1
    return credits.credit(
        scene.plan, actor=people.owner(scene.amal), amount=amount, how="last", reason="A race", request_key=request_key
    )


def write_off(scene: Scene, request_key: RequestKey) -> Any:
    return write_offs.write_off(scene.plan, actor=people.owner(scene.amal), reason="A race", request_key=request_key)


def reverse(scene: Scene, request_key: RequestKey) -> Any:
    """The bank takes the first payment back, whichever thread asks first."""
    gateway.active().bounce(key_of_first(scene))
    return reversals.ask_gateway(scene.paid[0], actor=people.owner(scene.amal), request_key=request_key)


def take_all(scene: Scene, request_key: RequestKey) -> Any:
    """The bank takes the whole first payment back, although a part may have been refunded, and the gateway tells it."""
    key = key_of_first(scene)
    gateway.active().bounce(key, PART)
    return callbacks.update_from_gateway(key)


def win(scene: Scene, request_key: RequestKey) -> Any:
    """The bank gives the first payment back, whichever thread comes first, and the gateway tells it."""
    key = key_of_first(scene)
    won = gateway.active().win(key)
    if won is None:
        won = str(db.session.scalars(select(tables.charges.c.key).where(tables.charges.c.wins_back == key)).one())
        db.session.rollback()
    return callbacks.update_from_gateway(won)


def key_of_first(scene: Scene) -> str:
    key = db.session.scalars(select(Payment.gateway_key).where(Payment.id == scene.paid[0])).one()
    db.session.rollback()
    return str(key)


def void(scene: Scene, request_key: RequestKey) -> Any:
    return voids.void(scene.paid[0], actor=people.owner(scene.amal), reason="A race", request_key=request_key)


def cash(scene: Scene, request_key: RequestKey) -> Any:
    today = people.today_of(scene.amal)
    return manual_payments.record(
        scene.plan,
        actor=people.owner(scene.amal),
        amount=3 * PART,
        method="cash",
        received_on=today,
        request_key=request_key,
    )


QUICK = ("pay/pay", "pay/refund", "cash/pay")
"""The pairs whose canary `make test` tries. `make proof-short` tries the others."""
PAIRS = {
    "pay/pay": Pair(
        pay_first,
        pay_due,
        lambda first, second, money: first + second == 1 and money.charged == PART,
        {"already_paid", "nothing_due"},
    ),
    "pay/refund": Pair(
        pay_next,
        refund(6_00),
        lambda pays, backs, money: pays == 1 and money.charged == 2 * PART and money.given_back == backs * 6_00,
        {"already_paid", "too_much"},
        paid=1,
    ),
    "refund/refund": Pair(
        refund(7_00),
        refund(7_00, of_first=True),
        lambda first, second, money: first + second == 2 and money.given_back == 14_00,
        {"too_much"},
        paid=2,
        meanwhile=set(),
    ),
    "cancel/pay": Pair(
        cancel,
        pay_next,
        lambda cancels, pays, money: (
            (cancels, pays) in {(1, 0), (1, 1), (0, 1)}
            and money.given_back == cancels * PART
            and money.credited == cancels * (2 - pays) * PART
        ),
        {"plan_cancelled", "already_paid"},
        paid=1,
    ),
    "credit/pay": Pair(
        credit,
        pay_all,
        lambda credits, pays, money: (
            credits <= 1 and pays == 1 and money.remaining == 0 and money.credited == credits * (2 * PART + 1)
        ),
        {"too_much", "nothing_owed", "already_paid"},
    ),
    "reverse/pay": Pair(
        reverse,
        pay_all,
        lambda reversals, pays, money: 1 <= pays <= 2 and money.reversed == bool(reversals) * PART,
        {"already_paid"},
        paid=1,
    ),
    "loss/refund": Pair(
        take_all,
        refund(6_00, of_first=True),
        lambda losses, backs, money: (
            money.reversed + money.lost == PART and money.lost == money.given_back == bool(money.given_back) * 6_00
        ),
        {"nothing_to_refund", "too_much"},
        paid=1,
        meanwhile={"payment_in_flight", "refund_in_flight"},
    ),
    "win/pay": Pair(
        win,
        pay_all,
        lambda wins, pays, money: pays == 1 and money.won == PART and not money.remaining,
        {"already_paid"},
        paid=1,
        begun="reversed",
        may_exceed=True,
    ),
    "win/cancel": Pair(
        win,
        cancel_rest,
        lambda wins, cancels, money: (
            cancels == 1 and money.won == PART and money.credited + money.won - money.given_back == 3 * PART
        ),
        {"plan_cancelled", "nothing_owed"},
        paid=1,
        begun="reversed",
        may_exceed=True,
    ),
    "win/win": Pair(
        win,
        win,
        lambda first, second, money: (money.won, money.regained, money.given_back) == (4_00, 6_00, 6_00),
        set(),
        paid=1,
        begun="lost",
    ),
    "void/pay": Pair(
        void,
        pay_all,
        lambda voids, pays, money: voids <= 1 and 1 <= pays <= 1 + voids and money.reversed == voids * PART,
        {"not_voidable", "already_paid"},
        paid=1,
        by_cash=True,
    ),
    "write_off/pay": Pair(
        write_off,
        pay_all,
        lambda offs, pays, money: offs <= 1 and pays == 1 and money.charged == 3 * PART and not money.written_off,
        {"nothing_owed", "already_paid"},
    ),
    "cash/pay": Pair(
        cash,
        pay_all,
        lambda records, pays, money: records + pays == 1 and money.cash + money.charged == 3 * PART,
        {"nothing_owed", "already_paid"},
    ),
}


def scenes(count: int, pair: Pair) -> Iterator[Scene]:
    amal, omar = people.amal(), people.omar()
    for _ in range(count):
        plan = people.a_plan(amal, total=3 * PART, count=3)
        parts = [row.id for row in people.installments_of(plan)]
        scene = Scene(amal, omar, plan, parts, [])
        for part in parts[: pair.paid]:
            scene.paid.append(recorded(scene, PART) if pair.by_cash else people.pay(part, omar).id)
        if pair.begun == "lost":
            refund(6_00)(scene, scene.request_key("before"))
        if pair.begun:
            people.bounce(scene.paid[0], PART)
        yield scene


def recorded(scene: Scene, amount: int) -> int:
    """The id of a new cash payment of `amount` minor units."""
    return manual_payments.record(
        scene.plan,
        actor=people.owner(scene.amal),
        amount=amount,
        method="cash",
        received_on=people.today_of(scene.amal),
    ).payment_id


def race(app: Flask, pair: Pair, scene: Scene) -> list[str]:
    """Run each operation EACH times at once. Returns the faults found afterwards."""
    sides = [pair.left] * EACH + [pair.right] * EACH
    db.session.rollback()
    results = at_once(
        app, [lambda do=do, number=number: do(scene, scene.request_key(f"{number}")) for number, do in enumerate(sides)]
    )
    db.session.rollback()
    callbacks.deliver_due()
    db.session.rollback()
    money = money_of(scene.plan)
    wrong = [
        f"a {type(result).__name__}"
        for result in results
        if isinstance(result, Exception) and not isinstance(result, Refused)
    ]
    codes = {result.code for result in results if isinstance(result, Refused)}
    wrong += [f"refused: {code}" for code in codes - pair.refusals - pair.meanwhile]
    if (money.excess and not pair.may_exceed) or (money.declined_refunds and "refund_in_flight" not in pair.meanwhile):
        wrong.append("charged more than was owed, or gave back more than was charged")
    came_in = money.charged + money.cash - money.reversed + money.won - (money.given_back if pair.may_exceed else 0)
    if came_in + money.credited + money.written_off + money.remaining != money.total:
        wrong.append("it does not add up")
    won = [sum(not isinstance(result, Exception) for result in side) for side in (results[:EACH], results[EACH:])]
    if not pair.ends(won[0], won[1], money):
        wrong.append(f"{won} won")
    return wrong


@pytest.mark.parametrize("rounds", [3, pytest.param(100, marks=pytest.mark.proof)])
@pytest.mark.parametrize("name", PAIRS)
def test_eight_at_once_never_overpay_or_over_refund(app: Flask, figures: Figures, name: str, rounds: int) -> None:
    pair = PAIRS[name]
    for scene in scenes(rounds, pair):
        with slowly(*FIRST_WRITES, pause=0.003):
            assert race(app, pair, scene) == []
    assert db.session.scalar(select(Payment.id).where(Payment.state == "in_flight")) is None
    assert db.session.scalar(select(Refund.id).where(Refund.state == "in_flight")) is None
    assert db.session.scalars(select(IdempotencyKey.key).where(IdempotencyKey.state == "running")).all() == []
    assert [check for check in checks.run() if check[1]] == []
    figures(f"{name}: {rounds} rounds of {2 * EACH} at once, 0 overpaid or over-refunded, 0 errors")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in PAIRS]
)
def test_canary_without_row_locks_the_grid_fails(app: Flask, name: str) -> None:
    """A conflict that the database sees would be an error page, and one that it can't see a wrong amount."""
    pair = PAIRS[name]
    faults: list[list[str]] = []
    for scene in scenes(CANARY_ROUNDS, pair):
        with slowly(*FIRST_WRITES, locks=False, pause=0.08):
            faults.append(race(app, pair, scene))
        if sum(map(bool, faults)) == SEEN_IN:
            return
    pytest.fail(f"seen in too few of {CANARY_ROUNDS} rounds: {Counter(words for wrong in faults for words in wrong)}")
