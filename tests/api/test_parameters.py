"""Query parameters: every endpoint accepts the documented ones and refuses others."""

import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from flask import Flask

from portal.api.endpoints import declared
from portal.api.openapi import examples
from portal.api.openapi.enums import NAMES
from portal.api.problems import MAX_FAULTS
from portal.domain import permissions
from portal.gateways.payment.simulated.cards import OFFERED
from tests.api import Api, Person, create_plan, merchant, problem
from tests.fixtures import operations as operations_of_the_site
from tests.web.imports import matrix_rows

DATES = ("2020-01-01", "2199-12-31")


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    document: dict[str, Any] = app.test_client().get("/api/openapi.json").get_json()
    return document


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The operations by id."""
    return {operation["operationId"]: operation for path in document["paths"].values() for operation in path.values()}


def parameters(operation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The schemas of an operation's query parameters, by name."""
    return {each["name"]: _schema(each["schema"]) for each in operation["parameters"] if each["in"] == "query"}


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with the values of its enum, if it is a named one."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return {**schema, "enum": list(NAMES[name])} if name else schema


def body(operation: dict[str, Any]) -> Any:
    """A valid body, if the operation reads one."""
    if "requestBody" not in operation:
        return None
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    return examples.shapes(OFFERED)[reference.rpartition("/")[2]]


@pytest.fixture
def dana(app: Flask, api: Api, omar: Person) -> Person:
    """The owner of a business that waits for approval, with two drafts; omar has a plan with one more business."""
    create_plan(merchant(api), omar.email)
    with operations_of_the_site.registration(app, "approval"):
        person = merchant(api)
    with app.app_context():
        for name in ("noor", "zaid"):
            matrix_rows.a_contact(person.id, name)
    for _ in range(2):
        terms = {"total_amount": "100.00", "num_installments": 3, "start_date": "2199-01-01"}
        assert person.api.post("/api/plan-drafts/", {"customer_email": omar.email, **terms}).status_code == 201
    return person


def lists(document: dict[str, Any], plan_id: int, amal: Person, omar: Person) -> dict[str, dict[str, dict[str, Any]]]:
    """The parameters of every list by its address. Lists of a plan's rows are those of `plan_id`."""
    endpoint = amal.api.get("/api/webhook-endpoints/").json()[0]["id"]
    return {
        path.replace("{plan_id}", str(plan_id))
        .replace("{customer_id}", str(omar.id))
        .replace("{merchant_id}", str(amal.id))
        .replace("{endpoint_name}", endpoint): parameters(path_item["get"])
        for path, path_item in document["paths"].items()
        if parameters(path_item.get("get", {"parameters": []}))
    }


def reader(address: str, amal: Person, omar: Person, dana: Person) -> Person:
    """The person who may read this list."""
    others = {"/api/payment-methods/": omar, "/api/plan-drafts/": dana, "/api/contacts/": dana}
    return omar if address.startswith("/api/shops/") else others.get(address, amal)


def a_plan_with_two_of_everything(amal: Person, omar: Person) -> int:
    """Create plans for two customers, and return the id of one with two payments of installments and two refunds."""
    assert amal.api.post("/api/webhook-endpoints/", {"url": "https://shop.example.com/hooks"}).status_code == 201
    create_plan(amal, omar.email, start_date="2199-01-01")
    create_plan(amal, "layla@example.com", start_date="2199-01-01")
    old = create_plan(amal, omar.email, start_date="2020-01-31")
    for installment in old["installments"][:2]:
        paid = omar.api.post(f"/api/plans/installments/{installment['id']}/pay/")
        assert paid.status_code == 200
        refund = {"amount": "1.00", "reason": "A layer was missing", "payment": paid.json()["payment"]["id"]}
        assert amal.api.post(f"/api/plans/{old['id']}/refunds/", refund).status_code == 201
    plan_id: int = old["id"]
    return plan_id


