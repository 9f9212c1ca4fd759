"""Deposits, own schedules and `closed_by` by the API."""

from datetime import date, timedelta

import pytest
import time_machine

from portal.domain import clock
from tests.api import Api, register, sign_in

TERMS = {"customer_email": "omar@example.com", "total_amount": "100.00"}
ROWS = [{"amount": "40", "due_date": "2026-01-05"}, {"amount": 60.0, "due_date": "2026-02-01"}]


@pytest.fixture
def amal(app, api: Api):
    return register(api, "merchant", "amal", business_name="Amal's Bakery", home_currency="SAR")


def pointers(response):
    assert response.status_code == 422, response.text
    return {(fault["pointer"], fault["code"]) for fault in response.json()["errors"]}


def test_own_installments_make_a_plan_and_its_preview(amal):
    plan = amal.api.post("/api/plans/", TERMS | {"installments": ROWS})
    assert plan.status_code == 201, plan.text
    body = plan.json()
    assert [(row["amount"], row["due_date"]) for row in body["installments"]] == [
        ("40.00", "2026-01-05"),
        ("60.00", "2026-02-01"),
    ]
    assert (body["num_installments"], body["interval"], body["start_date"]) == (2, "custom", "2026-01-05")
    assert (body["deposit"], body["closed_by"]) == (None, None)
    shown = amal.api.post("/api/plans/preview/", TERMS | {"installments": ROWS}).json()
    assert [row["amount"] for row in shown["installments"]] == ["40.00", "60.00"]
    assert shown["interval"] == "custom"


def test_a_deposit_comes_on_top(amal):
    new = TERMS | {"num_installments": 2, "start_date": "2099-01-31", "deposit": "30.00"}
    for address in ("/api/plans/preview/", "/api/plans/"):
        body = amal.api.post(address, new).json()
        assert [row["amount"] for row in body["installments"]] == ["30.00", "35.00", "35.00"]
        assert [row["due_date"] for row in body["installments"]][1:] == ["2099-01-31", "2099-02-28"]
        assert (body["deposit"], body["num_installments"], body["start_date"]) == ("30.00", 3, "2099-01-31")


def test_all_faults_come_at_once(amal):
    rows = [{"amount": "x", "due_date": "2026-01-05"}, {"amount": "1", "due_date": "soon", "note": ""}, {}]
    faults = pointers(amal.api.post("/api/plans/", {"total_amount": "0.001", "installments": rows}))
    assert faults == {
        ("#/customer_email", "required"),
        ("#/total_amount", "bad_amount"),
        ("#/installments/0/amount", "bad_amount"),
        ("#/installments/1/due_date", "bad_date"),
        ("#/installments/1/note", "unknown_field"),
        ("#/installments/2/amount", "required"),
        ("#/installments/2/due_date", "required"),
    }
    faults = pointers(amal.api.post("/api/plans/", {"customer_email": "omar@example.com", "total_amount": "x"}))
    assert faults == {
        ("#/total_amount", "bad_amount"),
        ("#/num_installments", "required"),
        ("#/start_date", "required"),
    }


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, {("#/num_installments", "required"), ("#/start_date", "required")}),
        ({"installments": []}, {("#/installments", "bad_length")}),
        ({"installments": ROWS[::-1]}, {("#/installments/1/due_date", "dates_not_rising")}),
        ({"installments": ROWS[:1]}, {("#/installments", "wrong_sum")}),
        ({"installments": [ROWS[0] | {"amount": "40.001"}]}, {("#/installments/0/amount", "bad_amount")}),
        ({"installments": ROWS, "interval": "weekly"}, {("#/interval", "not_with_installments")}),
        ({"installments": ROWS, "deposit": "1"}, {("#/deposit", "not_with_installments")}),
        (
            {"num_installments": 2, "start_date": "2099-01-01", "deposit": "100"},
            {("#/deposit", "bad_deposit")},
        ),
        ({"num_installments": 2, "start_date": str(date(2026, 1, 1)), "deposit": "1"},
         {("#/start_date", "date_after_deposit")}),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(amal, more, expected):
    assert pointers(amal.api.post("/api/plans/", TERMS | more)) == expected


def test_a_plan_with_a_deposit_is_found_again_when_its_first_day_has_come(api, amal):
    """Its days were right when it was made. The same body with another external_id is refused by then."""
    start = clock.today("Asia/Riyadh") + timedelta(days=1)
    new = TERMS | {"num_installments": 2, "start_date": start.isoformat(), "deposit": "10", "external_id": "order-1"}
    made = amal.api.post("/api/plans/", new)
    assert made.status_code == 201, made.text
    with time_machine.travel(clock.now() + timedelta(days=2)):
        later = sign_in(api, {"id": amal.id, "username": amal.username, "email": amal.email}).api
        again = later.post("/api/plans/", new)
        assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
        other = later.post("/api/plans/", new | {"external_id": "order-2"})
        assert pointers(other) == {("#/start_date", "date_after_deposit")}


def test_the_document_names_both_ways(api):
    schemas = api.get("/api/openapi.json").json()["components"]["schemas"]
    for name in ("NewPlan", "PlanTerms"):
        assert schemas[name]["if"]["required"] == ["installments"]
        assert schemas[name]["else"]["required"] == ["num_installments", "start_date"]
        assert schemas[name]["then"]["properties"]["deposit"] == {"type": "null"}
        kinds = [option.get("type") for option in schemas[name]["properties"]["num_installments"]["anyOf"]]
        assert "null" in kinds
    own = schemas["OwnInstallment"]
    assert own["required"] == ["amount", "due_date"] and own["additionalProperties"] is False


def test_plans_are_listed_by_why_they_closed(amal):
    plan = amal.api.post("/api/plans/", TERMS | {"installments": ROWS}).json()
    amal.api.post("/api/plans/", TERMS | {"installments": ROWS})
    amal.api.post(f"/api/plans/{plan['id']}/cancel/", {"reason": "No"})
    listed = amal.api.get("/api/plans/?closed_by=cancel").json()
    assert [(row["id"], row["closed_by"]) for row in listed] == [(plan["id"], "cancel")]
    assert amal.api.get("/api/plans/?closed_by=paid").json() == []
