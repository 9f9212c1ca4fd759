"""The document says exactly what is accepted and answered: a walk over all schemas, parameters and examples."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from portal.api.openapi import enums, error_codes, examples
from portal.api.openapi.refusals import REFUSED
from portal.gateways.payment.simulated.cards import OFFERED
from portal.gunicorn_worker import RESPONSES, TOO_SLOW
from tests.api import Api, Person, create_plan, problem

NO_FIELDS = {"Nothing"}
UNBOUNDED = {"access", "refresh", "detail", "title", "type", "pointer", "response", "url", "token", "problem"}
"""Answered texts of the program and of the gateway, and tokens."""


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    document: dict[str, Any] = app.test_client().get("/api/openapi.json").get_json()
    return document


def nodes(part: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the document with its place, without examples and defaults."""
    if isinstance(part, dict):
        yield place, part
        for name, each in part.items():
            if name not in ("example", "examples", "default"):
                yield from nodes(each, f"{place}/{name}")
    elif isinstance(part, list):
        for number, each in enumerate(part):
            yield from nodes(each, f"{place}/{number}")


def test_every_enum_is_a_named_schema(document: dict[str, Any]) -> None:
    named = {f"/components/schemas/{name}" for name in (*enums.NAMES, "ErrorCode")}
    found = {place for place, node in nodes(document) if isinstance(node.get("enum"), list)}
    assert found == named
    for name, values in enums.NAMES.items():
        assert document["components"]["schemas"][name]["enum"] == list(values)


def test_every_reference_leads_to_a_schema(document: dict[str, Any]) -> None:
    for place, node in nodes(document):
        if isinstance(node.get("$ref"), str):
            *_, kind, name = node["$ref"].split("/")
            assert name in document["components"][kind], place


def test_objects_have_their_fields_and_texts_their_lengths(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        for place, node in nodes(schema, name):
            if node.get("type") == "object":
                assert "properties" in node or "additionalProperties" in node, place
            if node.get("type") == "string":
                field = place.split("/properties/")[-1].split("/")[0]
                known = {"maxLength", "pattern", "format", "enum"} & set(node)
                assert known or field in UNBOUNDED or not _is_sent(name), place


def _is_sent(name: str) -> bool:
    """The schema is one of a request's body."""
    return name.startswith(("New", "Plan")) and name not in ("Plan", "PlanDue", "PlanOutcome", "NewSecret")


def test_metadata_is_a_map_of_strings_with_its_limits(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    maps = [
        schema["properties"]["metadata"] for schema in schemas.values() if "metadata" in schema.get("properties", {})
    ]
    assert len(maps) >= 6
    for node in maps:
        value = node["additionalProperties"]
        value = value.get("anyOf", [value])[0]
        assert node["type"] == "object" and node.get("maxProperties", 20) == 20
        assert (node["propertyNames"]["maxLength"], value["type"], value["maxLength"]) == (40, "string", 500)


def test_no_example_is_empty(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        if schema.get("type") == "object" and name not in NO_FIELDS:
            assert schema.get("examples") and all(schema["examples"]), name
    for place, node in nodes(document):
        for key in ("examples", "example"):
            if key in node and not place.endswith("/properties"):
                assert node[key], place


def test_every_parameter_is_described(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for operation in item.values():
            for parameter in operation["parameters"]:
                assert parameter.get("description"), (path, parameter["name"])


def test_problems_name_their_extra_members(app: Flask, document: dict[str, Any]) -> None:
    known = set(document["components"]["schemas"]["Problem"]["properties"])
    with app.app_context():
        for code in REFUSED:
            assert set(examples.problem(409, code)) <= known, code


def test_every_operation_says_what_the_server_refuses(document: dict[str, Any]) -> None:
    for item in document["paths"].values():
        for operation in item.values():
            assert {"414", "431"} <= set(operation["responses"])


def test_the_codes_of_the_server_are_those_of_the_enum(document: dict[str, Any]) -> None:
    answers = [answer for _, answer in RESPONSES] + [TOO_SLOW]
    for status, code, words in answers:
        assert code in document["components"]["schemas"]["ErrorCode"]["enum"], code
        if code in error_codes.UNREADABLE:
            assert error_codes.UNREADABLE[code] == (status, words)
    assert set(error_codes.UNREADABLE) <= {code for _, code, _ in answers}


def test_real_examples_of_shapes_cover_every_schema(document: dict[str, Any]) -> None:
    objects = {name for name, node in document["components"]["schemas"].items() if node.get("type") == "object"}
    assert objects <= set(examples.shapes(OFFERED))


def test_wrong_methods_answer_alike_with_and_without_the_slash(app: Flask, document: dict[str, Any]) -> None:
    client = app.test_client()
    for path, item in document["paths"].items():
        address = re.sub(r"{\w+_id}", "1", path).replace("{endpoint_name}", f"we_{'0' * 32}")
        address = address.replace("{event_name}", f"evt_{'0' * 32}")
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - {name.upper() for name in item}:
            answers = [client.open(each, method=method) for each in (address, address.rstrip("/"))]
            for answer in answers:
                assert answer.status_code == 405, (method, answer.request.path)
                assert answer.get_json()["code"] == "method_not_allowed"
                assert {name.upper() for name in item} <= set(answer.allow), (method, address)
            assert set(answers[0].allow) == set(answers[1].allow)
        allowed = [set(client.options(each).allow) for each in (address, address.rstrip("/"))]
        assert allowed[0] == allowed[1] and {name.upper() for name in item} <= allowed[0], address
    for address in ("/api/nothing", "/api/nothing/", "/api/plans/x", "/api/plans/x/"):
        for method in ("GET", "POST", "DELETE"):
            assert client.open(address, method=method).status_code == 404, address


@pytest.mark.parametrize(
    ("field", "limit"),
    [("description", 200), ("external_id", 100), ("customer_email", 254)],
)
def test_messages_name_the_true_limit(amal: Person, omar: Person, field: str, limit: int) -> None:
    terms = {"customer_email": omar.email, "total_amount": "10.00", "num_installments": 1, "start_date": "2199-01-01"}
    for letters in (limit + 1, 1_001, 5_000):
        refused = amal.api.post("/api/plans/", {**terms, field: "x" * letters})
        faults = [fault for fault in refused.json()["errors"] if fault["pointer"] == f"#/{field}"]
        assert refused.status_code == 422 and faults, letters
        assert field == "customer_email" or all(str(limit) in fault["detail"] for fault in faults), faults


def test_a_request_with_everything_is_answered_as_documented(api: Api, amal: Person, omar: Person) -> None:
    metadata = {"n" * 40: "x" * 500, **{f"name{number}": "" for number in range(19)}}
    assert create_plan(amal, omar.email, metadata=metadata)["metadata"] == metadata
    terms = {"customer_email": omar.email, "total_amount": "10.00", "num_installments": 1, "start_date": "2199-01-01"}
    for bad in ({**metadata, "more": ""}, {"n" * 41: ""}, {"n": "x" * 501}, {"": "x"}, {"n": 1}, {"n": None}, ["n"]):
        fault = amal.api.post("/api/plans/", {**terms, "metadata": bad})
        assert fault.status_code == 422 and fault.json()["errors"][0]["pointer"].startswith("#/metadata"), bad
    problem(api.post("/api/plans", terms), 401, "no_token")
