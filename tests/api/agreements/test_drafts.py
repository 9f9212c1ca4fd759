"""Drafts of a merchant that waits for approval, by the API, and the plans that they become."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask

from portal.domain import clock
from portal.services.operations import approvals
from portal.services.plans import drafts
from tests.api import Api, Person, merchant, problem, sign_in
from tests.fixtures import operations

DRAFTS = "/api/plan-drafts/"
TERMS = {"total_amount": "100.00", "num_installments": 3, "start_date": "2026-08-31"}


@pytest.fixture
def dana(app: Flask, api: Api) -> Person:
    """The owner of a business that waits for approval."""
    with operations.registration(app, "approval"):
        return merchant(api)


def test_a_draft_is_saved_listed_and_deleted(dana: Person, amal: Person) -> None:
    body = {"customer_email": "nadia@example.com", **TERMS, "description": "A cake", "metadata": {"branch": "Olaya"}}
    problem(dana.api.post("/api/plans/", body), 409, "merchant_draft")
    first = dana.api.post(DRAFTS, body, Idempotency_Key="1")
    again = dana.api.post(DRAFTS[:-1], body, Idempotency_Key="1")
    assert first.status_code == again.status_code == 201 and first.content == again.content
    draft = first.json()
    assert [row["amount"] for row in draft["installments"]] == ["33.34", "33.33", "33.33"]
    assert (draft["metadata"], draft["fault"], draft["num_installments"]) == ({"branch": "Olaya"}, None, 3)
    assert dana.api.get(first.headers["Location"]).json() == draft
    own = {"total_amount": "9.00", "installments": [{"amount": "9.00", "due_date": "2199-01-31"}]}
    second = dana.api.post(DRAFTS, {"customer_email": "omar@example.com", **own}).json()
    assert (second["interval"], second["start_date"]) == ("custom", "2199-01-31")
    listed = dana.api.get(f"{DRAFTS}?limit=1&include=total")
    assert [row["id"] for row in listed.json()] == [second["id"]] and listed.headers["X-Total-Count"] == "2"

    problem(dana.api.post(DRAFTS, {**body, "total_amount": "0.01"}), 422, "total_too_small")
    problem(dana.api.post(DRAFTS, {**body, "status": "active"}), 422, "unknown_field")
    problem(dana.api.post(DRAFTS, {**body, "customer_email": "no"}), 422, "bad_email")
    problem(dana.api.get(f"{DRAFTS}?status=draft"), 422, "unknown_parameter")
    problem(dana.api.call("PATCH", f"{DRAFTS}{draft['id']}", {}), 405, "method_not_allowed")
    problem(amal.api.post(DRAFTS, body), 409, "merchant_live")
    for call in ("GET", "DELETE"):
        problem(amal.api.call(call, f"{DRAFTS}{draft['id']}/"), 404, "not_found")
        problem(dana.api.call(call, f"{DRAFTS}9999999999999999999/"), 404, "not_found")
    assert dana.api.call("DELETE", f"{DRAFTS}{draft['id']}/").status_code == 204
    problem(dana.api.get(f"{DRAFTS}{draft['id']}/"), 404, "not_found")


def test_a_draft_with_a_deposit_is_found_again_when_its_first_day_has_come(api: Api, dana: Person) -> None:
    start = (clock.today("Asia/Riyadh") + timedelta(days=1)).isoformat()
    body = {
        "customer_email": "nadia@example.com",
        **TERMS,
        "start_date": start,
        "deposit": "10",
        "external_id": "order-1",
    }
    first = dana.api.post(DRAFTS, body)
    assert first.status_code == 201, first.text
    with time_machine.travel(clock.now() + timedelta(days=2)):
        later = sign_in(api, {"id": dana.id, "username": dana.username, "email": dana.email}).api
        again = later.post(DRAFTS, body)
        assert (again.status_code, again.json()["id"]) == (200, first.json()["id"]), again.text
        problem(later.post(DRAFTS, {**body, "external_id": "order-2"}), 422, "date_after_deposit")


def test_an_external_id_saves_a_draft_once_and_finds_its_plan(app: Flask, dana: Person) -> None:
    body = {"customer_email": "Nadia@Example.com", **TERMS, "external_id": " order-1 ", "metadata": {"a": "b"}}
    first = dana.api.post(DRAFTS, body)
    same = dana.api.post(DRAFTS, {**body, "customer_email": "nadia@example.com"})
    assert (first.status_code, same.status_code) == (201, 200) and first.json() == same.json()
    for other in ({"total_amount": "100.01"}, {"metadata": {}}, {"interval": "weekly"}):
        problem(dana.api.post(DRAFTS, {**body, **other}), 409, "external_id_used")
    with app.app_context():
        approvals.approve(dana.id, actor=operations.olga())
        drafts.open_all()
    assert dana.api.get(DRAFTS).json() == []
    (plan,) = dana.api.get("/api/plans/?external_id=order-1").json()
    assert (plan["metadata"], plan["total_amount"]) == ({"a": "b"}, "100.00")
    assert dana.api.post("/api/plans/", body).status_code == 200
