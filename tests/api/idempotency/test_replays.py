"""A replay of every operation equals its first response, byte for byte, after the plan has moved on.

Also after every name, text, language and letterhead that the response could show has changed.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import requests
from flask import Flask

from portal.api.endpoints import declared
from portal.domain import clock
from portal.gateways import payment as gateway
from portal.services.operations import merchant_deactivations
from portal.services.payments import outcomes, refunds
from tests.api import Api, Person, create_plan, customer, merchant, register
from tests.api.idempotency import renamed
from tests.api.idempotency.stored_results import secrets_of, shapes_of, stored_results
from tests.fixtures import operations, people, webhooks
from tests.fixtures.agreements import acceptance
from tests.pages import pseudo_language

WHY = {"reason": "A layer was missing"}
REPLAYED = "Idempotent-Replayed"


@dataclass
class Sent:
    """A request and its first response."""

    person: Person
    where: str
    body: dict[str, Any]
    key: str
    response: requests.Response


class Sender:
    """Sends requests under keys of their own, and keeps them with their responses."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []

    def __call__(self, person: Person, where: str, body: dict[str, Any], status: int) -> dict[str, Any]:
        key = f"key-{len(self.sent)}"
        response = person.api.post(where, body, Idempotency_Key=key)
        assert response.status_code == status, response.text
        assert REPLAYED not in response.headers
        self.sent.append(Sent(person, where, body, key, response))
        answer: dict[str, Any] = response.json()
        return answer


def operation_of(app: Flask, sent: Sent) -> str:
    """The operation id of a request."""
    endpoint, _ = app.url_map.bind("").match(sent.where, method="POST")
    return endpoint.removeprefix("api_").replace(".", "_")


def bounce(app: Flask, payment_id: int) -> None:
    """The bank takes a payment back, and the gateway hasn't said so yet."""
    with app.app_context():
        assert gateway.active().bounce(people.payment_of(payment_id).gateway_key or "")


def again(sent: Sent, **headers: str) -> requests.Response:
    response = sent.person.api.post(sent.where, sent.body, Idempotency_Key=sent.key, **headers)
    assert response.headers.get(REPLAYED) == "true", (sent.where, response.text)
    return response


def assert_replays_are_equal(send: Sender) -> None:
    """Each response is the first one, byte for byte. In another language only the sentences of a refusal differ."""
    for sent in send.sent:
        replay, first = again(sent), sent.response
        assert (replay.status_code, replay.content) == (first.status_code, first.content), sent.where
        for header in ("Location", "Content-Type"):
            assert replay.headers.get(header) == first.headers.get(header), sent.where
        other = again(sent, Accept_Language=pseudo_language.RIGHT_TO_LEFT)
        if first.headers["Content-Type"] == "application/json":
            assert other.content == first.content, sent.where
        else:
            assert facts_of(other) == facts_of(first) and other.content != first.content, sent.where


def facts_of(problem: requests.Response) -> dict[str, Any]:
    """A problem document without its sentences."""
    return {name: value for name, value in problem.json().items() if name not in ("title", "detail")}


