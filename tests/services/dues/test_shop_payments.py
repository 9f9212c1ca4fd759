"""Everything due to a business, paid by one press: what is charged, in which order, and never twice.

Charges are counted in the gateway's own table.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.domain import clock
from portal.errors import KeyReused, NotFound, Refused
from portal.extensions import db
from portal.gateways import payment as gateway
from portal.gateways.payment.simulated import tables
from portal.models import IdempotencyKey, Installment, Merchant, Payment, Plan
from portal.reports.operations import checks
from portal.reports.payments import shop_dues
from portal.services.adjustments import credits
from portal.services.dues import presses, shop_payments
from portal.services.dues.shop_payments import Part, PartOutcome
from portal.services.idempotency import RequestKey, fingerprint
from portal.services.payments import outcomes, payment_methods
from tests.fixtures import people
from tests.fixtures.concurrency import at_once, slowly

pytestmark = pytest.mark.usefixtures("context")

CROWD = 8


@pytest.fixture
def three(amal: int, omar: int) -> list[int]:
    """Three plans of Omar at Amal's: 50, 40 and 30 are due, the oldest first."""
    sizes = ((100_00, -3), (80_00, -2), (60_00, -1))
    return [people.a_plan(amal, total=total, count=2, first=first) for total, first in sizes]


def due(amal: int, omar: int) -> list[Part]:
    db.session.rollback()
    return [Part(row.plan_id, row.minor) for row in shop_dues.plans_due(omar, amal, "SAR")]


def press(
    amal: int, omar: int, *, shown: list[Part] | None = None, card: str = "card_ok", key: str = "a-press"
) -> list[PartOutcome]:
    parts = due(amal, omar) if shown is None else shown
    body = fingerprint(*(f"{part.plan_id}:{part.minor}" for part in parts), card)
    request_key = RequestKey(omar, shop_payments.scope_of(amal, "SAR"), key, body)
    return shop_payments.pay(
        amal, "SAR", customer_id=omar, shown=parts, method=card, accepting=None, request_key=request_key
    ).outcomes


def charges(outcome: str = "charged") -> int:
    db.session.rollback()
    query = select(func.count()).select_from(tables.charges).where(tables.charges.c.outcome == outcome)
    return db.session.scalar(query) or 0


def refused(amal: int, omar: int, **more: Any) -> Refused:
    with pytest.raises(Refused) as error:
        press(amal, omar, **more)
    return error.value


def all_is_well() -> bool:
    return [check for check in checks.run() if check[1]] == []


class Killed(BaseException):
    """The process ends here."""


@contextmanager
def on_charge(number: int, act: Any) -> Iterator[None]:
    """At the charge of this number (from 1) call `act` with the gateway's own function and its arguments."""
    active, count = gateway.active(), 0
    real = active.charge

    def charge(*args: Any) -> Any:
        nonlocal count
        count += 1
        return act(real, *args) if count == number else real(*args)

    active.charge = charge  # type: ignore[method-assign]
    try:
        yield
    finally:
        del active.charge  # type: ignore[method-assign]


def test_each_plan_is_a_payment_of_its_own_the_oldest_first(amal: int, omar: int, three: list[int]) -> None:
    assert due(amal, omar) == [Part(three[0], 50_00), Part(three[1], 40_00), Part(three[2], 30_00)]
    done = press(amal, omar)
    assert [(part.plan_id, part.outcome) for part in done] == [(plan_id, "paid") for plan_id in three]
    payments = db.session.scalars(select(Payment).order_by(Payment.id)).all()
    assert [(row.plan_id, row.amount, row.state) for row in payments] == [
        (three[0], 50_00, "succeeded"),
        (three[1], 40_00, "succeeded"),
        (three[2], 30_00, "succeeded"),
    ]
    assert due(amal, omar) == [] and charges() == 3 and all_is_well()


def test_the_same_press_again_charges_nothing_more(amal: int, omar: int, three: list[int]) -> None:
    shown = due(amal, omar)
    first = press(amal, omar, shown=shown)
    assert press(amal, omar, shown=shown) == first
    assert charges() == 3
    with pytest.raises(KeyReused):
        press(amal, omar, shown=shown, card="card_slow")


def test_a_second_form_finds_nothing_due(amal: int, omar: int, three: list[int]) -> None:
    shown = due(amal, omar)
    press(amal, omar, shown=shown)
    assert refused(amal, omar, shown=shown, key="another-tab").code == "nothing_due"
    assert charges() == 3


