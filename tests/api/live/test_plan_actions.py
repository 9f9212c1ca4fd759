"""Refunds, credits, write-offs and cancellations over HTTP, and the amounts that both parties see."""

from typing import Any

from portal.domain import clock
from tests.api import Api, Person, both, create_plan, customer, merchant, problem

WHY = {"reason": "A layer was missing"}


def paid_plan(amal: Person, omar: Person, *cards: str) -> dict[str, Any]:
    """A plan of SAR 100.00 in three future installments, with one installment paid by each card."""
    plan = create_plan(amal, omar.email, start_date="2199-08-31")
    for installment, card in zip(plan["installments"], cards, strict=False):
        response = omar.api.post(f"/api/plans/installments/{installment['id']}/pay/", {"payment_method": card})
        assert response.status_code == 200, response.text
    paid: dict[str, Any] = amal.api.get(f"/api/plans/{plan['id']}/").json()
    return paid


def money_of(person: Person, plan: dict[str, Any]) -> dict[str, str]:
    """The nonzero amounts and the status of a plan, as this person sees it."""
    seen = person.api.get(f"/api/plans/{plan['id']}/").json()
    names = ("status", "paid", "credited", "written_off", "remaining", "refunded", "refunding")
    return {name: seen[name] for name in names if seen[name] != "0.00"}


@both("/api/plans/{plan}/refunds/")
def test_amal_refunds_the_newest_payment_first(amal: Person, omar: Person, nobody: Api, address: str) -> None:
    plan = paid_plan(amal, omar, "card_ok", "card_ok")
    where = address.format(plan=plan["id"])
    for person, status in ((omar, 403), (merchant(nobody), 404), (customer(nobody), 403)):
        assert person.api.post(where, {**WHY, "amount": "1"}).status_code == status
    response = amal.api.post(where, {**WHY, "amount": "40.00", "expected": "66.67"})
    assert response.status_code == 201, response.text
    result = response.json()
    assert response.headers["Location"] == f"/api/plans/{plan['id']}/refunds/"
    assert (result["amount"], result["refunded"], result["refunding"], result["declined"]) == (
        "40.00",
        "40.00",
        "0.00",
        "0.00",
    )
    assert [refund["amount"] for refund in result["refunds"]] == ["33.33", "6.67"]
    assert result["refunds"][0]["payment"] > result["refunds"][1]["payment"]
    listed = omar.api.get(where).json()
    assert listed == amal.api.get(where).json() == result["refunds"][::-1]
    assert money_of(omar, plan) == {"status": "active", "paid": "66.67", "remaining": "33.33", "refunded": "40.00"}
    stale = problem(amal.api.post(where, {**WHY, "amount": "1", "expected": "66.67"}), 409, "amount_changed")
    assert stale["refundable"] == "26.67"
    assert problem(amal.api.post(where, {**WHY, "amount": "26.68"}), 409, "too_much")["refundable"] == "26.67"
    single = amal.api.post(where, {**WHY, "amount": "26.67", "payment": result["refunds"][1]["payment"]})
    assert single.headers["Location"] == f"/api/refunds/{single.json()['refunds'][0]['id']}/"
    problem(amal.api.post(where, {**WHY, "amount": "1"}), 409, "nothing_to_refund")
    payments = amal.api.get(f"/api/plans/{plan['id']}/payments/").json()
    assert [payment["refunded"] for payment in payments] == ["33.33", "33.34"]
    wrong = problem(amal.api.post(where, {"amount": "1e3", "reason": "", "payment": 0}), 422, "invalid")
    assert {fault["pointer"] for fault in wrong["errors"]} == {"#/amount", "#/reason", "#/payment"}
    wrong = problem(amal.api.post(where, {"amount": "1.005", "reason": "a\nb"}), 422, "invalid")
    assert {fault["pointer"] for fault in wrong["errors"]} == {"#/amount", "#/reason"}
    assert amal.api.post(where, {**WHY, "amount": "1", "payment": "17"}).status_code == 404


