"""Accepting and disputing a plan by the API."""

from datetime import date

import pytest

from tests.api import Api, register
from tests.fixtures.agreements import acceptance


@pytest.fixture
def parties(app, api: Api):
    amal = register(api, "merchant", "amal", business_name="Amal's Bakery", home_currency="SAR")
    return amal, register(api, "customer", "omar")


def make(app, amal, omar):
    new = {
        "customer_email": omar.email,
        "total_amount": "100.00",
        "num_installments": 3,
        "start_date": str(date(2026, 1, 1)),
    }
    with acceptance(app, "required"):
        return amal.api.post("/api/plans/", new)


def test_a_plan_waits_is_accepted_once_and_replayed(app, parties):
    amal, omar = parties
    plan = make(app, amal, omar).json()
    address = f"/api/plans/{plan['id']}/"
    assert (plan["status"], plan["accepted_at"], plan["disputed_at"]) == ("active", None, None)
    assert plan["lapses_at"] is not None
    refused = amal.api.post(f"{address}credits/", {"amount": "1", "reason": "Sorry"})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_accepted")
    first = omar.api.post(f"{address}accept/", None, Idempotency_Key="accept-1")
    again = omar.api.post(f"{address}accept/", None, Idempotency_Key="accept-1")
    assert first.status_code == again.status_code == 200
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.json() == again.json()
    assert (first.json()["status"], first.json()["lapses_at"]) == ("overdue", None)
    assert first.json()["accepted_at"] is not None
    refused = omar.api.post(f"{address}dispute/", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "already_accepted")
    assert make(app, amal, omar).json()["lapses_at"] is None


def test_a_disputed_plan_is_filtered_and_bars_the_merchant(app, parties):
    amal, omar = parties
    plan_id = make(app, amal, omar).json()["id"]
    disputed = omar.api.post(f"/api/plans/{plan_id}/dispute/", {})
    assert (disputed.status_code, disputed.json()["status"]) == (200, "active")
    assert disputed.json()["disputed_at"] is not None
    assert [plan["id"] for plan in amal.api.get("/api/plans/?disputed=true").json()] == [plan_id]
    assert amal.api.get("/api/plans/?disputed=false").json() == []
    assert amal.api.get("/api/plans/?disputed=maybe").status_code == 422
    again = omar.api.post(f"/api/plans/{plan_id}/dispute/", {})
    assert (again.status_code, again.json()["code"]) == (409, "already_disputed")
    refused = make(app, amal, omar)
    assert (refused.status_code, refused.json()["code"]) == (422, "blocked")
    assert refused.json()["errors"][0]["pointer"] == "#/customer_email"
    accepted = omar.api.post(f"/api/plans/{plan_id}/accept/", {})
    assert (accepted.status_code, accepted.json()["disputed_at"]) == (200, None)


def test_paying_by_the_api_accepts(app, parties):
    amal, omar = parties
    plan = make(app, amal, omar).json()
    paid = omar.api.post(f"/api/plans/installments/{plan['installments'][0]['id']}/pay/", {})
    assert paid.status_code == 200
    assert omar.api.get(f"/api/plans/{plan['id']}/").json()["accepted_at"] is not None


def test_the_bodies_hold_nothing(app, parties):
    amal, omar = parties
    plan_id = make(app, amal, omar).json()["id"]
    assert omar.api.post(f"/api/plans/{plan_id}/accept/", {"status": "paid"}).status_code == 422