@pytest.mark.parametrize("change", ["smaller", "another plan", "one less", "one more"])
def test_if_what_is_owed_changed_nothing_is_charged(amal: int, omar: int, three: list[int], change: str) -> None:
    shown = due(amal, omar)
    if change == "smaller":
        credits.credit(three[1], actor=people.owner(amal), amount=50_00, reason="Sorry", how="last")
    elif change == "another plan":
        people.a_plan(amal, total=10_00, count=1, first=-1)
    elif change == "one less":
        shown = shown[:2]
    else:
        shown = [*shown, Part(10**6, 1)]
    error = refused(amal, omar, shown=shown)
    assert (error.code, error.about, charges()) == ("amount_changed", "payment", 0)
    assert db.session.scalar(select(func.count(IdempotencyKey.key))) == 0


def test_a_plan_that_is_not_accepted_disputed_or_being_checked_is_left_out(
    amal: int, omar: int, three: list[int]
) -> None:
    people.pay(people.installments_of(three[2])[0].id, omar, "card_lost_charged")
    db.session.execute(db.update(Plan).where(Plan.id == three[0]).values(counted=False, lapses_at=clock.now()))
    db.session.execute(db.update(Plan).where(Plan.id == three[1]).values(disputed=True, disputed_at=clock.now()))
    db.session.commit()
    assert due(amal, omar) == []
    out = shop_dues.left_out(omar, amal, "SAR")
    assert (out.unaccepted, out.disputed, out.checking, out.further) == (1, 1, 1, 0)
    assert refused(amal, omar).code == "nothing_due"


def test_a_deactivated_business_an_unknown_card_and_a_stranger_are_refused(
    amal: int, omar: int, three: list[int]
) -> None:
    shown, sara = due(amal, omar), people.sara()
    assert refused(amal, omar, card="card_none").code == "unknown_method"
    with pytest.raises(NotFound):
        press(amal, sara, shown=shown)
    db.session.execute(db.update(Merchant).where(Merchant.id == amal).values(deactivated_at=clock.now()))
    db.session.commit()
    assert refused(amal, omar, shown=shown).code == "merchant_deactivated"
    assert charges() == 0


def test_at_most_twenty_plans_a_press(amal: int, omar: int) -> None:
    for number in range(22):
        people.a_plan(amal, total=10_00, count=1, first=-number)
    parts = due(amal, omar)
    assert len(parts) == 20 and shop_dues.left_out(omar, amal, "SAR").further == 2
    assert {part.outcome for part in press(amal, omar)} == {"paid"}
    assert len(due(amal, omar)) == 2 and charges() == 20


def test_a_saved_card_pays(amal: int, omar: int, three: list[int]) -> None:
    payment_methods.save(omar, "card_ok")
    token = db.session.scalars(select(db.text("token")).select_from(db.text("payment_methods"))).one()
    assert {part.outcome for part in press(amal, omar, card=token)} == {"paid"}


def test_after_a_decline_in_the_middle_the_others_are_paid(amal: int, omar: int, three: list[int]) -> None:
    shown = due(amal, omar)
    with on_charge(2, lambda real, key, amount, currency, token: real(key, amount, currency, "card_declined")):
        done = press(amal, omar, shown=shown)
    assert [part.outcome for part in done] == ["paid", "declined", "paid"]
    assert press(amal, omar, shown=shown) == done, "the press again asks the bank nothing"
    assert (charges(), charges("declined")) == (2, 1)
    shown_again = presses.press(omar, amal, "SAR", "a-press")
    assert shown_again is not None
    assert [part.state for part in shown_again.parts] == ["succeeded", "declined", "succeeded"]
    assert (shown_again.paid, shown_again.still_due, shown_again.is_whole) == (80_00, 40_00, False)
    assert all_is_well()


def test_a_refusal_in_the_middle_is_said_and_the_others_are_paid(amal: int, omar: int, three: list[int]) -> None:
    def pay_and_credit(real: Any, *args: Any) -> Any:
        credits.credit(three[1], actor=people.owner(amal), amount=80_00, reason="A gift meanwhile", how="last")
        return real(*args)

    with on_charge(1, pay_and_credit):
        done = press(amal, omar)
    assert [(part.outcome, part.code) for part in done] == [("paid", ""), ("refused", "plan_cancelled"), ("paid", "")]
    assert charges() == 2 and all_is_well()