@both("/api/refunds/{refund}/", "/api/refunds/")
def test_both_parties_see_a_refund(nobody: Api, address: str) -> None:
    amal, omar = merchant(nobody), customer(nobody)
    plan = paid_plan(amal, omar, "card_ok")
    refunds = amal.api.post(f"/api/plans/{plan['id']}/refunds/", {**WHY, "amount": 10}).json()["refunds"]
    where = address.format(refund=refunds[0]["id"])
    single = "{refund}" in address
    assert amal.api.get(where).json() == omar.api.get(where).json() == (refunds[0] if single else refunds)
    stranger = customer(nobody).api.get(where)
    if single:
        problem(stranger, 404, "not_found")
    else:
        assert stranger.json() == []
    problem(nobody.get(where), 401, "no_token")


def test_a_refund_that_the_bank_declines_gives_nothing_back(amal: Person, omar: Person) -> None:
    plan = paid_plan(amal, omar, "card_refund_declined")
    where = f"/api/plans/{plan['id']}/refunds/"
    refused = problem(amal.api.post(where, {**WHY, "amount": "5.00"}), 409, "refund_declined")
    assert amal.api.get(f"/api/refunds/{refused['refund_ids'][0]}/").json()["state"] == "declined"
    assert money_of(amal, plan) == {"status": "active", "paid": "33.34", "remaining": "66.66"}


def test_a_refund_that_is_declined_in_part_says_how_much(amal: Person, omar: Person) -> None:
    plan = paid_plan(amal, omar, "card_refund_declined", "card_ok")
    response = amal.api.post(f"/api/plans/{plan['id']}/refunds/", {**WHY, "amount": "40.00"})
    assert response.status_code == 201, response.text
    assert (response.json()["refunded"], response.json()["declined"]) == ("33.33", "6.67")
    assert [refund["state"] for refund in response.json()["refunds"]] == ["succeeded", "declined"]


def test_a_refund_with_an_unknown_outcome_is_in_flight(amal: Person, omar: Person) -> None:
    plan = paid_plan(amal, omar, "card_refund_lost_done")
    response = amal.api.post(f"/api/plans/{plan['id']}/refunds/", {**WHY, "amount": "5.00"})
    assert response.status_code == 202, response.text
    assert (response.json()["refunding"], response.json()["refunds"][0]["state"]) == ("5.00", "in_flight")
    refund = amal.api.get(response.headers["Location"]).json()
    assert refund["id"] == response.json()["refunds"][0]["id"] and refund["state"] in ("in_flight", "succeeded")
    more = amal.api.post(f"/api/plans/{plan['id']}/refunds/", {**WHY, "amount": "28.35"})
    assert problem(more, 409, "too_much")["refundable"] == "28.34"


@both("/api/plans/{plan}/credits/")
def test_amal_credits(amal: Person, omar: Person, nobody: Api, address: str) -> None:
    plan = paid_plan(amal, omar)
    where = address.format(plan=plan["id"])
    for person, status in ((omar, 403), (merchant(nobody), 404)):
        assert person.api.post(where, {**WHY, "amount": "1"}).status_code == status
    response = amal.api.post(where, {**WHY, "amount": "40.00", "expected": "100.00"})
    assert response.status_code == 200, response.text
    credited = response.json()
    assert credited == omar.api.get(f"/api/plans/{plan['id']}/").json()
    assert (credited["credited"], credited["remaining"]) == ("40.00", "60.00")
    assert [part["credited"] for part in credited["installments"]] == ["0.00", "6.67", "33.33"]
    assert credited["installments"][2]["status"] == "waived"
    spread = amal.api.post(where, {**WHY, "amount": "0.03", "how": "spread"}).json()
    assert [part["credited"] for part in spread["installments"]] == ["0.02", "6.68", "33.33"]
    stale = problem(amal.api.post(where, {**WHY, "amount": "1", "expected": "60.00"}), 409, "amount_changed")
    assert stale["remaining"] == "59.97"
    assert problem(amal.api.post(where, {**WHY, "amount": "59.98"}), 409, "too_much")["remaining"] == "59.97"
    problem(amal.api.post(where, {**WHY, "amount": "1", "how": "first"}), 422, "wrong_type")
    problem(amal.api.post(where, {**WHY, "amount": "0"}), 422, "bad_amount")
    assert amal.api.post(where, {**WHY, "amount": "59.97"}).json()["status"] == "cancelled"
    problem(amal.api.post(where, {**WHY, "amount": "1"}), 409, "nothing_owed")


