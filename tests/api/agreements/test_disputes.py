"""Answering and upholding a dispute, withdrawing, and marking a purchase as delivered, by the API."""

from typing import Any

import pytest
from flask import Flask

from tests.api import Api, Person, create_plan, merchant, problem
from tests.fixtures.agreements import acceptance


@pytest.fixture
def disputed(app: Flask, amal: Person, omar: Person) -> str:
    """The address of a plan that Omar disputes."""
    with acceptance(app, "required"):
        plan = create_plan(amal, omar.email)
    address = f"/api/plans/{plan['id']}/"
    assert omar.api.post(f"{address}dispute/").status_code == 200
    return address


def dispute_of(person: Person, address: str) -> dict[str, Any]:
    response = person.api.get(f"{address}dispute")
    assert response.status_code == 200, response.text
    facts: dict[str, Any] = response.json()
    return facts


def test_a_dispute_is_answered_once_and_upheld(disputed: str, amal: Person, omar: Person, api: Api) -> None:
    opened = dispute_of(omar, disputed)
    assert (opened["answer"], opened["answered_at"], opened["outcome"]) == (None, None, None)
    problem(omar.api.post(f"{disputed}dispute/uphold/"), 409, "not_answered")
    problem(amal.api.post(f"{disputed}dispute/answer/", {}), 422, "required")
    problem(amal.api.post(f"{disputed}dispute/answer/", {"answer": " "}), 422, "required")
    problem(amal.api.post(f"{disputed}dispute/answer/", {"answer": "x" * 201}), 422, "too_long")
    problem(amal.api.post(f"{disputed}dispute/answer/", {"answer": "A", "outcome": "void"}), 422, "unknown_field")
    problem(omar.api.post(f"{disputed}dispute/answer/", {"answer": "A cake"}), 403, "forbidden")
    problem(merchant(api).api.post(f"{disputed}dispute/answer/", {"answer": "A cake"}), 404, "not_found")
    assert dispute_of(amal, disputed) == opened

    body = {"answer": "You ordered it by telephone"}
    first = amal.api.post(f"{disputed}dispute/answer", body, Idempotency_Key="answer-1")
    again = amal.api.post(f"{disputed}dispute/answer/", body, Idempotency_Key="answer-1")
    assert first.status_code == again.status_code == 200 and first.content == again.content
    assert first.json()["disputed_at"] is not None
    problem(amal.api.post(f"{disputed}dispute/answer/", body), 409, "already_answered")
    answered = dispute_of(omar, disputed)
    assert answered["answer"] == body["answer"] and answered["decidable_at"] > answered["answered_at"]

    problem(amal.api.post(f"{disputed}dispute/uphold/"), 403, "forbidden")
    for _ in range(2):
        assert omar.api.post(f"{disputed}dispute/uphold/").status_code == 200
    upheld = dispute_of(amal, disputed)
    assert upheld["decidable_at"] == upheld["upheld_at"]


def test_a_cancellation_and_an_acceptance_end_a_dispute(app: Flask, disputed: str, amal: Person, omar: Person) -> None:
    assert omar.api.post(f"{disputed}accept/").status_code == 200
    ended = dispute_of(omar, disputed)
    assert (ended["outcome"], ended["decidable_at"]) == ("accepted", None)
    problem(amal.api.post(f"{disputed}dispute/answer/", {"answer": "A cake"}), 409, "not_disputed")
    problem(omar.api.post(f"{disputed}dispute/uphold/"), 409, "not_disputed")


def test_a_plan_without_a_dispute_has_none(amal: Person, omar: Person, api: Api) -> None:
    plan = create_plan(amal, omar.email)
    for person in (amal, omar, merchant(api)):
        problem(person.api.get(f"/api/plans/{plan['id']}/dispute/"), 404, "not_found")
    problem(omar.api.call("PUT", f"/api/plans/{plan['id']}/dispute/answer/", {}), 405, "method_not_allowed")
    problem(amal.api.get(f"/api/plans/{plan['id']}/dispute/?limit=1"), 422, "unknown_parameter")


def test_a_customer_withdraws_within_the_days_unless_it_was_delivered(amal: Person, omar: Person) -> None:
    late = create_plan(amal, omar.email)
    assert (late["withdrawal_ends_at"], late["delivered_at"]) == (None, None)
    problem(omar.api.post(f"/api/plans/{late['id']}/withdraw/"), 409, "no_withdrawal")

    assert amal.api.call("PATCH", "/api/merchant/", {"withdrawal_days": 14}).status_code == 200
    kept, sent = (create_plan(amal, omar.email) for _ in range(2))
    assert kept["withdrawal_ends_at"] > kept["created_at"]
    problem(amal.api.post(f"/api/plans/{kept['id']}/withdraw/"), 403, "forbidden")
    problem(omar.api.post(f"/api/plans/{kept['id']}/withdraw/", {"refund": "1.00"}), 422, "unknown_field")
    first = omar.api.post(f"/api/plans/{kept['id']}/withdraw", {}, Idempotency_Key="w")
    again = omar.api.post(f"/api/plans/{kept['id']}/withdraw/", {}, Idempotency_Key="w")
    assert first.status_code == again.status_code == 200 and first.content == again.content
    withdrawn = first.json()
    assert (withdrawn["status"], withdrawn["remaining"], withdrawn["withdrawal_ends_at"]) == ("cancelled", "0.00", None)
    problem(omar.api.post(f"/api/plans/{kept['id']}/withdraw/"), 409, "no_withdrawal")

    problem(omar.api.post(f"/api/plans/{sent['id']}/delivery/"), 403, "forbidden")
    delivered = [amal.api.post(f"/api/plans/{sent['id']}/delivery/").json() for _ in range(2)]
    assert delivered[0]["delivered_at"] == delivered[1]["delivered_at"] is not None
    assert delivered[0]["withdrawal_ends_at"] is None
    problem(omar.api.post(f"/api/plans/{sent['id']}/withdraw/"), 409, "no_withdrawal")
