"""Eight acts at once on one plan's money, drawn from all of them: no effect is double, and everything adds up.

`test_race_grid.py` has the pairs, and shows that they fail without the locks. Here any act meets any other, also those
that arise in the middle: what a reschedule moved is paid, what a bounce reopened is credited, what was won is refunded.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.errors import Busy, Refused
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.gateways.payment.simulated import tables
from portal.models import Event, IdempotencyKey, Installment, Payment, Refund
from portal.reports.operations import checks
from portal.services.adjustments import reschedules
from portal.services.adjustments.reschedules import NewTerms, RescheduleProposed
from portal.services.idempotency import RequestKey
from portal.services.payments import callbacks
from portal.services.payments.refunds import RefundsMade
from tests.conftest import Figures
from tests.fixtures import people
from tests.fixtures.concurrency import at_once, slowly
from tests.services.money import test_race_grid as grid
from tests.services.money.race_figures import money_of
from tests.services.money.test_race_grid import FIRST_WRITES, PART, Scene

AT_ONCE: Final = 8
CANARY_ROUNDS, SEEN_IN = 8, 6
BEFORE: Final = ("", "reversed", "lost", "written off")

pytestmark = pytest.mark.usefixtures("context")


def reschedule(**terms: Any) -> Callable[[Scene, RequestKey], Any]:
    def request(scene: Scene, request_key: RequestKey) -> Any:
        late = people.today_of(scene.amal) + timedelta(days=200)
        new = NewTerms(**terms, **({"due_date": late} if terms["how"] == "split" else {}))
        return reschedules.reschedule(
            scene.plan, actor=people.owner(scene.amal), terms=new, reason="A race", request_key=request_key
        )

    return request


def win(scene: Scene, request_key: RequestKey) -> Any:
    """The bank gives the first payment back, if it took it and still has it. The gateway tells it once more."""
    gave = tables.charges.c.wins_back == grid.key_of_first(scene)
    gateway.active().win(grid.key_of_first(scene))
    won = db.session.scalars(select(tables.charges.c.key).where(gave)).one_or_none()
    db.session.rollback()
    return callbacks.update_from_gateway(won) if won else None


ACTS: Final[dict[str, Callable[[Scene, RequestKey], Any]]] = {
    "pay one": grid.pay_first,
    "pay another": grid.pay_next,
    "pay all": grid.pay_all,
    "record": grid.cash,
    "refund": grid.refund(6_00),
    "refund one": grid.refund(7_00, of_first=True),
    "credit": grid.credit,
    "write off": grid.write_off,
    "cancel": grid.cancel_rest,
    "cancel and refund": grid.cancel,
    "void": grid.void,
    "reverse": grid.reverse,
    "lose": grid.take_all,
    "win": win,
    "shift": reschedule(how="shift", days=7),
    "split": reschedule(how="split", count=3),
}
EVENT_OF: Final = {
    "pay one": "payment.succeeded",
    "pay another": "payment.succeeded",
    "pay all": "payment.succeeded",
    "record": "payment.recorded",
    "credit": "credit.given",
    "write off": "plan.written_off",
    "cancel": "plan.cancelled",
    "cancel and refund": "plan.cancelled",
    "void": "payment.voided",
    "shift": "plan.rescheduled",
    "split": "plan.rescheduled",
}
ONCE: Final = ("plan.cancelled", "payment.voided", "payment.reversed", "payment.won", "payment.loss_returned")


def a_scene(amal: int, omar: int, before: str) -> tuple[Scene, Scene]:
    """A plan of four installments, the first paid by card, the second in cash. Each scene has one of the payments."""
    plan = people.a_plan(amal, total=4 * PART, count=4)
    parts = [row.id for row in people.installments_of(plan)]
    card = Scene(amal, omar, plan, parts[2:], [people.pay(parts[0], omar).id])
    cash = replace(card, paid=[grid.recorded(card, PART)])
    if before == "lost":
        grid.refund(6_00, of_first=True)(card, card.request_key("before"))
    if before in ("lost", "reversed"):
        people.bounce(card.paid[0], PART)
    if before == "written off":
        grid.write_off(card, card.request_key("before"))
    return card, cash


def counts(plan_id: int) -> Counter[str]:
    query = select(Event.kind, func.count().label("number")).where(Event.plan_id == plan_id).group_by(Event.kind)
    return Counter({row.kind: row.number for row in db.session.execute(query)})


def faults(app: Flask, card: Scene, cash: Scene, names: list[str]) -> list[str]:
    """Carry the acts out at once. Returns what is wrong afterwards."""
    was = counts(card.plan)
    db.session.rollback()
    calls = [
        lambda name=name, number=number, scene=cash if name == "void" else card: ACTS[name](
            scene, scene.request_key(f"{number}")
        )
        for number, name in enumerate(names)
    ]
    results = at_once(app, calls)
    db.session.rollback()
    callbacks.deliver_due()
    db.session.rollback()
    wrong = [
        f"{name}: {result!r}"
        for name, result in zip(names, results, strict=True)
        if isinstance(result, Exception) and not isinstance(result, (Refused, Busy))
    ]
    nothing = (Exception, RescheduleProposed)
    done = [(name, it) for name, it in zip(names, results, strict=True) if not isinstance(it, nothing)]
    came = counts(card.plan) - was
    expected = Counter(EVENT_OF[name] for name, _ in done if name in EVENT_OF)
    wrong += [f"{kind}: {came[kind]} for {count} acts" for kind, count in expected.items() if came[kind] != count]
    wrong += [f"{kind}: {came[kind]} without an act" for kind in set(EVENT_OF.values()) - expected.keys() if came[kind]]
    wrong += [f"{kind} twice" for kind in ONCE if counts(card.plan)[kind] > 1]
    made = [refund for _, result in done if isinstance(result, RefundsMade) for refund in result.refunds]
    refunds = sum(refund.state == "succeeded" for refund in made)  # of several, the gateway may decline one
    money = money_of(card.plan)
    if came["refund.succeeded"] < refunds:
        wrong.append(f"{refunds} refunds were acknowledged, {came['refund.succeeded']} happened")
    rows = select(func.sum(Installment.amount - Installment.moved), func.sum(Installment.paid))
    total, paid = db.session.execute(rows.where(Installment.plan_id == card.plan)).one()
    if total != money.total or paid + money.credited + money.written_off + money.remaining != total:
        wrong.append(f"it does not add up: {money}")
    if min(money.remaining, money.credited, money.written_off, paid) < 0:
        wrong.append(f"less than nothing: {money}")
    return wrong


@pytest.mark.parametrize("rounds", [12, pytest.param(600, marks=pytest.mark.proof)])
def test_eight_of_all_acts_at_once(app: Flask, figures: Figures, rounds: int) -> None:
    draw, seen = random.Random(rounds), Counter[str]()
    amal, omar = people.amal(), people.omar()
    for number in range(rounds):
        names, before = draw.choices(list(ACTS), k=AT_ONCE), BEFORE[number % len(BEFORE)]
        card, cash = a_scene(amal, omar, before)
        with slowly(*FIRST_WRITES, pause=0.003):
            assert faults(app, card, cash, names) == [], (names, before)
        seen.update(names)
    assert seen.keys() == ACTS.keys()
    for query in (
        select(Payment.id).where(Payment.state == "in_flight"),
        select(Refund.id).where(Refund.state == "in_flight"),
        select(IdempotencyKey.key).where(IdempotencyKey.state == "running"),
    ):
        assert db.session.scalars(query).all() == []
    assert [check for check in checks.run() if check[1]] == []
    figures(f"{rounds} rounds of {AT_ONCE} of {len(ACTS)} acts at once: 0 double, 0 errors")


@pytest.mark.long
def test_canary_without_row_locks_it_fails(app: Flask) -> None:
    draw, wrong = random.Random(1), list[list[str]]()
    amal, omar = people.amal(), people.omar()
    for number in range(CANARY_ROUNDS):
        card, cash = a_scene(amal, omar, BEFORE[number % len(BEFORE)])
        with slowly(*FIRST_WRITES, locks=False, pause=0.08):
            wrong.append(faults(app, card, cash, draw.choices(list(ACTS), k=AT_ONCE)))
    assert sum(found != [] for found in wrong) >= SEEN_IN, wrong
