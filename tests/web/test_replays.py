"""A form that is sent twice gets the same redirect and message, after the plan has moved on."""

import json
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from portal.extensions import db
from portal.models import Plan
from portal.services.operations import approvals
from portal.services.payments import outcomes
from portal.services.plans import drafts
from portal.web.labels import one_use_key
from tests.api.idempotency.stored_results import secrets_of, shapes_of, stored_results
from tests.fixtures import operations, people
from tests.pages.pseudo_language import english
from tests.web import browser_of
from tests.web.acts import a_cash_payment, check, hidden, money_of, words

WHY = {"reason": "One layer was missing"}


@dataclass
class Sent:
    """A form that was sent, with the answer: status, address and messages."""

    client: FlaskClient
    address: str
    data: dict[str, str]
    answer: tuple[Any, ...]


def send(client: FlaskClient, address: str, data: dict[str, str]) -> Sent:
    return Sent(client, address, data, answer_of(client, address, data))


def answer_of(client: FlaskClient, address: str, data: dict[str, str]) -> tuple[Any, ...]:
    """The status, the body, the address of the redirect, and the messages for the next page."""
    with client.session_transaction() as session:
        session.pop("_flashes", None), session.pop("note", None)
    response = client.post(address, data=data)
    assert response.status_code == 303, response.text
    with client.session_transaction() as session:
        flashes, note = json.loads(english(json.dumps([session.get("_flashes"), session.get("note")])))
    return response.location, response.data, flashes, note


def act(client: FlaskClient, address: str, **typed: str) -> Sent:
    """Fill in a form of an action on a plan's money, and confirm it."""
    confirmation = check(client, address, **typed)
    assert confirmation.status_code == 200, confirmation.text
    return send(client, address, {"step": "confirm", **hidden(confirmation)})


def test_every_form_sent_twice_gets_the_same_answer_after_the_plan_has_moved_on(app: Flask, database: str) -> None:
    with app.app_context():
        amal_id, _ = people.amal(), people.omar()
        plan, other = people.a_plan(amal_id, total=120_00, count=6), people.a_plan(amal_id)
        first, second = [row.id for row in people.installments_of(plan)][:2]
    amal, omar = browser_of(app, "amal"), browser_of(app, "omar")
    base = f"/plans/{plan}"
    terms = {"total_amount": "100", "num_installments": "3", "start_date": "2198-01-31", "interval": "monthly"}
    sent = [
        send(amal, "/plans", {"key": one_use_key(), "customer_email": "nadia@example.com", **terms}),
        send(omar, f"/installments/{first}/payments", {"key": one_use_key(), "shown": "2000", "method": "card_ok"}),
        send(
            omar,
            f"/installments/{second}/payments",
            {"key": one_use_key(), "shown": "2000", "method": "card_ok", "from": "home"},
        ),
    ]
    for choice, amount in (("next", ""), ("amount", "15"), ("all", "")):
        owed = money_of(app, plan).owed
        typed = {"choice": choice, "amount": amount, "shown": str(owed), "shown_next": "2000", "method": "card_ok"}
        if choice == "all":
            sent.append(act(amal, f"{base}/credit", amount="5", how="spread", **WHY))
            typed["shown"] = str(owed - 500)
        sent.append(send(omar, f"{base}/pay", {"key": one_use_key(), **typed}))
    with app.app_context():
        whole = people.plan_of(plan).state
    assert whole == "completed"
    sent.append(act(amal, f"{base}/refund", amount="30", payment="newest", **WHY))
    with app.app_context():
        people.pay(people.installments_of(other)[0].id, people.plan_of(other).customer_id, "card_ok")
        refundless = people.pay(
            people.installments_of(other)[1].id, people.plan_of(other).customer_id, "card_refund_declined"
        ).id
        day = people.today_of(amal_id).isoformat()
    sent.append(act(amal, f"/plans/{other}/refund", amount="1", payment=str(refundless), **WHY))
    sent.append(act(amal, f"/payments/{a_cash_payment(app, other)}/void", **WHY))
    cash = {"amount": "4", "method": "cash", "received_on": day}
    sent.append(act(amal, f"/plans/{other}/record-payment", **cash))
    sent.append(act(amal, f"/plans/{other}/write-off", **WHY))
    with app.app_context():
        third = people.a_plan(amal_id)
        people.pay(people.installments_of(third)[0].id, people.plan_of(third).customer_id)
        people.pay(people.installments_of(third)[1].id, people.plan_of(third).customer_id, "card_refund_declined")
    sent.append(act(amal, f"/plans/{third}/cancel", give_back="all", **WHY))

    for form in sent:
        assert form.answer[2] or form.answer[3] or form.address.endswith("/pay"), form.address
        assert answer_of(form.client, form.address, form.data) == form.answer, form.address
    with app.app_context():
        results = stored_results()
        assert len(results) == len(sent)
        assert secrets_of(results) == []
        assert {"PlanCreated", "PlanCancelled", "RefundsMade", "RefundsDeclined"} <= shapes_of(results)


