"""Payments of plans, recorded payments, reversals and saved cards, over HTTP."""

from datetime import date, timedelta
from typing import Any

from portal.domain import clock
from tests.api import Api, Person, both, create_plan, customer, merchant, problem


def today() -> date:
    return clock.today("Asia/Riyadh")


def half_due(amal: Person, omar: Person, **more: Any) -> dict[str, Any]:
    """A plan of SAR 100.00 in three installments, due a week ago, today and in a week."""
    first = (today() - timedelta(days=7)).isoformat()
    return create_plan(amal, omar.email, start_date=first, interval="weekly", **more)


def parts(payment: dict[str, Any], plan: dict[str, Any]) -> dict[int, str]:
    """The amounts of a payment by installment number."""
    numbers = {part["id"]: part["number"] for part in plan["installments"]}
    return {numbers[part["installment"]]: part["amount"] for part in payment["installments"]}


@both("/api/plans/{plan}/pay/")
def test_omar_pays_what_is_due_then_all_the_rest(amal: Person, omar: Person, nobody: Api, address: str) -> None:
    plan = half_due(amal, omar)
    where = address.format(plan=plan["id"])
    problem(amal.api.post(where, {"choice": "all"}), 403, "forbidden")
    problem(customer(nobody).api.post(where, {"choice": "all"}), 404, "not_found")
    problem(nobody.post(where, {"choice": "all"}), 401, "no_token")
    due = omar.api.post(where, {"choice": "due", "expected": "66.67"})
    assert due.status_code == 200, due.text
    assert (due.json()["amount"], due.json()["state"], due.json()["method"]) == ("66.67", "succeeded", "card")
    assert parts(due.json(), plan) == {1: "33.34", 2: "33.33"}
    problem(omar.api.post(where, {"choice": "due"}), 409, "nothing_due")
    stale = problem(omar.api.post(where, {"choice": "all", "expected": "100.00"}), 409, "amount_changed")
    assert stale["remaining"] == "33.33"
    rest = omar.api.post(where, {"choice": "all"}).json()
    assert parts(rest, plan) == {3: "33.33"}
    problem(omar.api.post(where, {"choice": "all"}), 409, "already_paid")
    completed = omar.api.get(f"/api/plans/{plan['id']}/").json()
    assert (completed["status"], completed["paid"], completed["remaining"]) == ("completed", "100.00", "0.00")


def test_omar_pays_an_amount_and_the_oldest_goes_first(amal: Person, omar: Person) -> None:
    plan = half_due(amal, omar)
    where = f"/api/plans/{plan['id']}/pay/"
    paid = omar.api.post(where, {"choice": "amount", "amount": "40", "expected": 100})
    assert paid.status_code == 200
    assert parts(paid.json(), plan) == {1: "33.34", 2: "6.66"}
    open_plan = amal.api.get(f"/api/plans/{plan['id']}/").json()
    assert (open_plan["status"], open_plan["paid"], open_plan["remaining"]) == ("active", "40.00", "60.00")
    second = open_plan["installments"][1]
    assert (second["status"], second["amount_paid"], second["remaining"], second["paid_at"]) == (
        "pending",
        "6.66",
        "26.67",
        None,
    )
    more = problem(omar.api.post(where, {"choice": "amount", "amount": "60.01"}), 409, "too_much")
    assert more["remaining"] == "60.00"
    problem(omar.api.post(where, {"choice": "amount"}), 422, "required")
    problem(omar.api.post(where, {"choice": "all", "amount": "60.00"}), 422, "not_wanted")
    problem(omar.api.post(where, {"choice": "amount", "amount": "0"}), 422, "bad_amount")
    problem(omar.api.post(where, {"choice": "half"}), 422, "wrong_type")
    for method in ("4242", ""):
        problem(omar.api.post(where, {"choice": "all", "payment_method": method}), 422, "unknown_method")
    declined = omar.api.post(where, {"choice": "all", "payment_method": "card_insufficient_funds"})
    problem(declined, 402, "insufficient_funds")
    assert amal.api.get(f"/api/plans/{plan['id']}/").json()["paid"] == "40.00"


def test_a_payment_with_an_unknown_outcome_blocks_other_payments(amal: Person, omar: Person) -> None:
    plan = half_due(amal, omar)
    where = f"/api/plans/{plan['id']}/pay/"
    sent = omar.api.post(where, {"choice": "due", "payment_method": "card_lost_charged"})
    assert sent.status_code == 202 and sent.json()["state"] == "in_flight"
    assert sent.headers["Location"] == f"/api/payments/{sent.json()['id']}/"
    again = omar.api.post(where, {"choice": "all"})  # a worker may settle the first one meanwhile
    assert again.status_code == 200 or problem(again, 409, "payment_in_flight")["payment_id"] == sent.json()["id"]