@pytest.mark.long
def test_every_replay_equals_its_first_response_after_the_plan_has_moved_on(app: Flask, api: Api) -> None:
    amal, omar = merchant(api), customer(api)
    send = Sender()
    terms = {"total_amount": "120.00", "num_installments": 6, "start_date": "2026-08-31"}
    plan = send(amal, "/api/plans/", {"customer_email": omar.email, **terms, "external_id": "order 1"}, 201)
    send(amal, "/api/plans", {"customer_email": omar.email, **terms, "external_id": "order 1"}, 200)
    send(amal, "/api/plans/", {"customer_email": "nadia@example.com", **terms}, 201)
    invited = send.sent[-1].response.json()["id"]
    send(amal, f"/api/plans/{invited}/invitations/", {"kind": "pay"}, 201)
    send(amal, f"/api/plans/{invited}/invitations/", {"kind": "customer"}, 201)
    send(amal, f"/api/plans/{invited}/invitations/revoke/", {"kind": "pay"}, 200)
    send(amal, f"/api/plans/{invited}/customer-email/", {"customer_email": "huda@example.com"}, 200)
    base, parts = f"/api/plans/{plan['id']}", [row["id"] for row in plan["installments"]]
    pay, installments = f"{base}/pay/", "/api/plans/installments"
    saved = send(omar, "/api/payment-methods/", {"card": "card_ok"}, 201)
    send(omar, f"{installments}/{parts[0]}/pay/", {"payment_method": "card_declined"}, 402)
    send(omar, f"{installments}/{parts[0]}/pay/", {"payment_method": saved["token"]}, 200)
    send(omar, f"{installments}/{parts[1]}/pay/", {"payment_method": "card_insufficient_funds"}, 402)
    send(omar, pay, {"choice": "due"}, 200)
    send(omar, pay, {"choice": "amount", "amount": "5.00", "payment_method": "card_refund_declined"}, 200)
    unrefundable = send.sent[-1].response.json()["id"]
    send(omar, pay, {"choice": "amount", "amount": "25.00"}, 200)
    today = clock.today("Asia/Riyadh").isoformat()
    cash = {"amount": "4.00", "method": "cash", "received_on": today, "reference": "7", **WHY}
    recorded = send(amal, f"{base}/payments/", cash, 201)
    send(amal, f"{base}/refunds/", {"amount": "1.00", "payment": recorded["id"], **WHY}, 201)
    send(amal, f"{base}/refunds/", {"amount": "27.00", **WHY}, 201)
    send(amal, f"{base}/refunds/", {"amount": "1.00", "payment": unrefundable, **WHY}, 409)
    send(amal, f"{base}/credits/", {"amount": "3.00", "how": "spread", **WHY}, 200)
    send(amal, f"{base}/reschedule/", {"how": "shift", "days": 1, **WHY}, 200)
    bounce(app, unrefundable)
    send(amal, f"/api/payments/{unrefundable}/reverse/", {}, 200)
    voided = send(amal, f"{base}/payments/", cash, 201)
    send(amal, f"/api/payments/{voided['id']}/void/", WHY, 200)
    send(amal, f"{base}/write-off/", WHY, 200)
    send(omar, pay, {"choice": "amount", "amount": "1.00"}, 200)
    other = create_plan(amal, omar.email)
    paid = send(omar, f"/api/plans/{other['id']}/pay/", {"choice": "amount", "amount": "30.00"}, 200)
    send(amal, f"/api/plans/{other['id']}/cancel/", {"refund": "20.00", **WHY}, 200)
    bounce(app, paid["id"])
    send(amal, f"/api/payments/{paid['id']}/reverse/", {}, 200)
    asked = f"/api/plans/{create_plan(amal, omar.email)['id']}/reschedule/"
    tomorrow = (clock.today("Asia/Riyadh") + timedelta(days=1)).isoformat()
    for answer, person in (("withdraw", amal), ("decline", omar), ("accept", omar)):
        proposal = send(amal, asked, {"how": "split", "num_installments": 1, "due_date": tomorrow, **WHY}, 202)
        send(person, f"{asked}{answer}/", {"proposal": proposal["id"]}, 200)
    reminded = create_plan(amal, customer(api).email)
    send(amal, f"/api/plans/{reminded['id']}/reminders/", {}, 200)
    noor = customer(api)
    create_plan(amal, noor.email, start_date="2026-08-31")
    send(noor, f"/api/shops/{amal.id}/pay/", {}, 200)
    sara = register(api, "customer", "sara")
    with acceptance(app, "required"):
        waiting = send(amal, "/api/plans/", {"customer_email": sara.email, **terms}, 201)
    send(sara, f"/api/plans/{waiting['id']}/dispute/", {}, 200)
    send(amal, f"/api/plans/{waiting['id']}/dispute/answer/", {"answer": "A cake"}, 200)
    send(sara, f"/api/plans/{waiting['id']}/dispute/uphold/", {}, 200)
    send(sara, f"/api/plans/{waiting['id']}/accept/", {}, 200)
    send(sara, f"/api/plans/{waiting['id']}/pay/", {"choice": "all"}, 200)
    assert amal.api.call("PATCH", "/api/merchant/", {"withdrawal_days": 14}).status_code == 200
    for act, person in (("withdraw", omar), ("delivery", amal)):
        send(person, f"/api/plans/{create_plan(amal, omar.email)['id']}/{act}/", {}, 200)
    with operations.registration(app, "approval"):
        dana = merchant(api)
    draft = {"customer_email": omar.email, **terms, "external_id": "order 1"}
    send(dana, "/api/plan-drafts/", draft, 201)
    send(dana, "/api/plan-drafts/", draft, 200)
    badr = merchant(api)
    with app.app_context():
        merchant_deactivations.deactivate(badr.id, actor=operations.olga(), reason="A complaint")
    send(badr, "/api/merchant/objections/", {"reason": "It was another shop"}, 200)
    with app.app_context():
        endpoint, event = webhooks.a_sent_event(people.owner(amal.id))
    send(amal, f"/api/webhook-endpoints/{endpoint}/deliveries/{event}/send/", {}, 202)
    assert omar.api.call("DELETE", f"/api/payment-methods/{saved['id']}/").status_code == 204

    assert {operation_of(app, sent) for sent in send.sent} == {
        name for name, operation in declared.items() if operation.repeatable
    }
    assert_replays_are_equal(send)
    renamed.everything(app)
    assert_replays_are_equal(send)
    shown = omar.api.get(f"{base}/").json()
    assert (shown["merchant_name"], shown["description"], shown["metadata"]) == (
        renamed.NEW,
        renamed.NEW,
        renamed.NOTES,
    )
    assert omar.api.get(f"/api/payments/{recorded['id']}/").json()["reference"] is None, "erased"
    with app.app_context():
        results = stored_results()
        assert len(results) == len(send.sent) + 1, "and the plan of the payment to a shop"
        assert secrets_of(results) == []
        assert shapes_of(results) == {
            "Accepted",
            "Answered",
            "CreditGiven",
            "Delivered",
            "Objected",
            "Upheld",
            "Withdrawn",
            "PlanRescheduled",
            "CustomerCorrected",
            "DeliveryQueued",
            "Disputed",
            "LinkRenewed",
            "LinkRevoked",
            "PaymentDeclined",
            "PaymentMade",
            "PaymentMethodSaved",
            "PaymentRecorded",
            "PaymentReversed",
            "PaymentVoided",
            "PlanCancelled",
            "PlanCreated",
            "PlanDraftFound",
            "PlanDraftSaved",
            "PlanFound",
            "PlanWrittenOff",
            "ProposalEnded",
            "RescheduleProposed",
            "RefundsDeclined",
            "RefundsMade",
            "ReminderQueued",
            "ShopPaymentBegun",
        }


