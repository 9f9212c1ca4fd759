"""Reminders over the API: sent now, muted, and by the merchant's rules."""

from typing import Any

import pytest

from tests.api import Api, Person, create_plan, customer, merchant, problem

RULES = "/api/merchant/reminders/"


@pytest.fixture
def amal(api: Api) -> Person:
    return merchant(api)


@pytest.fixture
def omar(api: Api) -> Person:
    return customer(api)


@pytest.fixture
def plan(amal: Person, omar: Person) -> dict[str, Any]:
    return create_plan(amal, omar.email)


def test_a_reminder_is_queued_once_a_day(amal: Person, omar: Person, plan: dict[str, Any]) -> None:
    where = f"/api/plans/{plan['id']}/reminders/"
    queued = amal.api.post(where)
    assert queued.status_code == 200, queued.text
    assert set(queued.json()) == {"plan", "customer", "day"}
    assert (queued.json()["plan"], queued.json()["customer"]) == (plan["id"], omar.id)
    problem(amal.api.post(where), 409, "already_sent_today")
    refused = problem(amal.api.post(where, {"day": "2026-08-31"}), 422, "unknown_field")
    assert [fault["pointer"] for fault in refused["errors"]] == ["#/day"]


@pytest.mark.parametrize("about", ["plan", "customer"])
def test_a_mute_holds_until_it_is_taken_back(amal: Person, omar: Person, plan: dict[str, Any], about: str) -> None:
    base = f"/api/plans/{plan['id']}"
    where = f"{base}/mute/" if about == "plan" else f"/api/customers/{omar.id}/mute/"
    for _ in range(2):
        muted = amal.api.call("PUT", where)
        assert (muted.status_code, muted.content) == (204, b"")
    assert amal.api.get(f"/api/customers/{omar.id}/").json()["muted"] is (about == "customer")
    problem(amal.api.post(f"{base}/reminders/"), 409, "muted")
    for _ in range(2):
        assert amal.api.call("DELETE", where).status_code == 204
    assert amal.api.post(f"{base}/reminders/").status_code == 200


def test_others_neither_remind_nor_mute(api: Api, amal: Person, omar: Person, plan: dict[str, Any]) -> None:
    badr = merchant(api)
    for method, where in (
        ("POST", f"/api/plans/{plan['id']}/reminders/"),
        ("PUT", f"/api/plans/{plan['id']}/mute/"),
        ("DELETE", f"/api/customers/{omar.id}/mute/"),
    ):
        problem(badr.api.call(method, where), 404, "not_found")
        problem(omar.api.call(method, where), 403, "forbidden")


def test_the_rules_change_field_by_field(amal: Person) -> None:
    before = amal.api.get(RULES).json()
    changed = amal.api.call("PATCH", RULES, {"days": [7, -3, 0, 7]})
    assert changed.status_code == 200, changed.text
    assert changed.json() == {"days": [-3, 0, 7], "sending_hour": before["sending_hour"]}
    assert amal.api.call("PATCH", RULES, {"sending_hour": 6}).json() == {"days": [-3, 0, 7], "sending_hour": 6}
    assert amal.api.call("PATCH", RULES, {"days": [], "sending_hour": None}).json() == {"days": [], "sending_hour": 6}
    assert amal.api.get(RULES).json() == {"days": [], "sending_hour": 6}


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"days": [-61]}, "days", "too_early"),
        ({"days": [91]}, "days", "too_late"),
        ({"days": list(range(11))}, "days", "too_many"),
        ({"days": ["1.5"]}, "days/0", "wrong_type"),
        ({"days": 1}, "days", "wrong_type"),
        ({"sending_hour": 24}, "sending_hour", "bad_number"),
    ],
)
def test_wrong_rules_are_faults_of_their_field(amal: Person, body: dict[str, Any], field: str, code: str) -> None:
    before = amal.api.get(RULES).json()
    refused = amal.api.call("PATCH", RULES, body)
    problem(refused, 422, code)
    assert [fault["pointer"] for fault in refused.json()["errors"]] == [f"#/{field}"]
    assert amal.api.get(RULES).json() == before
