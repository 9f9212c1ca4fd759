"""Refund, credit, write off and cancel, over HTTP: what goes back, what is owed less, and what everybody sees of it."""

from typing import Any

import pytest

from tests.api import Api, Person, both, customer, merchant, plan, problem
from tests.fixtures.live import Live

WHY = {"reason": "A layer was missing"}


@pytest.fixture(scope="module")
def nobody(live: Live) -> Api:
    return Api(live.url)


@pytest.fixture(scope="module")
def amal(nobody: Api) -> Person:
    return merchant(nobody)


@pytest.fixture(scope="module")
def omar(nobody: Api) -> Person:
    return customer(nobody)


def paid_plan(amal: Person, omar: Person, *cards: str) -> dict[str, Any]:
    """SAR 100.00 in three that are not due yet, of which one installment is paid with each of these cards."""
    made = plan(amal, omar.email, start_date="2199-08-31")
    for part, card in zip(made["installments"], cards, strict=False):
        answer = omar.api.post(f"/api/plans/installments/{part['id']}/pay/", {"payment_method": card})
        assert answer.status_code == 200, answer.text
    found: dict[str, Any] = amal.api.get(f"/api/plans/{made['id']}/").json()
    return found


def money_of(person: Person, made: dict[str, Any]) -> dict[str, str]:
    """The figures of a plan as this person sees it."""
    found = person.api.get(f"/api/plans/{made['id']}/").json()
    names = ("status", "paid", "credited", "written_off", "remaining", "refunded", "refunding")
    return {name: found[name] for name in names if found[name] != "0.00"}


@both("/api/plans/{plan}/refunds/")
def test_amal_refunds_the_newest_payment_first(amal: Person, omar: Person, nobody: Api, address: str) -> None:
    made = paid_plan(amal, omar, "card_ok", "card_ok")
    where = address.format(plan=made["id"])
    for person, status in ((omar, 403), (merchant(nobody), 404), (customer(nobody), 403)):
        assert person.api.post(where, {**WHY, "amount": "1"}).status_code == status
    answer = amal.api.post(where, {**WHY, "amount": "40.00", "expected": "66.67"})
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert answer.headers["Location"] == f"/api/plans/{made['id']}/refunds/"
    assert (found["amount"], found["refunded"], found["refunding"], found["declined"]) == (
        "40.00",
        "40.00",
        "0.00",
        "0.00",
    )
    assert [one["amount"] for one in found["refunds"]] == ["33.33", "6.67"]
    assert found["refunds"][0]["payment"] > found["refunds"][1]["payment"]
    listed = omar.api.get(where).json()
    assert listed == amal.api.get(where).json() == found["refunds"][::-1]
    assert money_of(omar, made) == {"status": "active", "paid": "66.67", "remaining": "33.33", "refunded": "40.00"}
    stale = problem(amal.api.post(where, {**WHY, "amount": "1", "expected": "66.67"}), 409, "amount_changed")
    assert stale["refundable"] == "26.67"
    assert problem(amal.api.post(where, {**WHY, "amount": "26.68"}), 409, "too_much")["refundable"] == "26.67"
    one = amal.api.post(where, {**WHY, "amount": "26.67", "payment": found["refunds"][1]["payment"]})
    assert one.headers["Location"] == f"/api/refunds/{one.json()['refunds'][0]['id']}/"
    problem(amal.api.post(where, {**WHY, "amount": "1"}), 409, "nothing_to_refund")
    payments = amal.api.get(f"/api/plans/{made['id']}/payments/").json()
    assert [one["refunded"] for one in payments] == ["33.33", "33.34"]
    wrong = problem(amal.api.post(where, {"amount": "1e3", "reason": "", "payment": 0}), 422, "invalid")
    assert {fault["pointer"] for fault in wrong["errors"]} == {"#/amount", "#/reason", "#/payment"}
    wrong = problem(amal.api.post(where, {"amount": "1.005", "reason": "a\nb"}), 422, "invalid")
    assert {fault["pointer"] for fault in wrong["errors"]} == {"#/amount", "#/reason"}
    assert amal.api.post(where, {**WHY, "amount": "1", "payment": "17"}).status_code == 404


