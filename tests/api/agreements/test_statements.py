"""The statements of a plan and of a customer, by the API."""

from datetime import timedelta

from portal.domain import clock
from tests.api import Api, Person, create_plan, merchant, problem

WHY = {"reason": "Sorry"}


def test_a_statement_adds_up_to_what_remains(amal: Person, omar: Person, api: Api) -> None:
    plan = create_plan(amal, omar.email)
    base, today = f"/api/plans/{plan['id']}/", clock.today("Asia/Riyadh")
    assert omar.api.post(f"{base}pay/", {"choice": "amount", "amount": "40.00"}).status_code == 200
    assert amal.api.post(f"{base}credits/", {"amount": "10.00", **WHY}).status_code == 200
    assert amal.api.post(f"{base}refunds/", {"amount": "5.00", **WHY}).status_code == 201
    whole = amal.api.get(f"{base}statement/").json()
    assert whole == omar.api.get(f"{base}statement").json()
    assert [line["kind"] for line in whole["lines"]] == ["plan_opened", "payment", "credit", "refund"]
    assert [line["owed"] for line in whole["lines"]] == ["100.00", "-40.00", "-10.00", "0.00"]
    assert [line["received"] for line in whole["lines"]] == ["0.00", "40.00", "0.00", "-5.00"]
    assert (whole["opening"], whole["closing"], whole["received"]) == ("0.00", "50.00", "35.00")
    assert whole["closing"] == amal.api.get(base).json()["remaining"]

    tomorrow = today + timedelta(days=1)
    later = amal.api.get(f"{base}statement/?from={tomorrow}").json()
    assert (later["lines"], later["closing"]) == ([], "50.00")
    before = amal.api.get(f"{base}statement/?to={today - timedelta(days=1)}").json()
    assert (before["lines"], before["closing"]) == ([], "0.00")
    (of_customer,) = amal.api.get(f"/api/customers/{omar.id}/statement/?from={today}&to={today}").json()
    assert of_customer["lines"] == whole["lines"]

    problem(amal.api.get(f"{base}statement/?from=yesterday"), 422, "bad_date")
    problem(amal.api.get(f"{base}statement/?limit=1"), 422, "unknown_parameter")
    problem(amal.api.post(f"{base}statement"), 405, "method_not_allowed")
    problem(omar.api.get(f"/api/customers/{omar.id}/statement/"), 403, "forbidden")
    for path in (f"{base}statement/", f"/api/customers/{omar.id}/statement/"):
        problem(merchant(api).api.get(path), 404, "not_found")
