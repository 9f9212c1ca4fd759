"""JSON as programs write it: a mark at its beginning, compression, repeated names, and the words of its faults."""

import gzip
import json
from typing import Any

import pytest

from tests.api import Api, Person, create_plan, problem

PREVIEW = {"total_amount": "100.00", "num_installments": 3, "start_date": "2199-01-31"}
PLAN = PREVIEW | {"customer_email": "omar@example.com"}


def sent(person: Person, text: bytes, where: str = "/api/plans/preview/", **headers: str) -> Any:
    return person.api.post(where, text, Content_Type="application/json", **headers)


def test_a_mark_of_utf_8_is_left_out(amal: Person) -> None:
    plain = sent(amal, json.dumps(PREVIEW).encode())
    marked = sent(amal, b"\xef\xbb\xbf" + json.dumps(PREVIEW).encode())
    assert (marked.status_code, marked.content) == (plain.status_code, plain.content) and plain.status_code == 200
    problem(sent(amal, b"\xef\xbb\xbf"), 422, "invalid")  # a body with nothing else is {}


def test_a_compressed_body_is_refused(amal: Person) -> None:
    body = json.dumps(PREVIEW).encode()
    for name, packed in (("gzip", gzip.compress(body)), ("br", body), ("gzip, gzip", body)):
        problem(sent(amal, packed, Content_Encoding=name), 415, "not_json")
    assert sent(amal, body, Content_Encoding="identity").status_code == 200


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ('"total_amount": "1.00"', "#/total_amount"),
        ('"metadata": {"a": "x", "b": "y", "a": "z"}', "#/metadata/a"),
        ('"metadata": {"a/b": "x", "a/b": "x"}', "#/metadata/a~1b"),
        ('"metadata": {}, "metadata": {}', "#/metadata"),
        ('"installments": [{"amount": "1.00", "amount": "2.00", "due_date": "2199-01-31"}]', "#/installments/0/amount"),
    ],
)
def test_a_repeated_name_is_a_fault(amal: Person, more: str, pointer: str) -> None:
    text = json.dumps(PLAN)[:-1] + f", {more}}}"
    document = sent(amal, text.encode(), "/api/plans/").json()
    faults = {fault["pointer"]: fault for fault in document["errors"]}
    assert (document["status"], faults[pointer]["code"]) == (422, "repeated")
    assert faults[pointer]["detail"] == "Send this name once."
    assert amal.api.get("/api/plans/").json() == []


def test_a_body_that_is_nested_too_deep_is_unreadable(amal: Person) -> None:
    text = json.dumps(PLAN)[:-1] + ', "metadata": ' + "[" * 20_000 + "]" * 20_000 + "}"
    problem(sent(amal, text.encode(), "/api/plans/"), 400, "unreadable")


@pytest.mark.parametrize(
    ("field", "value", "pointer", "words"),
    [
        ("customer_email", 7, "#/customer_email", "Send a text, in quotation marks."),
        ("metadata", [], "#/metadata", "Send an object: {...}."),
        ("metadata", {"a": 1, "b/c": None, "d": "x"}, "#/metadata/a", "Send a text, in quotation marks."),
        ("metadata", {"a": 1, "b/c": None, "d": "x"}, "#/metadata/b~1c", "Send a text, in quotation marks."),
        ("installments", "all", "#/installments", "Send a list: [...]."),
        ("interval", "yearly", "#/interval", "Send one of these: "),
    ],
)
def test_a_fault_speaks_of_json_and_names_what_is_accepted(
    amal: Person, field: str, value: object, pointer: str, words: str
) -> None:
    document = amal.api.post("/api/plans/", PLAN | {field: value}).json()
    details = {fault["pointer"]: fault["detail"] for fault in document["errors"]}
    assert details[pointer].startswith(words), document
    if field == "interval":
        assert "weekly" in details[pointer] and "monthly" in details[pointer]


def test_the_next_page_is_on_the_public_address(amal: Person) -> None:
    for _ in range(2):
        create_plan(amal, "omar@example.com")
    link = amal.api.get("/api/plans/?limit=1", Host="evil.example.com").links["next"]["url"]
    assert link.startswith("http://localhost/api/plans/?limit=1&cursor=")


def test_a_filter_names_its_values(api: Api, amal: Person) -> None:
    (fault,) = problem(amal.api.get("/api/plans/?status=paid"), 422, "wrong_type")["errors"]
    assert "overdue" in fault["detail"] and fault["in"] == "query"