def test_a_lost_answer_stops_the_press_and_the_press_again_goes_on(amal: int, omar: int, three: list[int]) -> None:
    shown = due(amal, omar)
    with on_charge(2, lambda real, key, amount, currency, token: real(key, amount, currency, "card_lost_charged")):
        done = press(amal, omar, shown=shown)
        assert [part.outcome for part in done] == ["paid", "checking", "not_tried"]
        assert [part.outcome for part in press(amal, omar, shown=shown)] == ["paid", "checking", "not_tried"]
    seen = presses.press(omar, amal, "SAR", "a-press")
    assert seen is not None and (seen.paid, seen.checking) == (50_00, 40_00)
    assert [part.state for part in seen.parts] == ["succeeded", "in_flight", "not_charged"]
    outcomes.settle_payment(done[1].payment_id or 0)
    assert [part.outcome for part in press(amal, omar, shown=shown)] == ["paid", "paid", "paid"]
    assert charges() + charges("lost_charged") == 3 and due(amal, omar) == [] and all_is_well()


@pytest.mark.parametrize("moment", ["before the charge", "after the charge"])
@pytest.mark.parametrize("number", [1, *(pytest.param(number, marks=pytest.mark.long) for number in (2, 3))])
def test_a_press_whose_process_dies_is_finished_by_the_press_again(
    amal: int, omar: int, three: list[int], moment: str, number: int
) -> None:
    shown = due(amal, omar)

    def die(real: Any, *args: Any) -> Any:
        if moment == "after the charge":
            real(*args)
        raise Killed

    with on_charge(number, die), pytest.raises(Killed):
        press(amal, omar, shown=shown)
    expected = ["paid"] * (number - 1) + ["checking"] + ["not_tried"] * (3 - number)
    assert [part.outcome for part in press(amal, omar, shown=shown)] == expected
    flying = db.session.scalars(select(Payment.id).where(Payment.state == "in_flight")).one()
    outcomes.settle_payment(flying)
    last = "paid" if moment == "after the charge" else "declined"
    done = [part.outcome for part in press(amal, omar, shown=shown)]
    assert done == ["paid"] * (number - 1) + [last] + ["paid"] * (3 - number)
    assert charges() == (3 if last == "paid" else 2) and all_is_well()


def test_a_press_dead_before_its_second_part_leaves_the_rest_due(amal: int, omar: int, three: list[int]) -> None:
    shown = due(amal, omar)

    def die(real: Any, *args: Any) -> Any:
        real(*args)
        raise Killed

    with on_charge(1, die), pytest.raises(Killed):
        press(amal, omar, shown=shown)
    outcomes.settle_payment(db.session.scalars(select(Payment.id)).one())
    assert due(amal, omar) == shown[1:], "a new form offers the others"
    assert [part.outcome for part in press(amal, omar, key="a-new-form")] == ["paid", "paid"]
    assert [part.outcome for part in press(amal, omar, shown=shown)] == ["paid", "refused", "refused"]
    assert charges() == 3 and all_is_well()


@pytest.mark.parametrize("keys", ["one key", "different keys"])
def test_eight_presses_at_once_charge_each_plan_once(app: Flask, amal: int, omar: int, keys: str) -> None:
    plan_ids = [people.a_plan(amal, total=20_00, count=2, first=-number) for number in range(5)]
    shown = due(amal, omar)
    db.session.rollback()

    def one(number: int) -> Any:
        return lambda: press(amal, omar, shown=shown, key="same" if keys == "one key" else f"tab-{number}")

    with slowly("INSERT INTO payments"):
        results = at_once(app, [one(number) for number in range(CROWD)])
    allowed = {"amount_changed", "nothing_due"}
    assert all(isinstance(each, list) or (isinstance(each, Refused) and each.code in allowed) for each in results)
    if keys == "one key":
        assert all(isinstance(each, list) and {part.outcome for part in each} == {"paid"} for each in results)
    assert charges() == len(plan_ids)
    paid = db.session.execute(select(Payment.plan_id, Payment.state).order_by(Payment.plan_id)).all()
    assert [tuple(row) for row in paid] == [(plan_id, "succeeded") for plan_id in sorted(plan_ids)]
    assert db.session.scalar(select(func.sum(Installment.paid))) == 5 * 10_00
    assert all_is_well()


def test_sums_by_business_and_currency(amal: int, omar: int, three: list[int]) -> None:
    badr = people.badr()
    people.a_plan(badr, total=3_000, count=1, first=-9)
    people.pay(people.installments_of(three[2])[0].id, omar, "card_lost_charged")
    rows = shop_dues.by_shop(omar)
    assert [(row.merchant.id, row.currency, row.minor, row.checking, row.payable, row.plans) for row in rows] == [
        (badr, "KWD", 3_000, 0, 3_000, 1),
        (amal, "SAR", 120_00, 30_00, 90_00, 3),
    ]