def test_a_draft_of_a_plan_sent_twice_gets_the_same_answer_after_it_became_a_plan(app: Flask, database: str) -> None:
    with app.app_context():
        dana_id = operations.a_draft_merchant(app)
        day = people.today_of(dana_id).isoformat()
    terms = {"total_amount": "100", "num_installments": "3", "start_date": day, "interval": "monthly"}
    dana = browser_of(app, "dana")
    draft = send(dana, "/plans", {"key": one_use_key(), "customer_email": "nadia@example.com", **terms})
    with app.app_context():
        approvals.approve(dana_id, actor=operations.olga())
        drafts.open_all()
    assert answer_of(dana, "/plans", draft.data) == draft.answer
    with app.app_context():
        assert shapes_of(stored_results()) == {"PlanDraftSaved"}
        assert secrets_of(stored_results()) == []
        assert db.session.scalars(db.select(Plan.customer_id)).all() != []


def test_a_declined_payment_sent_twice_says_why_both_times(app: Flask, database: str) -> None:
    with app.app_context():
        plan = people.a_plan(people.amal(), "omar@example.com") if people.omar() else 0
        first = people.installments_of(plan)[0].id
    omar = browser_of(app, "omar")
    one = {"key": one_use_key(), "shown": "3334", "method": "card_declined"}
    form = {"key": one_use_key(), "choice": "all", "shown": "10000", "amount": "", "method": "card_declined"}
    answers = [omar.post(f"/installments/{first}/payments", data=one), omar.post(f"/plans/{plan}/pay", data=form)]
    assert [response.status_code for response in answers] == [402, 402]
    with app.app_context():
        people.pay(first, people.plan_of(plan).customer_id)
    again = [omar.post(f"/installments/{first}/payments", data=one), omar.post(f"/plans/{plan}/pay", data=form)]
    for before, after in zip(answers, again, strict=True):
        assert after.status_code == 402
        assert "Nothing was charged." in words(before) and "Nothing was charged." in words(after)
    assert money_of(app, plan).paid == 33_34


def test_a_payment_that_was_lost_and_settled_is_answered_as_paid(app: Flask, database: str) -> None:
    with app.app_context():
        plan = people.a_plan(people.amal(), "omar@example.com") if people.omar() else 0
        first = people.installments_of(plan)[0].id
    omar = browser_of(app, "omar")
    data = {"key": one_use_key(), "shown": "3334", "method": "card_lost_charged"}
    address = f"/installments/{first}/payments"
    assert "We are checking with the bank" in str(answer_of(omar, address, data))
    with app.app_context():
        outcomes.settle_payment(1)
    settled = answer_of(omar, address, data)
    assert settled[3]["text"] == "SAR\u00a033.34 paid"
    with app.app_context():
        people.bounce(1)
    assert answer_of(omar, address, data) == settled


def test_the_result_of_a_new_api_key_does_not_hold_it(app: Flask, database: str) -> None:
    with app.app_context():
        people.amal()
    amal = browser_of(app, "amal")
    data = {"key": one_use_key(), "name": "Web shop", "permissions": "create_plans"}
    created, again = (amal.post("/settings/api-keys", data=data) for _ in range(2))
    assert (created.status_code, again.status_code) == (201, 409)
    assert "qist_" in created.text and "can\u2019t be shown again" in again.text
    with app.app_context():
        assert shapes_of(stored_results()) == {"ApiKeyCreated"}
        assert secrets_of(stored_results()) == []
