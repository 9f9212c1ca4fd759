"""`?include=total`: the number of rows in a header, for every list."""

import re
from typing import Any

import pytest
from flask import Flask

from portal.jobs import tasks
from portal.reports import tallies
from tests.api import Person, create_plan, problem


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    document: dict[str, Any] = app.test_client().get("/api/openapi.json").get_json()
    return document


def arrays(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The operations that answer an array, by their address."""
    return {
        path: item["get"]
        for path, item in document["paths"].items()
        if "get" in item
        and item["get"]["responses"]["200"]["content"]["application/json"]["schema"].get("type") == "array"
    }


def story(app: Flask, amal: Person, omar: Person) -> dict[str, str]:
    """Make some rows, and return the values of the placeholders in addresses."""
    plan = create_plan(amal, omar.email)
    create_plan(amal, "layla@example.com")
    omar.api.post(f"/api/plans/installments/{plan['installments'][0]['id']}/pay/")
    for _ in range(2):
        body = {"amount": "1.00", "reason": "A layer was missing"}
        assert amal.api.post(f"/api/plans/{plan['id']}/refunds/", body).status_code == 201
    assert omar.api.post("/api/payment-methods/", {"card": "card_ok"}).status_code == 201
    made = amal.api.post("/api/webhook-endpoints/", {"url": "https://shop.example.com/hooks"})
    with app.app_context():
        tasks.number_events()
    return {"plan_id": str(plan["id"]), "endpoint_name": made.json()["id"], "customer_id": str(omar.id)}


def test_every_list_counts_its_rows(app: Flask, document: dict[str, Any], amal: Person, omar: Person) -> None:
    values = story(app, amal, omar)
    lists = arrays(document)
    assert len(lists) >= 14
    for path, operation in lists.items():
        assert "X-Total-Count" in operation["responses"]["200"]["headers"], path
        address = re.sub(r"{(\w+)}", lambda match: values[match[1]], path)
        caller = omar if path in ("/api/payment-methods/", "/api/shops/") else amal
        plain, counted = caller.api.get(address), caller.api.get(f"{address}?include=total")
        assert plain.status_code == counted.status_code == 200, (address, counted.text)
        assert "X-Total-Count" not in plain.headers and plain.json() == counted.json()
        assert counted.headers["X-Total-Count"] == str(len(plain.json())), address
        known = {parameter["name"] for parameter in operation["parameters"]}
        if "limit" in known and len(plain.json()) > 1:
            assert caller.api.get(f"{address}?include=total&limit=1").headers["X-Total-Count"] == str(len(plain.json()))
        assert problem(caller.api.get(f"{address}?include=sum"), 422, "wrong_type")["errors"][0]["in"] == "query"


def test_the_total_follows_the_filters_and_not_the_page(app: Flask, amal: Person, omar: Person) -> None:
    for number in range(3):
        create_plan(amal, omar.email, metadata={"half": str(number % 2)})
    page = amal.api.get("/api/plans/?metadata=half:0&include=total&limit=1")
    assert page.headers["X-Total-Count"] == "2" and len(page.json()) == 1
    rest = amal.api.get("/" + page.links["next"]["url"].split("/", 3)[3])
    assert rest.headers["X-Total-Count"] == "2" and "next" not in rest.links
    both = amal.api.get("/api/plans/installments/?include=total,replaced")
    assert both.headers["X-Total-Count"] == "9"
    assert amal.api.get("/api/customers/?include=total&show=owing").headers["X-Total-Count"] == "1"
    assert amal.api.get("/api/customers/?include=total&search=nobody").headers["X-Total-Count"] == "0"


def test_a_long_list_is_counted_up_to_a_bound(monkeypatch: pytest.MonkeyPatch, amal: Person, omar: Person) -> None:
    create_plan(amal, omar.email)
    monkeypatch.setattr(tallies, "LIMIT", 2)
    assert amal.api.get("/api/plans/installments/?include=total").headers["X-Total-Count"] == "2+"
    assert amal.api.get("/api/plans/?include=total").headers["X-Total-Count"] == "1"
