"""SIGKILL at three moments of a payment or refund, with every test card.

No installment is charged twice, no refund happens twice, and nothing stays in flight. Charges and refunds are counted
in the gateway's own tables.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select, text

from portal.domain import clock
from portal.errors import Unsure
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.gateways.payment.simulated import tables
from portal.models import Allocation, IdempotencyKey, Installment, Payment, Refund
from portal.reports.operations import checks
from portal.services.payments import outcomes, refunds
from tests.conftest import Figures
from tests.fixtures import people
from tests.fixtures.concurrency import at_once
from tests.services.payments.dying import (
    AFTER,
    BEFORE,
    MOMENTS,
    RECORDED,
    SCOPE,
    Nursery,
    Wish,
    carry_out,
    nursery,
)

PART = 10_00
CHARGED = {"card_ok", "card_lost_charged", "card_slow"}
DECLINED = {"card_declined", "card_insufficient_funds"}
LOST = {"card_lost_charged", "card_lost_not_charged"}
CARDS = (*sorted(CHARGED | DECLINED), "card_lost_not_charged")
GIVEN_BACK = {"card_ok", "card_refund_lost_done"}
REFUND_LOST = {"card_refund_lost_done", "card_refund_lost_not_done"}
REFUND_CARDS = (*sorted(GIVEN_BACK | REFUND_LOST), "card_refund_declined")

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def dying(database: str) -> Iterator[Nursery]:
    with nursery() as processes:
        yield processes


@dataclass(frozen=True)
class Case:
    """One killed request: its card, its moment, its arguments, and the results expected later."""

    card: str
    moment: str
    wish: Wish
    parts: int = 1
    known: dict[str, Any] = field(default_factory=dict)


def sweep_all(app: Flask) -> int:
    """Run two sweeps at once until nothing is in flight. Returns the number of rows asked about."""
    count = 0
    with time_machine.travel(clock.now() + outcomes.UNKNOWN_AFTER + timedelta(seconds=1)):
        for sweep in (outcomes.settle_unknown_payments, refunds.settle_unknown_refunds):
            while most := max(at_once(app, [sweep, sweep])):
                count += most
    db.session.rollback()
    return count


def nothing_is_in_flight() -> None:
    db.session.rollback()
    for model in (Payment, Refund):
        assert db.session.scalar(select(func.count(model.id)).where(model.state == "in_flight")) == 0
    assert db.session.scalar(select(func.count(Allocation.id)).where(Allocation.state == "held")) == 0
    running = select(func.count()).select_from(IdempotencyKey).where(IdempotencyKey.state == "running")
    assert db.session.scalar(running) == 0
    assert db.session.scalar(select(func.sum(Payment.refunding))) == 0
    assert [check for check in checks.run() if check[1]] == []


def key_row(case: Case) -> IdempotencyKey:
    return db.session.get_one(IdempotencyKey, (case.wish["user"], SCOPE, case.wish["key"]), populate_existing=True)


def at_the_gateway(table: Any) -> dict[str, str]:
    """Key -> outcome, from the gateway's table."""
    return {row.key: row.outcome for row in db.session.execute(select(table.c.key, table.c.outcome))}


@pytest.mark.parametrize("each", [pytest.param(2, marks=pytest.mark.long), pytest.param(200, marks=pytest.mark.proof)])
def test_a_payment_killed_at_any_moment_is_charged_once(
    app: Flask, dying: Nursery, figures: Figures, each: int
) -> None:
    cases = killed_payments(dying, each)
    charges = at_the_gateway(tables.charges)
    for case in cases:
        row = key_row(case)
        payment = people.payment_of(row.payment_id or 0)
        reached = case.moment != BEFORE and case.card != "card_lost_not_charged"
        outcome = None if not reached else "charged" if case.card in CHARGED else "declined"
        assert charges.get(payment.gateway_key or "") == outcome, case
        is_known = case.moment == RECORDED and case.card not in LOST
        assert (payment.state != "in_flight", row.state == "done") == (is_known, is_known), case
        case.known.update(payment_id=payment.id, succeeds=outcome == "charged")

    swept = sweep_all(app)
    nothing_is_in_flight()
    for case in cases:
        payment = people.payment_of(case.known["payment_id"])
        assert payment.state == ("succeeded" if case.known["succeeds"] else "declined"), case
    charged_once_at_most(cases)

    before = Counter(at_the_gateway(tables.charges).values())["charged"]
    for case in cases:
        again = carry_out(case.wish)
        assert again.replayed and again.payment_id == case.known["payment_id"], case
        if not case.known["succeeds"]:
            assert carry_out({**case.wish, "card": "card_ok", "key": f"{case.wish['key']}-anew"}).replayed is False
    db.session.rollback()
    charged_once_at_most(cases)
    charged = Counter(at_the_gateway(tables.charges).values())["charged"]
    assert charged == len(cases) == before + sum(not case.known["succeeds"] for case in cases)
    paid = select(func.count(Installment.id)).where(Installment.paid == PART)
    assert db.session.scalar(paid) == len(cases)
    nothing_is_in_flight()
    figures(f"{len(cases)} payments killed: 0 charged twice, 0 in flight after the sweep, which asked about {swept}")