@both("/api/refunds/{refund}/", "/api/refunds/")
def test_both_parties_see_a_refund(nobody: Api, address: str) -> None:
    amal, omar = merchant(nobody), customer(nobody)
    made = paid_plan(amal, omar, "card_ok")
    found = amal.api.post(f"/api/plans/{made['id']}/refunds/", {**WHY, "amount": 10}).json()["refunds"]
    where = address.format(refund=found[0]["id"])
    one = "{refund}" in address
    assert amal.api.get(where).json() == omar.api.get(where).json() == (found[0] if one else found)
    stranger = customer(nobody).api.get(where)
    if one:
        problem(stranger, 404, "not_found")
    else:
        assert stranger.json() == []
    problem(nobody.get(where), 401, "no_token")


def test_a_refund_that_the_bank_declines_gives_nothing_back(amal: Person, omar: Person) -> None:
    made = paid_plan(amal, omar, "card_refund_declined")
    where = f"/api/plans/{made['id']}/refunds/"
    refused = problem(amal.api.post(where, {**WHY, "amount": "5.00"}), 409, "refund_declined")
    assert amal.api.get(f"/api/refunds/{refused['refund_ids'][0]}/").json()["state"] == "declined"
    assert money_of(amal, made) == {"status": "active", "paid": "33.34", "remaining": "66.66"}


def test_a_refund_that_is_declined_in_part_says_how_much(amal: Person, omar: Person) -> None:
    made = paid_plan(amal, omar, "card_refund_declined", "card_ok")
    answer = amal.api.post(f"/api/plans/{made['id']}/refunds/", {**WHY, "amount": "40.00"})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["refunded"], answer.json()["declined"]) == ("33.33", "6.67")
    assert [one["state"] for one in answer.json()["refunds"]] == ["succeeded", "declined"]


def test_a_refund_without_an_answer_is_on_its_way(amal: Person, omar: Person) -> None:
    made = paid_plan(amal, omar, "card_refund_lost_done")
    answer = amal.api.post(f"/api/plans/{made['id']}/refunds/", {**WHY, "amount": "5.00"})
    assert answer.status_code == 202, answer.text
    assert (answer.json()["refunding"], answer.json()["refunds"][0]["state"]) == ("5.00", "in_flight")
    found = amal.api.get(answer.headers["Location"]).json()
    assert found["id"] == answer.json()["refunds"][0]["id"] and found["state"] in ("in_flight", "succeeded")
    more = amal.api.post(f"/api/plans/{made['id']}/refunds/", {**WHY, "amount": "28.35"})
    assert problem(more, 409, "too_much")["refundable"] == "28.34"


@both("/api/plans/{plan}/credits/")
def test_amal_credits(amal: Person, omar: Person, nobody: Api, address: str) -> None:
    made = paid_plan(amal, omar)
    where = address.format(plan=made["id"])
    for person, status in ((omar, 403), (merchant(nobody), 404)):
        assert person.api.post(where, {**WHY, "amount": "1"}).status_code == status
    answer = amal.api.post(where, {**WHY, "amount": "40.00", "expected": "100.00"})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found == omar.api.get(f"/api/plans/{made['id']}/").json()
    assert (found["credited"], found["remaining"]) == ("40.00", "60.00")
    assert [part["credited"] for part in found["installments"]] == ["0.00", "6.67", "33.33"]
    assert found["installments"][2]["status"] == "waived"
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
    made = paid_plan(amal, omar, "card_ok")
    where = address.format(plan=made["id"])
    for person, status in ((omar, 403), (merchant(nobody), 404)):
        assert person.api.post(where, WHY).status_code == status
    assert problem(amal.api.post(where, {**WHY, "expected": "1"}), 409, "amount_changed")["remaining"] == "66.66"
    answer = amal.api.post(where, {**WHY, "expected": "66.66"})
    assert answer.status_code == 200, answer.text
    assert money_of(omar, made) == {"status": "completed", "paid": "33.34", "written_off": "66.66"}
    assert [part["status"] for part in answer.json()["installments"]] == ["paid", "written_off", "written_off"]
    problem(amal.api.post(where, WHY), 409, "nothing_owed")
    recovered = omar.api.post(f"/api/plans/{made['id']}/pay/", {"choice": "amount", "amount": "10.00"})
    assert recovered.status_code == 200, recovered.text
    assert money_of(amal, made) == {"status": "completed", "paid": "43.34", "written_off": "56.66"}


