"""The contract of a payment gateway, for the simulated gateway and for the second one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from structlog.testing import capture_logs

from portal.config import PAYMENT_GATEWAYS
from portal.domain import clock
from portal.extensions import db
from portal.gateways import payment
from portal.gateways.payment import UNKNOWN, BadSignature, UnreadableCallback, registry
from portal.gateways.payment.registry import GATEWAYS
from portal.wording import simulated_cards
from tests.fixtures import servers
from tests.fixtures.concurrency import at_once
from tests.gateways import second_gateway

pytestmark = pytest.mark.usefixtures("context")


@dataclass(frozen=True)
class Case:
    """A gateway, its tokens, and its callback about a key as body and headers."""

    gateway: Any
    good: str
    empty: str
    silent: str
    lost: str
    silent_refund: str
    lost_refund: str
    callback: Callable[[str], tuple[bytes, dict[str, str]]]


@pytest.fixture(params=["simulated", "second"])
def case(request: pytest.FixtureRequest, app: Flask) -> Iterator[Case]:
    if request.param == "simulated":
        simulated: Any = payment.active()
        yield Case(
            simulated,
            "card_ok",
            "card_insufficient_funds",
            "card_lost_charged",
            "card_lost_not_charged",
            "card_refund_lost_done",
            "card_refund_lost_not_done",
            lambda key: (body := b'{"key": "' + key.encode() + b'"}', simulated.signed(body)),
        )
        return
    with second_gateway.installed(app) as second:
        yield Case(
            second,
            second_gateway.GOOD,
            second_gateway.EMPTY,
            second_gateway.SILENT,
            second_gateway.LOST,
            second_gateway.SILENT_REFUND,
            second_gateway.LOST_REFUND,
            second.signed,
        )


def test_a_key_is_charged_once(app: Flask, case: Case) -> None:
    before = clock.now()
    first = case.gateway.charge("k", 10_00, "SAR", case.good)
    assert (first.state, first.reversed, first.decline_code) == ("succeeded", False, None)
    assert first.reference and before <= first.charged_at <= clock.now()
    assert case.gateway.charge("k", 10_00, "SAR", case.good) == first
    assert case.gateway.charge("k", 10_00, "SAR", case.empty) == first
    assert case.gateway.look_up("k") == case.gateway.resolve("k") == first


def test_a_declined_charge_is_final(case: Case) -> None:
    first = case.gateway.charge("k", 10_00, "SAR", case.empty)
    assert (first.state, first.decline_code, first.charged_at) == ("declined", "insufficient_funds", None)
    assert case.gateway.charge("k", 10_00, "SAR", case.good) == case.gateway.resolve("k") == first


def test_a_charge_without_response_is_unknown_until_it_is_looked_up(case: Case) -> None:
    assert case.gateway.charge("k", 10_00, "SAR", case.silent) == UNKNOWN
    assert case.gateway.look_up("k").state == "succeeded"
    assert case.gateway.resolve("k").charged_at is not None


def test_a_closed_key_can_not_be_charged_later(app: Flask, case: Case) -> None:
    assert case.gateway.charge("k", 10_00, "SAR", case.lost) == case.gateway.look_up("k") == UNKNOWN
    final = case.gateway.resolve("k")
    assert (final.state, final.decline_code) == ("declined", "not_charged")
    assert case.gateway.charge("k", 10_00, "SAR", case.good) == final


def test_charges_and_questions_at_once_give_one_answer(app: Flask, case: Case) -> None:
    calls = [lambda: case.gateway.charge("k", 10_00, "SAR", case.good)] * 4 + [lambda: case.gateway.resolve("k")] * 4
    assert len(set(at_once(app, calls))) == 1


def test_refunds_never_exceed_the_charge(case: Case) -> None:
    case.gateway.charge("k", 10_00, "SAR", case.good)
    first = case.gateway.refund("r1", "k", 6_00)
    assert first.state == "succeeded" and first.charged_at is not None and first.charged_at <= clock.now()
    assert case.gateway.refund("r1", "k", 6_00) == case.gateway.look_up_refund("r1") == first
    over = case.gateway.refund("r2", "k", 4_01)
    assert (over.state, over.decline_code) == ("declined", "over_refunded")
    assert case.gateway.refund("r3", "k", 4_00).state == "succeeded"
    assert case.gateway.refund("r4", "nothing", 1).decline_code == "no_such_charge"


def test_a_refund_without_response_is_unknown_until_it_is_resolved(case: Case) -> None:
    case.gateway.charge("k", 10_00, "SAR", case.silent_refund)
    assert case.gateway.look_up_refund("r") == UNKNOWN
    assert case.gateway.refund("r", "k", 1_00) == UNKNOWN
    assert case.gateway.look_up_refund("r").state == case.gateway.resolve_refund("r").state == "succeeded"
    case.gateway.charge("lost", 10_00, "SAR", case.lost_refund)
    assert case.gateway.refund("s", "lost", 1_00) == UNKNOWN
    closed = case.gateway.resolve_refund("s")
    assert (closed.state, closed.decline_code) == ("declined", "not_refunded")


def test_a_reversal_has_its_instant_and_amount(case: Case) -> None:
    case.gateway.charge("k", 10_00, "SAR", case.good)
    case.gateway.refund("r", "k", 4_00)
    before = clock.now()
    case.gateway.bounce("k")
    outcome = case.gateway.look_up("k")
    assert (outcome.state, outcome.reversed, outcome.reversed_amount) == ("succeeded", True, 6_00)
    assert outcome.charged_at <= before <= outcome.reversed_at <= clock.now()
    assert case.gateway.refund("s", "k", 1).decline_code == "charge_reversed"
    assert case.gateway.look_up("k") == outcome


def test_money_that_was_won_back_is_a_charge_of_its_own(case: Case) -> None:
    case.gateway.charge("k", 10_00, "SAR", case.good)
    assert case.gateway.win("k") is None
    case.gateway.bounce("k")
    before = clock.now()
    won = case.gateway.win("k")
    outcome = case.gateway.look_up(won)
    assert (outcome.state, outcome.wins_back, outcome.amount, outcome.reversed) == ("succeeded", "k", 10_00, False)
    assert outcome.reference and before <= outcome.charged_at <= clock.now()
    assert case.gateway.win("k") is None and not case.gateway.bounce(won)
    assert case.gateway.look_up("k").reversed and case.gateway.look_up("k").wins_back is None
    assert list(case.gateway.unacknowledged(9)) == ["k", won]
    case.gateway.acknowledge(won)
    assert list(case.gateway.unacknowledged(9)) == ["k"]
    assert case.gateway.refund("r", won, 10_00).state == "succeeded"
    assert case.gateway.refund("s", won, 1).decline_code == "over_refunded"


def test_reversals_are_listed_by_page_until_they_are_acknowledged(case: Case) -> None:
    keys = [f"k{number}" for number in range(5)]
    for key in keys:
        case.gateway.charge(key, 10_00, "SAR", case.good)
        case.gateway.bounce(key)
    assert list(case.gateway.unacknowledged(2)) == keys[:2]
    assert list(case.gateway.unacknowledged(2, after="k1")) == keys[2:4]
    case.gateway.acknowledge("k2")
    assert list(case.gateway.unacknowledged(9)) == [key for key in keys if key != "k2"]


def test_a_saved_card_pays_as_the_card(case: Case) -> None:
    tokens = {case.gateway.save_card(token).token for token in (case.good, case.good)}
    assert len(tokens) == 2 and not any(map(case.gateway.is_known, tokens))
    assert {case.gateway.charge(token, 1_00, "SAR", token).state for token in tokens} == {"succeeded"}
    empty = case.gateway.save_card(case.empty)
    assert case.gateway.charge("k", 1_00, "SAR", empty.token).decline_code == "insufficient_funds"


def test_the_offered_methods_are_known(case: Case) -> None:
    methods = case.gateway.offered_methods()
    assert methods[0].token == case.good
    assert all(case.gateway.is_known(method.token) and len(method.token) <= 64 for method in methods)
    assert bool(methods[0].effect) == case.gateway.is_simulated
    assert not case.gateway.is_known("another") and not case.gateway.is_known("\x00")


def test_a_callback_is_read_if_the_gateway_signed_it(case: Case) -> None:
    body, headers = case.callback("qist_1")
    assert case.gateway.callback_key(body, headers) == "qist_1"
    for wrong in ({}, {name: value + "0" for name, value in headers.items()}):
        with pytest.raises(BadSignature):
            case.gateway.callback_key(body, wrong)
    empty = case.callback("")
    with pytest.raises(UnreadableCallback):
        case.gateway.callback_key(*empty)


def test_a_charge_that_qist_does_not_know_breaks_a_rule(case: Case) -> None:
    with db.engine.connect() as connection:
        assert {count for _, count in case.gateway.check(connection)} == {0}
        assert connection.execute(text("SELECT count(*) FROM payments")).scalar() == 0
    case.gateway.charge("k", 10_00, "SAR", case.good)
    with db.engine.connect() as connection:
        assert [count for _, count in case.gateway.check(connection) if count] == [1]


@pytest.mark.parametrize(
    ("environment", "gateway", "events"),
    [
        ("production", "simulated", ["gateway.simulated"]),
        ("development", "simulated", []),
        ("production", "second", []),
    ],
)
def test_a_production_start_with_the_simulated_gateway_logs_a_warning(
    monkeypatch: pytest.MonkeyPatch, environment: str, gateway: str, events: list[str]
) -> None:
    monkeypatch.setattr(registry, "GATEWAYS", {**GATEWAYS, "second": lambda _: second_gateway.SecondGateway()})
    settings = replace(servers.settings_for("qist"), env=environment, payment_gateway=gateway)
    with capture_logs() as logged:
        payment.init_app(Flask("another"), settings)
    assert [line["event"] for line in logged if line["log_level"] == "warning"] == events


def test_every_effect_of_a_test_card_has_its_label(app: Flask) -> None:
    effects = [method.effect for method in GATEWAYS["simulated"](app.config["QIST"]).offered_methods()]
    assert sorted(effects) == sorted(simulated_cards.EFFECTS)


def test_the_settings_accept_exactly_the_gateways_of_the_registry() -> None:
    assert set(PAYMENT_GATEWAYS) == set(GATEWAYS)