def killed_payments(dying: Nursery, each: int) -> list[Case]:
    amal, omar = people.amal(), people.omar()
    cases = []
    for moment in MOMENTS:
        for card in CARDS * each:
            part = people.installments_of(people.a_plan(amal, total=2 * PART, count=2))[0]
            wish = {"verb": "pay", "installment": part.id, "card": card, "user": omar, "key": f"{part.id}"}
            cases.append(Case(card, moment, wish))
    kill_all(dying, cases)
    return cases


def kill_all(dying: Nursery, cases: Sequence[Case]) -> None:
    """Kill the cases of each moment, in random order."""
    db.session.rollback()
    for moment in MOMENTS:
        wishes = [case.wish for case in cases if case.moment == moment]
        random.shuffle(wishes)
        dying.dies(moment, wishes)


def charged_once_at_most(cases: Sequence[Case]) -> None:
    """Every installment has at most one charge in the gateway's table."""
    charged = (
        select(Allocation.installment_id)
        .join(Payment, Payment.id == Allocation.payment_id)
        .join(tables.charges, tables.charges.c.key == Payment.gateway_key)
        .where(tables.charges.c.outcome == "charged")
    )
    times = Counter(db.session.scalars(charged))
    assert max(times.values()) == 1
    assert set(times) <= {case.wish["installment"] for case in cases}


@pytest.mark.parametrize("each", [pytest.param(2, marks=pytest.mark.long), pytest.param(200, marks=pytest.mark.proof)])
def test_a_refund_killed_at_any_moment_happens_once(app: Flask, dying: Nursery, figures: Figures, each: int) -> None:
    """Some take from two payments and are killed with the first: the sweep sends the second."""
    cases = killed_refunds(dying, each)
    outcomes_by_key = at_the_gateway(tables.refunds)
    for case in cases:
        row = key_row(case)
        group = db.session.scalars(select(Refund).where(Refund.group_key == row.refund_group).order_by(Refund.id))
        rows = list(group)
        assert len(rows) == case.parts, case
        states = {
            refund.id: final_state(case, index, outcomes_by_key.get(refund.gateway_key or ""))
            for index, refund in enumerate(rows)
        }
        is_known = case.moment == RECORDED and case.card not in REFUND_LOST
        assert {refund.state == "in_flight" for refund in rows} == {not is_known}, case
        assert row.state == ("done" if is_known else "running"), case
        case.known.update(states)

    swept = sweep_all(app)
    nothing_is_in_flight()
    agrees_with_the_gateway()
    before = at_the_gateway(tables.refunds)
    for case in cases:
        for refund_id, state in case.known.items():
            assert db.session.get_one(Refund, refund_id, populate_existing=True).state == state, case
        again = carry_out(case.wish)
        assert again.replayed and set(again.refund_ids) == set(case.known), case
        db.session.rollback()
    assert at_the_gateway(tables.refunds) == before
    given_back_once(cases)

    for case in cases:
        if case.card in GIVEN_BACK - REFUND_LOST:
            refundable = sum(payment.refundable for payment in db.session.scalars(Payment.of_plan(case.wish["plan"])))
            carry_out({**case.wish, "amount": refundable, "key": f"{case.wish['key']}-anew"})
            db.session.rollback()
    nothing_is_in_flight()
    agrees_with_the_gateway()
    figures(f"{len(cases)} refunds killed: 0 given back twice, 0 in flight after the sweep, which asked about {swept}")


def killed_refunds(dying: Nursery, each: int) -> list[Case]:
    amal, omar = people.amal(), people.omar()
    cases = []
    for moment in MOMENTS:
        for card, parts in [*((card, 1) for card in REFUND_CARDS), ("card_ok", 2)] * each:
            plan = people.a_plan(amal, total=2 * PART, count=2)
            for row in people.installments_of(plan)[:parts]:
                people.pay(row.id, omar, card)
            amount = parts * PART - 5_00
            wish = {"verb": "refund", "plan": plan, "amount": amount, "user": amal, "key": f"{plan}"}
            cases.append(Case(card, moment, wish, parts))
    kill_all(dying, cases)
    return cases


def final_state(case: Case, index: int, outcome: str | None) -> str:
    """The refund's state after the sweep. Asserts the gateway's outcome before it."""
    reached = case.moment == RECORDED or (case.moment == AFTER and index == 0)
    reached &= case.card != "card_refund_lost_not_done"
    assert outcome == (None if not reached else "refunded" if case.card in GIVEN_BACK else "declined"), case
    return "succeeded" if case.card in GIVEN_BACK else "declined"