def test_every_endpoint_refuses_an_unknown_parameter_and_names_the_known_ones(
    app: Flask, document: dict[str, Any], api: Api, amal: Person, omar: Person
) -> None:
    documented, refused = operations(document), set()
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.startswith("api_") or rule.endpoint.startswith(("api_docs", "api_keys")):
            continue
        name = rule.endpoint.removeprefix("api_").replace(".", "_")
        operation, needs = documented[name], declared[name].needs
        caller = omar if needs in permissions.CUSTOMER else amal
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            path = re.sub(r"<row:\w+>", "1", rule.rule)
            response = caller.api.call(method, f"{path}?unheard_of=zzz", body(operation))
            refusal = problem(response, 422, "unknown_parameter")
            known = list(parameters(operation))
            assert refusal["known"] == known, rule
            assert all(each in refusal["detail"] for each in known)
            (fault,) = refusal["errors"]
            assert (fault["pointer"], fault["code"], fault["in"]) == ("#/unheard_of", "unknown_parameter", "query")
            refused.add(name)
    assert refused == set(documented)


def test_a_response_lists_fifty_faults_at_most(amal: Person) -> None:
    query = "&".join(f"unheard_of_{number}=1" for number in range(60))
    assert len(problem(amal.api.get(f"/api/plans/?{query}"), 422, "invalid")["errors"]) == MAX_FAULTS == 50


def test_every_operation_documents_the_refusal(document: dict[str, Any]) -> None:
    for name, operation in operations(document).items():
        refusal = operation["responses"]["422"]["content"]["application/problem+json"]["examples"]
        example = refusal["unknown_parameter"]["value"]
        assert example["known"] == list(parameters(operation)) == list(declared[name].parameters), name
        assert example["detail"] and example["errors"][0]["in"] == "query"


@pytest.mark.long
def test_every_documented_parameter_is_accepted(
    document: dict[str, Any], amal: Person, omar: Person, dana: Person
) -> None:
    for address, known in lists(document, a_plan_with_two_of_everything(amal, omar), amal, omar).items():
        for name, schema in known.items():
            if name == "cursor":
                link = reader(address, amal, omar, dana).api.get(f"{address}?limit=1").links["next"]["url"]
                values = [dict(parse_qsl(urlsplit(link).query))["cursor"]]
            elif schema.get("format") == "date":
                values = [*DATES]
            elif "anyOf" in schema:
                values = [*schema["examples"], *DATES]
            else:
                values = schema.get("enum") or [_sample(schema, omar)]
            for value in values:
                response = reader(address, amal, omar, dana).api.get(f"{address}?{urlencode({name: value})}")
                assert response.status_code == 200, (address, name, value, response.text)


def _sample(schema: dict[str, Any], omar: Person) -> Any:
    """A value that the parameter takes."""
    if "examples" in schema:
        return schema["examples"][0]
    if schema.get("pattern") == "^[A-Z]{3}$":
        return "SAR"
    numbers = [each["minimum"] for each in (schema, *schema.get("oneOf", [])) if "minimum" in each]
    return numbers[0] if numbers else omar.email


@pytest.mark.long
def test_state_and_status_are_the_same_filter(document: dict[str, Any], amal: Person, omar: Person) -> None:
    filtered = 0
    for address, known in lists(document, a_plan_with_two_of_everything(amal, omar), amal, omar).items():
        assert ("status" in known) == ("state" in known), address
        if "status" not in known:
            continue
        filtered += 1
        assert known["state"] == known["status"]
        pages = {value: amal.api.get(f"{address}?status={value}").json() for value in known["status"]["enum"]}
        assert sum(len(page) for page in pages.values()) == len(amal.api.get(address).json()) > 0
        for value, page in pages.items():
            for query in (f"state={value}", f"status={value}&state={value}"):
                response = amal.api.get(f"{address}?{query}")
                assert response.status_code == 200 and response.json() == page, (address, query)
        first_value, second_value = list(pages)[:2]
        for first, second in (("status", "state"), ("state", "status")):
            response = amal.api.get(f"{address}?{first}={first_value}&{second}={second_value}")
            (fault,) = problem(response, 422, "conflicting_parameters")["errors"]
            assert (fault["pointer"], fault["in"]) == (f"#/{second}", "query") and first in fault["detail"]
            (fault,) = problem(amal.api.get(f"{address}?{first}=nothing"), 422, "wrong_type")["errors"]
            assert (fault["pointer"], fault["in"]) == (f"#/{first}", "query")
    assert filtered >= 6