@both("/api/plans/{plan}/payments/")
def test_amal_records_money_that_came_by_transfer(amal: Person, omar: Person, nobody: Api, address: str) -> None:
    plan = half_due(amal, omar)
    where = address.format(plan=plan["id"])
    body = {"amount": "50.00", "method": "transfer", "received_on": today().isoformat(), "reference": "RF18"}
    problem(omar.api.post(where, body), 403, "forbidden")
    problem(merchant(nobody).api.post(where, body), 404, "not_found")
    response = amal.api.post(where, {**body, "expected": "100.00"})
    assert response.status_code == 201, response.text
    payment = response.json()
    assert response.headers["Location"] == f"/api/payments/{payment['id']}/"
    assert (payment["method"], payment["payment_method"], payment["reference"]) == ("transfer", "transfer", "RF18")
    assert (payment["received_on"], payment["state"], payment["amount"]) == (today().isoformat(), "succeeded", "50.00")
    assert parts(payment, plan) == {1: "33.34", 2: "16.66"}
    assert omar.api.get(where).json() == [payment] == amal.api.get(where).json()
    assert problem(amal.api.post(where, {**body, "amount": "50.01"}), 409, "too_much")["remaining"] == "50.00"
    assert problem(amal.api.post(where, {**body, "expected": "99"}), 409, "amount_changed")["remaining"] == "50.00"
    tomorrow = (today() + timedelta(days=2)).isoformat()
    wrong = {**body, "amount": "1.005", "received_on": tomorrow, "reference": "a\nb"}
    faults = problem(amal.api.post(where, wrong), 422, "invalid")["errors"]
    assert {fault["pointer"] for fault in faults} == {"#/amount", "#/received_on", "#/reference"}
    problem(amal.api.post(where, {**body, "received_on": tomorrow}), 422, "date_in_future")
    problem(amal.api.post(where, {**body, "method": "card_ok"}), 422, "wrong_type")


@both("/api/payments/{payment}/void/")
def test_amal_voids_a_transfer_that_never_came(amal: Person, omar: Person, nobody: Api, address: str) -> None:
    plan = half_due(amal, omar)
    body = {"amount": "100.00", "method": "transfer", "received_on": today().isoformat()}
    payment = amal.api.post(f"/api/plans/{plan['id']}/payments/", body).json()
    assert amal.api.get(f"/api/plans/{plan['id']}/").json()["status"] == "completed"
    where = address.format(payment=payment["id"])
    problem(omar.api.post(where, {"reason": "x"}), 403, "forbidden")
    problem(merchant(nobody).api.post(where, {"reason": "x"}), 404, "not_found")
    problem(amal.api.post(where), 422, "required")
    problem(amal.api.post(where, {"reason": " "}), 422, "required")
    stale = problem(amal.api.post(where, {"reason": "x", "expected": "1.00"}), 409, "amount_changed")
    assert stale["voidable"] == "100.00"
    response = amal.api.post(where, {"reason": "Another shop's transfer", "expected": "100.00"})
    assert response.status_code == 200, response.text
    assert response.json()["state"] == "voided" and response.json()["reversed_at"]
    reopened = omar.api.get(f"/api/plans/{plan['id']}/").json()
    assert (reopened["status"], reopened["paid"], reopened["remaining"]) == ("overdue", "0.00", "100.00")
    problem(amal.api.post(where, {"reason": "again"}), 409, "not_voidable")
    problem(amal.api.post(where.replace("void", "reverse"), {}), 409, "not_reversed_by_gateway")


@both("/api/payment-methods/")
def test_omar_saves_a_card_pays_with_it_and_removes_it(amal: Person, nobody: Api, address: str) -> None:
    omar, sara = customer(nobody), customer(nobody)
    problem(amal.api.get(address), 403, "forbidden")
    problem(nobody.post(address, {"card": "card_ok"}), 401, "no_token")
    assert omar.api.get(address).json() == []
    response = omar.api.post(address, {"card": "card_ok"})
    assert response.status_code == 201, response.text
    saved = response.json()
    assert set(saved) == {"id", "token", "brand", "last4", "created_at"} and saved["last4"] == "4242"
    assert omar.api.get(address).json() == [saved]
    assert sara.api.get(address).json() == []
    problem(omar.api.post(address, {"card": "4242 4242 4242 4242"}), 422, "unknown_method")
    where = f"/api/plans/{half_due(amal, omar)['id']}/pay/"
    theirs = f"/api/plans/{half_due(amal, sara)['id']}/pay/"
    body = {"choice": "due", "payment_method": saved["token"]}
    problem(sara.api.post(theirs, body), 422, "unknown_method")
    paid = omar.api.post(where, body).json()
    assert (paid["state"], paid["method"], paid["payment_method"]) == ("succeeded", "card", "saved_card")
    assert saved["token"] not in amal.api.get("/api/payments/").text
    mine = f"{address.rstrip('/')}/{saved['id']}" + ("/" if address.endswith("/") else "")
    problem(sara.api.call("DELETE", mine), 404, "not_found")
    problem(omar.api.call("DELETE", "/api/payment-methods/9999999999999999999/"), 404, "not_found")
    problem(amal.api.call("DELETE", mine), 403, "forbidden")
    removed = omar.api.call("DELETE", mine)
    assert (removed.status_code, removed.content) == (204, b"")
    problem(omar.api.call("DELETE", mine), 404, "not_found")
    assert omar.api.get(address).json() == []
    problem(omar.api.post(where, {**body, "choice": "all"}), 422, "unknown_method")


def test_a_customer_keeps_ten_cards_at_most(nobody: Api) -> None:
    omar = customer(nobody)
    codes = [omar.api.post("/api/payment-methods/", {"card": "card_ok"}).status_code for _ in range(11)]
    assert codes == [201] * 10 + [409]
    assert len(omar.api.get("/api/payment-methods/").json()) == 10