@both("/api/plans/{plan}/write-off/")
def test_amal_writes_off_and_omar_pays_after_all(amal: Person, omar: Person, nobody: Api, address: str) -> None:
    plan = paid_plan(amal, omar, "card_ok")
    where = address.format(plan=plan["id"])
    for person, status in ((omar, 403), (merchant(nobody), 404)):
        assert person.api.post(where, WHY).status_code == status
    assert problem(amal.api.post(where, {**WHY, "expected": "1"}), 409, "amount_changed")["remaining"] == "66.66"
    response = amal.api.post(where, {**WHY, "expected": "66.66"})
    assert response.status_code == 200, response.text
    assert money_of(omar, plan) == {"status": "completed", "paid": "33.34", "written_off": "66.66"}
    assert [part["status"] for part in response.json()["installments"]] == ["paid", "written_off", "written_off"]
    problem(amal.api.post(where, WHY), 409, "nothing_owed")
    recovered = omar.api.post(f"/api/plans/{plan['id']}/pay/", {"choice": "amount", "amount": "10.00"})
    assert recovered.status_code == 200, recovered.text
    assert money_of(amal, plan) == {"status": "completed", "paid": "43.34", "written_off": "56.66"}


@both("/api/plans/{plan}/cancel/")
def test_amal_cancels_and_gives_some_of_it_back(amal: Person, omar: Person, nobody: Api, address: str) -> None:
    plan = paid_plan(amal, omar, "card_ok")
    where = address.format(plan=plan["id"])
    for person, status in ((omar, 403), (merchant(nobody), 404)):
        assert person.api.post(where, WHY).status_code == status
    stale = problem(amal.api.post(where, {**WHY, "expected_refundable": "1"}), 409, "amount_changed")
    assert (stale["remaining"], stale["refundable"]) == ("66.66", "33.34")
    assert problem(amal.api.post(where, {**WHY, "refund": "33.35"}), 409, "too_much")["refundable"] == "33.34"
    body = {**WHY, "refund": "20.00", "expected": "66.66", "expected_refundable": "33.34"}
    response = amal.api.post(where, body)
    assert response.status_code == 200, response.text
    assert [row["amount"] for row in response.json()["refunds"]] == ["20.00"]
    refund = omar.api.get(f"/api/refunds/{response.json()['refunds'][0]['id']}/").json()
    assert (refund["state"], refund["reason"]) == ("succeeded", WHY["reason"])
    cancelled = {"status": "cancelled", "paid": "33.34", "credited": "66.66", "refunded": "20.00"}
    assert money_of(omar, plan) == cancelled
    assert [part["status"] for part in response.json()["installments"]] == ["paid", "cancelled", "cancelled"]
    problem(amal.api.post(where, WHY), 409, "plan_cancelled")
    problem(omar.api.post(f"/api/plans/{plan['id']}/pay/", {"choice": "all"}), 409, "plan_cancelled")


def test_the_dashboard_is_net_of_refunds_and_voids(nobody: Api) -> None:
    amal, omar = merchant(nobody), customer(nobody)
    plan = paid_plan(amal, omar, "card_ok", "card_ok")
    amal.api.post(f"/api/plans/{plan['id']}/refunds/", {**WHY, "amount": "10.00"})
    transfer = {"amount": "33.33", "method": "cash", "received_on": clock.today("Asia/Riyadh").isoformat()}
    payment = amal.api.post(f"/api/plans/{plan['id']}/payments/", transfer).json()
    figures = amal.api.get("/api/analytics/dashboard/").json()
    assert (figures["total_revenue"], figures["success_rate"]) == (90.0, 100.0)
    amal.api.post(f"/api/payments/{payment['id']}/void/", WHY)
    figures = amal.api.get("/api/analytics/dashboard/").json()
    assert (figures["total_revenue"], figures["success_rate"]) == (56.67, 66.67)
    assert amal.api.get("/api/analytics/ageing/").json()["outstanding"] == "33.33"
    amal.api.post(f"/api/plans/{plan['id']}/credits/", {**WHY, "amount": "3.33"})
    assert amal.api.get("/api/analytics/ageing/").json()["outstanding"] == "30.00"
    amal.api.post(f"/api/plans/{plan['id']}/write-off/", WHY)
    figures = amal.api.get("/api/analytics/dashboard/").json()
    assert (figures["total_revenue"], figures["success_rate"], figures["overdue_installments"]) == (56.67, 100.0, 0)
    assert amal.api.get("/api/analytics/ageing/").json()["outstanding"] == "0.00"