def test_an_outcome_that_the_sweep_recorded_is_replayed_unchanged_from_then_on(app: Flask, api: Api) -> None:
    amal, omar = merchant(api), customer(api)
    plan = create_plan(amal, omar.email)
    send = Sender()
    where = f"/api/plans/installments/{plan['installments'][0]['id']}/pay/"
    payment = send(omar, where, {"payment_method": "card_lost_charged"}, 202)["payment"]["id"]
    with app.app_context():
        outcomes.settle_payment(payment)
    base = f"/api/plans/{plan['id']}"
    omar.api.post(f"{base}/pay/", {"choice": "amount", "amount": "10.00", "payment_method": "card_refund_lost_done"})
    refund = send(amal, f"{base}/refunds/", {"amount": "5.00", **WHY}, 202)["refunds"][0]["id"]
    with app.app_context():
        refunds.settle_refund(refund)
    known = [again(sent) for sent in send.sent]
    assert [response.status_code for response in known] == [200, 201]
    assert known[0].json()["status"] == "paid"
    bounce(app, payment)
    assert amal.api.post(f"/api/payments/{payment}/reverse/", {}).status_code == 200
    assert amal.api.post(f"{base}/write-off/", WHY).status_code == 200
    assert [again(sent).content for sent in send.sent] == [response.content for response in known]
    with app.app_context():
        assert secrets_of(stored_results()) == []


def test_a_cancellation_whose_refund_the_sweep_settled_shows_the_outcome(app: Flask, api: Api) -> None:
    amal, omar = merchant(api), customer(api)
    plan = create_plan(amal, omar.email)
    base = f"/api/plans/{plan['id']}"
    omar.api.post(f"{base}/pay/", {"choice": "amount", "amount": "10.00", "payment_method": "card_refund_lost_done"})
    send = Sender()
    cancelled = send(amal, f"{base}/cancel/", {"refund": "4.00", **WHY}, 200)
    assert (cancelled["refunded"], cancelled["refunding"]) == ("0.00", "4.00")
    assert again(send.sent[0]).content == send.sent[0].response.content
    with app.app_context():
        refunds.settle_refund(cancelled["refunds"][0]["id"])
    known = again(send.sent[0])
    assert (known.json()["refunded"], known.json()["refunding"]) == ("4.00", "0.00")
    assert again(send.sent[0]).content == known.content
