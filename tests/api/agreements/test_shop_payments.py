"""Everything that is due to a shop, paid by one request."""

from typing import Any

import pytest

from tests.api import Api, Person, create_plan, merchant, problem

KEY = {"Idempotency_Key": "all-due"}


def _due(amal: Person, omar: Person, *totals: str) -> list[dict[str, Any]]:
    """A plan of each total, of which the whole was due long ago."""
    return [
        create_plan(amal, omar.email, total_amount=total, num_installments=1, start_date=f"2026-08-{day}")
        for day, total in enumerate(totals, 10)
    ]


def test_one_request_pays_each_plan_once(amal: Person, omar: Person) -> None:
    plans = _due(amal, omar, "10.00", "20.00")
    create_plan(amal, omar.email, start_date="2199-01-01")
    where, pay = f"/api/shops/{amal.id}/due/", f"/api/shops/{amal.id}/pay/"
    due = omar.api.get(where).json()
    assert [row["plan"] for row in due["plans"]] == [plan["id"] for plan in plans]
    assert (due["amount"], due["currency"], due["merchant"]) == ("30.00", "SAR", amal.id)
    refused = problem(omar.api.post(pay, {"expected": "31.00"}), 409, "amount_changed")
    assert refused["remaining"] == "30.00"
    paid = omar.api.post(pay, {"expected": "30.00"}, **KEY)
    assert paid.status_code == 200, paid.text
    answer = paid.json()
    assert (answer["paid"], answer["in_flight"]) == ("30.00", "0.00")
    assert [(row["plan"], row["amount"], row["outcome"]) for row in answer["plans"]] == [
        (plans[0]["id"], "10.00", "paid"),
        (plans[1]["id"], "20.00", "paid"),
    ]
    for row in answer["plans"]:
        assert omar.api.get(f"/api/payments/{row['payment']}/").json()["plan"] == row["plan"]
    again = omar.api.post(pay, {"expected": "30.00"}, **KEY)
    assert (again.content, again.headers["Idempotent-Replayed"]) == (paid.content, "true")
    problem(omar.api.post(pay, {}, **KEY), 422, "idempotency_key_reused")
    problem(omar.api.post(pay), 409, "nothing_due")
    assert omar.api.get(where).json()["plans"] == []
    assert len(amal.api.get("/api/payments/").json()) == 2


def test_a_payment_without_an_outcome_ends_the_request(amal: Person, omar: Person) -> None:
    _due(amal, omar, "10.00", "20.00")
    pay = f"/api/shops/{amal.id}/pay/"
    answer = omar.api.post(pay, {"payment_method": "card_lost_charged"}, **KEY)
    assert answer.status_code == 202, answer.text
    assert [row["outcome"] for row in answer.json()["plans"]] == ["checking", "not_tried"]
    assert (answer.json()["in_flight"], answer.json()["paid"]) == ("10.00", "0.00")
    due = omar.api.get(f"/api/shops/{amal.id}/due/").json()
    assert (due["in_flight"], due["amount"]) == (1, "20.00")


def test_a_decline_charges_nothing_and_the_next_plan_follows(amal: Person, omar: Person) -> None:
    _due(amal, omar, "10.00", "20.00")
    answer = omar.api.post(f"/api/shops/{amal.id}/pay/", {"payment_method": "card_declined"})
    assert answer.status_code == 200, answer.text
    assert [row["outcome"] for row in answer.json()["plans"]] == ["declined", "declined"]
    assert answer.json()["paid"] == "0.00"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"payment_method": "card_unknown"}, 422, "unknown_method"),
        ({"expected": "1e3"}, 422, "bad_amount"),
        ({"currency": "sar"}, 422, None),
        ({"currency": "USD"}, 409, "nothing_due"),
        ({"amount": "30.00"}, 422, "unknown_field"),
    ],
)
def test_a_wrong_request_charges_nothing(
    amal: Person, omar: Person, body: dict[str, str], status: int, code: str | None
) -> None:
    _due(amal, omar, "10.00")
    answer = omar.api.post(f"/api/shops/{amal.id}/pay/", body)
    assert answer.status_code == status and (code is None or answer.json()["code"] == code), answer.text
    assert amal.api.get("/api/payments/").json() == []


def test_others_neither_see_nor_pay(api: Api, amal: Person, omar: Person) -> None:
    _due(amal, omar, "10.00")
    badr = merchant(api)
    for other, shop in ((badr, amal.id), (omar, badr.id), (omar, 9999999999999999999)):
        problem(other.api.get(f"/api/shops/{shop}/due/"), 404, "not_found")
        problem(other.api.post(f"/api/shops/{shop}/pay/"), 404, "not_found")