@both("/api/plans/{plan}/cancel/")
def test_amal_cancels_and_gives_some_of_it_back(amal: Person, omar: Person, nobody: Api, address: str) -> None:
    made = paid_plan(amal, omar, "card_ok")
    where = address.format(plan=made["id"])
    for person, status in ((omar, 403), (merchant(nobody), 404)):
        assert person.api.post(where, WHY).status_code == status
    stale = problem(amal.api.post(where, {**WHY, "expected_refundable": "1"}), 409, "amount_changed")
    assert (stale["remaining"], stale["refundable"]) == ("66.66", "33.34")
    assert problem(amal.api.post(where, {**WHY, "refund": "33.35"}), 409, "too_much")["refundable"] == "33.34"
    body = {**WHY, "refund": "20.00", "expected": "66.66", "expected_refundable": "33.34"}
    answer = amal.api.post(where, body)
    assert answer.status_code == 200, answer.text
    assert [one["amount"] for one in answer.json()["refunds"]] == ["20.00"]
    refund = omar.api.get(f"/api/refunds/{answer.json()['refunds'][0]['id']}/").json()
    assert (refund["state"], refund["reason"]) == ("succeeded", WHY["reason"])
    cancelled = {"status": "cancelled", "paid": "33.34", "credited": "66.66", "refunded": "20.00"}
    assert money_of(omar, made) == cancelled
    assert [part["status"] for part in answer.json()["installments"]] == ["paid", "cancelled", "cancelled"]
    problem(amal.api.post(where, WHY), 409, "plan_cancelled")
    problem(omar.api.post(f"/api/plans/{made['id']}/pay/", {"choice": "all"}), 409, "plan_cancelled")


def test_the_dashboard_is_net_of_what_went_back(nobody: Api) -> None:
    amal, omar = merchant(nobody), customer(nobody)
    made = paid_plan(amal, omar, "card_ok", "card_ok")
    amal.api.post(f"/api/plans/{made['id']}/refunds/", {**WHY, "amount": "10.00"})
    transfer = {"amount": "33.33", "method": "cash", "received_on": "2026-09-01"}
    payment = amal.api.post(f"/api/plans/{made['id']}/payments/", transfer).json()
    figures = amal.api.get("/api/analytics/dashboard/").json()
    assert (figures["total_revenue"], figures["success_rate"]) == (90.0, 100.0)
    amal.api.post(f"/api/payments/{payment['id']}/reverse/", WHY)
    figures = amal.api.get("/api/analytics/dashboard/").json()
    assert (figures["total_revenue"], figures["success_rate"]) == (56.67, 66.67)
    assert amal.api.get("/api/analytics/ageing/").json()["outstanding"] == "33.33"
    amal.api.post(f"/api/plans/{made['id']}/credits/", {**WHY, "amount": "3.33"})
    assert amal.api.get("/api/analytics/ageing/").json()["outstanding"] == "30.00"
    amal.api.post(f"/api/plans/{made['id']}/write-off/", WHY)
    figures = amal.api.get("/api/analytics/dashboard/").json()
    assert (figures["total_revenue"], figures["success_rate"], figures["overdue_installments"]) == (56.67, 100.0, 0)
    assert amal.api.get("/api/analytics/ageing/").json()["outstanding"] == "0.00"