@pytest.mark.parametrize("name", ["status", "state"])
def test_the_next_page_keeps_the_name_that_was_used(api: Api, amal: Person, omar: Person, name: str) -> None:
    plan_id = a_plan_with_two_of_everything(amal, omar)
    declined = {"choice": "all", "payment_method": "card_declined"}
    problem(omar.api.post(f"/api/plans/{plan_id}/pay/", declined), 402, "declined")
    first = amal.api.get(f"/api/payments/?{name}=succeeded&limit=1&sort=id")
    link = first.links["next"]["url"]
    sent = dict(parse_qsl(urlsplit(link).query))
    assert sent == {name: "succeeded", "limit": "1", "sort": "id", "cursor": sent["cursor"]}
    second = amal.api.get(link.removeprefix(api.url))
    assert second.status_code == 200 and "next" not in second.links
    every = amal.api.get("/api/payments/?sort=id").json()
    assert len(every) == 3
    assert first.json() + second.json() == [payment for payment in every if payment["state"] == "succeeded"]


def test_a_repeated_parameter_is_refused(amal: Person) -> None:
    for query in ("limit=1&limit=1", "status=late&status=late", "state=late&state=paid", "sort=due_date&sort="):
        (fault,) = problem(amal.api.get(f"/api/plans/installments/?{query}"), 422, "repeated")["errors"]
        assert (fault["pointer"], fault["in"]) == (f"#/{query.partition('=')[0]}", "query")
    problem(amal.api.get("/api/plans/?page=1&page=2"), 422, "unknown_parameter")


def test_names_that_are_almost_right_are_unknown(amal: Person) -> None:
    for query in ("staus=overdue", "STATUS=overdue", "status[]=overdue", "%20status=overdue", "page", "=x", "a%2Fb=1"):
        assert problem(amal.api.get(f"/api/plans/?{query}"), 422, "unknown_parameter")["known"]
    for query in ("%ff=1", "%00=1", "x" * 2000, "%F0%9F%8D%B0"):
        (fault,) = problem(amal.api.get(f"/auth/me/?{query}"), 422, "unknown_parameter")["errors"]
        assert len(fault["pointer"]) <= 102


def test_faults_of_parameters_and_body_come_at_once(amal: Person, omar: Person) -> None:
    terms = {"customer_email": omar.email, "total_amount": "1e3", "num_installments": 3, "start_date": "2026-08-31"}
    refusal = problem(amal.api.post("/api/plans/?dry_run=1", {**terms, "vat": 1}), 422, "invalid")
    assert [(fault["pointer"], fault["code"], fault.get("in")) for fault in refusal["errors"]] == [
        ("#/dry_run", "unknown_parameter", "query"),
        ("#/total_amount", "bad_amount", None),
        ("#/vat", "unknown_field", None),
    ]
    assert refusal["known"] == []
    refusal = problem(amal.api.get("/api/plans/?limit=0&page=2"), 422, "invalid")
    assert {fault["pointer"] for fault in refusal["errors"]} == {"#/limit", "#/page"}
    assert "known" not in problem(amal.api.get("/api/plans/?limit=0"), 422, "bad_number")


def test_a_refused_request_does_nothing_and_leaves_its_key_free(amal: Person, omar: Person) -> None:
    installment = create_plan(amal, omar.email)["installments"][0]
    where = f"/api/plans/installments/{installment['id']}/"
    key = {"Idempotency_Key": "pay-once"}
    problem(omar.api.post(f"{where}pay/?amount=1", None, **key), 422, "unknown_parameter")
    assert omar.api.get(where).json() == installment
    paid = omar.api.post(f"{where}pay/", None, **key)
    assert paid.status_code == 200 and "Idempotent-Replayed" not in paid.headers


def test_a_refusal_comes_after_the_sign_in(api: Api, omar: Person) -> None:
    problem(api.get("/api/plans/?page=2"), 401, "no_token")
    problem(omar.api.get("/api/analytics/dashboard/?page=2"), 403, "forbidden")


def test_a_problem_lists_a_limited_number_of_faults(amal: Person) -> None:
    many = [f"a{number}" for number in range(60)]
    refusal = problem(amal.api.get(f"/api/plans/?{'&'.join(many)}"), 422, "invalid")
    assert len(refusal["errors"]) == 50
    refusal = problem(amal.api.post("/api/plans/", dict.fromkeys(many, 1)), 422, "invalid")
    assert len(refusal["errors"]) == 50


def test_documentation_pages_take_any_parameter(api: Api) -> None:
    for address in ("/api/docs/", "/swagger/", "/api/openapi.json"):
        assert api.get(f"{address}?v=1").status_code == 200