def given_back_once(cases: Sequence[Case]) -> None:
    """The gateway's table has the requested amount of each plan, unless its card declines."""
    back = tables.refunds.c
    query = (
        select(Payment.plan_id, func.sum(back.amount), func.count())
        .join(tables.refunds, back.charge_key == Payment.gateway_key)
        .where(back.outcome == "refunded")
        .group_by(Payment.plan_id)
    )
    refunded = {plan: (int(amount), count) for plan, amount, count in db.session.execute(query)}
    accepted = [case for case in cases if case.card in GIVEN_BACK]
    assert refunded == {case.wish["plan"]: (case.wish["amount"], case.parts) for case in accepted}


def agrees_with_the_gateway() -> None:
    """Each payment's refunded amount equals the gateway's, and is at most the charge."""
    db.session.rollback()
    back = tables.refunds.c
    refunded = (
        select(back.charge_key, func.sum(back.amount).label("amount"))
        .where(back.outcome == "refunded")
        .group_by(back.charge_key)
        .subquery()
    )
    rows = db.session.execute(
        select(
            Payment.amount,
            Payment.refunded,
            tables.charges.c.amount.label("charged"),
            refunded.c.amount.label("refunded_there"),
        )
        .join(tables.charges, tables.charges.c.key == Payment.gateway_key)
        .outerjoin(refunded, refunded.c.charge_key == Payment.gateway_key)
    ).all()
    assert rows
    for row in rows:
        assert row.refunded == (row.refunded_there or 0) <= row.charged == row.amount


@pytest.mark.parametrize("verb", ["pay", "refund"])
def test_an_outcome_that_can_not_be_recorded_is_unsure(app: Flask, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another transaction locks the plan right after the gateway's answer, for longer than the lock timeout."""
    limits = "SELECT set_config('lock_timeout', '100ms', true), set_config('statement_timeout', '5s', true)"
    monkeypatch.setattr("portal.services.unit_of_work._LIMITS", text(limits))
    amal, omar = people.amal(), people.omar()
    plan = people.a_plan(amal, total=2 * PART, count=2)
    first, second = [row.id for row in people.installments_of(plan)]
    people.pay(first, omar)
    wish: Wish = {"verb": "pay", "installment": second, "card": "card_ok", "user": omar, "key": "key"}
    if verb == "refund":
        wish = {"verb": "refund", "plan": plan, "amount": 5_00, "user": amal, "key": "key"}
    name = "charge" if verb == "pay" else "refund"
    call = getattr(gateway.active(), name)
    with db.engine.connect() as other, monkeypatch.context() as held:

        def call_then_lock(*args: Any) -> gateway.Outcome:
            outcome: gateway.Outcome = call(*args)
            other.execute(text("SELECT FROM plans WHERE id = :id FOR UPDATE"), {"id": plan})
            return outcome

        held.setattr(gateway.active(), name, call_then_lock)
        with pytest.raises(Unsure):
            carry_out(wish)
        other.rollback()
    sweep_all(app)
    assert carry_out(wish).replayed
    nothing_is_in_flight()
    charged = Counter(at_the_gateway(tables.charges).values())["charged"]
    assert (charged, len(at_the_gateway(tables.refunds))) == ((2, 0) if verb == "pay" else (1, 1))


def test_the_second_of_two_refunds_is_sent_when_the_first_can_not_be_recorded(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = "SELECT set_config('lock_timeout', '100ms', true), set_config('statement_timeout', '5s', true)"
    monkeypatch.setattr("portal.services.unit_of_work._LIMITS", text(limits))
    amal, omar = people.amal(), people.omar()
    plan = people.a_plan(amal, total=2 * PART, count=2)
    for row in people.installments_of(plan):
        people.pay(row.id, omar)
    wish: Wish = {"verb": "refund", "plan": plan, "amount": 15_00, "user": amal, "key": "key"}
    call = gateway.active().refund
    with db.engine.connect() as other, monkeypatch.context() as held:

        def call_then_lock(*args: Any) -> gateway.Outcome:
            outcome = call(*args)
            other.execute(text("SELECT FROM plans WHERE id = :id FOR UPDATE"), {"id": plan})
            return outcome

        held.setattr(gateway.active(), "refund", call_then_lock)
        with pytest.raises(Unsure):
            carry_out(wish)
        other.rollback()
    assert list(at_the_gateway(tables.refunds).values()) == ["refunded"]
    sweep_all(app)
    nothing_is_in_flight()
    given_back_once([Case("card_ok", AFTER, wish, parts=2)])
    assert carry_out(wish).replayed
