"""Money, pages and the API with another gateway than the simulated one: no service, page or schema knows a card."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import ClassVar

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from portal.domain import clock
from portal.errors import Invalid, QistError
from portal.extensions import db
from portal.gateways.payment.simulated.cards import CARDS as TEST_CARDS
from portal.local import demo_data
from portal.models import Email, PaymentMethod, Refund
from portal.reports.operations import checks
from portal.services.mail import content
from portal.services.payments import automatic, callbacks, outcomes, payment_methods, refunds
from tests.fixtures import people
from tests.fixtures.reminders import on
from tests.gateways import second_gateway
from tests.gateways.second_gateway import (
    BOUNCES_AFTER,
    BOUNCING,
    CARDS,
    EMPTY,
    GOOD,
    LOST,
    LOST_REFUND,
    NO_REFUNDS,
    REFUSED,
    RULE,
    SILENT,
    SILENT_REFUND,
    SecondGateway,
)
from tests.services.money.test_money_machine import MoneyMachine, run
from tests.web import browser_of
from tests.web.acts import words
from tests.web.payments.test_plan_payments import pay as pay_on_page

SIMULATED_TOKENS = tuple(card.token for card in TEST_CARDS)


@pytest.fixture
def second(app: Flask, database: str) -> Iterator[SecondGateway]:
    """The application has the second gateway for this test."""
    with second_gateway.installed(app) as gateway:
        yield gateway


@pytest.fixture
def plan_id(context: object, amal: int, omar: int) -> int:
    """A plan of 100.00 in three installments."""
    return people.a_plan(amal)


def first(plan_id: int) -> int:
    return people.installments_of(plan_id)[0].id


def broken() -> dict[str, int]:
    db.session.rollback()
    return {rule: count for rule, count in checks.run() if count}


def code_of(call: object, *args: object, **kwargs: object) -> str:
    with pytest.raises(QistError) as refused:
        call(*args, **kwargs)  # type: ignore[operator]
    db.session.rollback()
    return refused.value.code


class TestMoney:
    def test_a_charge(self, second: SecondGateway, plan_id: int, omar: int) -> None:
        payment = people.pay(first(plan_id), omar, GOOD)
        assert (payment.state, payment.method) == ("succeeded", GOOD)
        assert payment.gateway_reference == f"second-{payment.gateway_key}"
        assert second.records[payment.gateway_key or ""].amount == 33_34
        assert people.installments_of(plan_id)[0].status == "paid"
        assert broken() == {}

    @pytest.mark.parametrize(("card", "code"), [(EMPTY, "insufficient_funds"), (REFUSED, "do_not_honour")])
    def test_a_declined_charge(self, second: SecondGateway, plan_id: int, omar: int, card: str, code: str) -> None:
        payment = people.pay(first(plan_id), omar, card)
        assert (payment.state, payment.decline_code) == ("declined", code)
        assert people.installments_of(plan_id)[0].paid == 0
        assert broken() == {}

    @pytest.mark.parametrize(("card", "state"), [(SILENT, "succeeded"), (LOST, "declined")])
    def test_an_unknown_charge_is_resolved_by_the_sweep(
        self, second: SecondGateway, plan_id: int, omar: int, card: str, state: str
    ) -> None:
        payment = people.pay(first(plan_id), omar, card)
        assert payment.state == "in_flight" and broken() == {}
        with time_machine.travel(clock.now() + outcomes.UNKNOWN_AFTER + timedelta(seconds=1)):
            assert outcomes.settle_unknown_payments() == 1
        assert people.payment_of(payment.id).state == state
        assert broken() == {}

    def test_a_test_card_of_the_simulator_is_unknown(self, second: SecondGateway, plan_id: int, omar: int) -> None:
        for token in (*SIMULATED_TOKENS, "pm_" + "0" * 32, "", "\x00", "x" * 65):
            assert code_of(people.pay, first(plan_id), omar, token) == "unknown_method", token
        with pytest.raises(Invalid):
            payment_methods.save(omar, "card_ok")
        assert second.records == {}

    @pytest.mark.parametrize(
        ("card", "before", "after"),
        [
            (GOOD, "succeeded", "succeeded"),
            (NO_REFUNDS, "declined", "declined"),
            (SILENT_REFUND, "in_flight", "succeeded"),
            (LOST_REFUND, "in_flight", "declined"),
        ],
    )
    def test_a_refund(
        self, second: SecondGateway, plan_id: int, amal: int, omar: int, card: str, before: str, after: str
    ) -> None:
        payment = people.pay(first(plan_id), omar, card)
        (refund_id,) = refunds.refund(plan_id, actor=people.owner(amal), amount=5_00, reason="A dent").refund_ids
        refund = db.session.get_one(Refund, refund_id, populate_existing=True)
        assert refund.state == before
        refunds.settle_refund(refund_id)
        refund = db.session.get_one(Refund, refund_id, populate_existing=True)
        assert refund.state == after
        assert people.payment_of(payment.id).refunded == (5_00 if after == "succeeded" else 0)
        assert broken() == {}

    def test_a_saved_card_pays_for_its_customer_only(self, second: SecondGateway, plan_id: int, omar: int) -> None:
        sara = people.sara()
        method_id = payment_methods.save(omar, GOOD).method_id
        method = db.session.get_one(PaymentMethod, method_id)
        token = method.token
        assert token.startswith("vault/") and (method.brand, method.last4) == ("mada", "1111")
        assert people.pay(first(plan_id), omar, token).state == "succeeded"
        other = people.a_plan(people.plan_of(plan_id).merchant_id, "sara@example.com")
        assert code_of(people.pay, first(other), sara, token) == "unknown_method"
        payment_methods.remove(omar, method_id)
        assert code_of(people.pay, people.installments_of(plan_id)[1].id, omar, token) == "unknown_method"
        assert broken() == {}

    def test_a_reversal_by_a_callback_and_by_the_job(self, second: SecondGateway, plan_id: int, omar: int) -> None:
        one, two, _ = people.installments_of(plan_id)
        bounced, waiting = people.pay(one.id, omar, GOOD), people.pay(two.id, omar, BOUNCING)
        second.bounce(bounced.gateway_key or "")
        body, headers = second.signed(bounced.gateway_key or "")
        assert code_of(callbacks.receive, body, {}) == "bad_signature"
        assert code_of(callbacks.receive, b"hello", headers) == "unreadable"
        callbacks.receive(body, headers)
        assert people.payment_of(bounced.id).state == "reversed"
        with time_machine.travel(clock.now() + BOUNCES_AFTER + timedelta(seconds=1)):
            assert callbacks.deliver_due() == 2
            assert callbacks.deliver_due() == 0
        assert people.payment_of(waiting.id).state == "reversed"
        assert people.installments_of(plan_id)[0].status == "pending"
        assert broken() == {}

    def test_an_automatic_payment(self, second: SecondGateway, context: object) -> None:
        with on("2026-02-01 12:00"):
            amal, omar = people.amal(), people.omar()
            plan_id = people.a_plan(amal, count=2, first=date(2026, 3, 10))
        with on("2026-03-01 12:00"):
            method_id = payment_methods.save(omar, GOOD).method_id
            automatic.turn_on(plan_id, customer_id=omar, method_id=method_id)
        with on("2026-03-10 09:00"):
            assert automatic.collect_automatic_payments() == 1
            assert automatic.collect_automatic_payments() == 0
        assert [record.amount for record in second.records.values()] == [50_00]
        assert people.installments_of(plan_id)[0].status == "paid"
        assert broken() == {}

    def test_qist_check_finds_money_that_only_the_gateway_knows(
        self, second: SecondGateway, plan_id: int, omar: int
    ) -> None:
        assert [rule for rule, _ in checks.run() if "gateway" in rule] == [RULE]
        payment = people.pay(first(plan_id), omar, GOOD)
        second.charge("of_another_system", 5_00, "SAR", GOOD)
        second.records[payment.gateway_key or ""].amount += 1
        assert broken() == {RULE: 2}

    def test_demo_data_needs_the_simulated_gateway(self, second: SecondGateway, context: object) -> None:
        assert code_of(demo_data.seed) == "not_simulated"


class SecondMoneyMachine(MoneyMachine):
    """The model's cards, by the second gateway's tokens. Each run has a new gateway, as it has a new database."""

    tokens: ClassVar = {
        "card_ok": GOOD,
        "card_declined": REFUSED,
        "card_insufficient_funds": EMPTY,
        "card_lost_charged": SILENT,
        "card_lost_not_charged": LOST,
        "card_reversed_later": BOUNCING,
        "card_refund_declined": NO_REFUNDS,
        "card_refund_lost_done": SILENT_REFUND,
        "card_refund_lost_not_done": LOST_REFUND,
    }
    gateway: ClassVar[SecondGateway]

    def __init__(self) -> None:
        super().__init__()
        self.gateway.records.clear()


@pytest.mark.long
def test_money_is_conserved_in_any_order_of_steps(app: Flask, second: SecondGateway) -> None:
    SecondMoneyMachine.gateway = second
    run(app, runs=5, steps=25, machine=SecondMoneyMachine)


@pytest.mark.proof
@pytest.mark.parametrize("part", range(10))
def test_money_is_conserved_in_two_hundred_runs(app: Flask, second: SecondGateway, part: int) -> None:
    SecondMoneyMachine.gateway = second
    run(app, runs=20, steps=50, machine=SecondMoneyMachine)


class TestPages:
    @pytest.fixture
    def omar_at(self, app: Flask, second: SecondGateway) -> FlaskClient:
        """Omar, signed in, with a plan of two installments, which has the id 1."""
        with app.app_context():
            amal = people.amal()
            people.omar()
            people.a_plan(amal, count=2)
        return browser_of(app, "omar")

    def test_pages_offer_the_gateways_methods_and_no_test_card(self, omar_at: FlaskClient) -> None:
        for address in ("/home", "/plans/1", "/plans/1/pay", "/payment-methods"):
            page = omar_at.get(address).text
            assert [token for token in CARDS if f'value="{token}"' not in page] == [], address
            assert not re.search(r"card_ok|[Tt]est card|simulated|no real money", page), address
            assert "mada ending in 1111" in page

    def test_pages_of_a_gateway_that_offers_no_method_show_the_saved_cards_only(
        self, app: Flask, second: SecondGateway, omar_at: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        omar_at.post("/payment-methods", data={"card": GOOD})
        monkeypatch.setattr(second, "offered_methods", list)
        for address in ("/home", "/plans/1", "/plans/1/pay", "/payment-methods"):
            page = omar_at.get(address)
            assert page.status_code == 200 and "mada:" not in page.text and "mada ending in 1111" in page.text
        assert 'name="card"' not in omar_at.get("/payment-methods").text
        document = app.test_client().get("/api/openapi.json").text
        assert "or a token of the gateway" in document and "(the default)" not in document
        missing = pay_on_page(omar_at, 1, choice="next", method="")
        assert missing.status_code == 409 and "This payment method is not known." in words(missing)

    def test_a_payment_and_a_saved_card_have_their_labels(self, app: Flask, omar_at: FlaskClient) -> None:
        receipt = pay_on_page(omar_at, 1, choice="next", method=GOOD)
        assert "Paid with mada ending in 1111" in words(omar_at.get(receipt.location))
        assert omar_at.post("/payment-methods", data={"card": GOOD}).status_code == 303
        page = omar_at.get("/plans/1/pay").text
        assert '<optgroup label="Your saved cards">' in page and '<optgroup label="Other cards">' in page
        saved = re.search(r'value="(vault/\w+)"', page)
        assert saved
        receipt = pay_on_page(omar_at, 1, choice="next", method=saved[1])
        assert "Paid with mada ending in 1111" in words(omar_at.get(receipt.location))
        with app.app_context():
            mails = db.session.scalars(db.select(Email).where(Email.kind == "receipt"))
            assert [content.facts_of(mail)["how"] for mail in mails] == ["mada ending in 1111"] * 2

    def test_a_callback_over_http(self, app: Flask, second: SecondGateway, omar_at: FlaskClient) -> None:
        pay_on_page(omar_at, 1, choice="next", method=GOOD)
        (key,) = second.records
        second.bounce(key)
        body, headers = second.signed(key)
        client = app.test_client()
        assert client.post("/gateway/callbacks", data=body).status_code == 401
        assert client.post("/gateway/callbacks", data=body, headers=headers).status_code == 204
        assert "Pay SAR 50.00" in words(omar_at.get("/plans/1/pay"))


class TestApi:
    def test_the_document_describes_the_gateways_methods(self, app: Flask, second: SecondGateway) -> None:
        text = app.test_client().get("/api/openapi.json").text
        assert f"{GOOD} (the default), {EMPTY}" in text
        assert not re.search(r"card_ok|[Tt]est card|simulated|\{gateway:", text)
        examples = app.test_client().get("/api/openapi.json").json["components"]["schemas"]
        assert examples["Pay"]["examples"][0]["payment_method"] == GOOD
        assert examples["NewPaymentMethod"]["examples"] == [{"card": GOOD}]
        assert examples["SavedPaymentMethod"]["examples"][0]["brand"] == "mada"

    def test_payments_and_saved_cards(self, app: Flask, second: SecondGateway) -> None:
        with app.app_context():
            amal = people.amal()
            people.omar()
            plan = people.a_plan(amal, count=4)
            rows = [row.id for row in people.installments_of(plan)]
        client = app.test_client()
        pair = client.post("/token/", json={"username": "omar", "password": people.PASSWORD}).json
        headers = {"Authorization": f"Bearer {pair['access']}"}

        def pay(row: int, **body: str) -> tuple[int, str | None]:
            response = client.post(f"/api/plans/installments/{row}/pay/", json=body, headers=headers)
            return response.status_code, response.json.get("code")

        assert pay(rows[0]) == (200, None)
        assert pay(rows[1], payment_method="card_ok") == (422, "unknown_method")
        assert pay(rows[1], payment_method=EMPTY) == (402, "insufficient_funds")
        assert pay(rows[1], payment_method=REFUSED) == (402, "declined")
        refused = client.post("/api/payment-methods/", json={"card": "card_ok"}, headers=headers)
        assert refused.status_code == 422
        saved = client.post("/api/payment-methods/", json={"card": GOOD}, headers=headers).json
        assert saved["token"].startswith("vault/") and (saved["brand"], saved["last4"]) == ("mada", "1111")
        assert pay(rows[1], payment_method=saved["token"]) == (200, None)
        assert pay(rows[2], payment_method=SILENT) == (202, None)
        shown = client.get("/api/payments/", headers=headers).json
        assert [payment["payment_method"] for payment in shown] == [SILENT, "saved_card", REFUSED, EMPTY, GOOD]
