"""An owner closes the business, opens it again, and objects to its deactivation, by the API."""

from flask import Flask

from portal.services.accounts import api_keys
from portal.services.operations import merchant_deactivations
from tests.api import Person, create_plan, problem
from tests.fixtures import operations, people

CLOSING = "/api/merchant/closing/"
NEW = {"total_amount": "9", "num_installments": 1, "start_date": "2199-01-31"}


def test_an_owner_closes_and_opens_the_business(app: Flask, amal: Person, omar: Person) -> None:
    create_plan(amal, omar.email)
    shown = amal.api.get(CLOSING).json()
    assert (shown["standing"], shown["open_plans"], shown["closing_at"]) == ("live", 1, None)
    refused = amal.api.call("PUT", CLOSING, {"open_plans": 0})
    assert problem(refused, 409, "figures_changed")["open_plans"] == 1
    problem(amal.api.call("PUT", CLOSING, {}), 422, "required")
    problem(amal.api.call("PUT", CLOSING, {"open_plans": 1, "closed_at": "2026-08-31T00:00:00Z"}), 422, "unknown_field")
    with app.app_context():
        key = api_keys.create(people.owner(amal.id), name="Till")
    problem(amal.api.as_(key).get(CLOSING), 403, "forbidden")
    problem(omar.api.get(CLOSING), 403, "forbidden")

    closing = [amal.api.call("PUT", path, {"open_plans": 1}).json() for path in (CLOSING, CLOSING[:-1])]
    assert closing[0] == closing[1] and closing[0]["standing"] == "closing"
    problem(amal.api.post("/api/plans/", {"customer_email": omar.email, **NEW}), 403, "merchant_closing")
    for _ in range(2):
        assert amal.api.call("DELETE", CLOSING).status_code == 204
    assert amal.api.get(CLOSING).json()["standing"] == "live"
    assert amal.api.post("/api/plans/", {"customer_email": omar.email, **NEW}).status_code == 201
    wrong = amal.api.post(CLOSING[:-1], {})
    problem(wrong, 405, "method_not_allowed")


def test_an_owner_objects_to_a_deactivation(app: Flask, amal: Person) -> None:
    objections, body = "/api/merchant/objections/", {"reason": "It was another shop"}
    problem(amal.api.post(objections, body), 409, "not_deactivated")
    with app.app_context():
        merchant_deactivations.deactivate(amal.id, actor=operations.olga(), reason="A complaint")
    problem(amal.api.call("PUT", CLOSING, {"open_plans": 0}), 409, "merchant_deactivated")
    problem(amal.api.post(objections, {"reason": ""}), 422, "required")
    first = amal.api.post(objections, body, Idempotency_Key="1")
    again = amal.api.post(objections[:-1], body, Idempotency_Key="1")
    assert first.status_code == again.status_code == 200 and first.content == again.content
    with app.app_context():
        assert [act[0] for act in operations.acts()].count("merchant_objected") == 1
    for _ in range(10):
        last = amal.api.post(objections, body)
    problem(last, 409, "too_many_objections")
