"""JSON as programs write it: a mark at its beginning, compression, repeated names, and the words of its faults."""

import gzip
import json
from typing import Any

import pytest

from tests.api import Api, Person, create_plan, problem
from tests.fixtures.people import PASSWORD

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


@pytest.mark.parametrize(
    ("method", "where", "body", "pointer", "words"),
    [
        ("POST", "/api/webhook-endpoints/", {"types": ["plan.created", "x"]}, "#/types/1", "Send one of these: plan.c"),
        ("PATCH", "/api/merchant/notices/", {"on": ["x"]}, "#/on/0", "Send one of these: "),
        ("PATCH", "/api/merchant/reminders/", {"days": [0, "soon"]}, "#/days/1", "Send a whole number."),
        (
            "PATCH",
            "/api/merchant/",
            {"home_currency": "usd"},
            "#/home_currency",
            "Send the three letters of a currency",
        ),
        ("PATCH", "/api/merchant/", {"time_zone": "Riyadh"}, "#/time_zone", "Send the IANA name of a time zone"),
        ("GET", "/api/plans/?currency=sar", None, "#/currency", "Send a text like SAR."),
        ("POST", "/api/plans/preview/", PREVIEW | {"metadata": {}}, "#/metadata", "This field is not known here."),
        (
            "POST",
            "/api/plans/",
            PLAN | {"metadata": {"a/b": "x" * 501}},
            "#/metadata/a~1b",
            "Names have 1 to 40 letters",
        ),
        ("POST", "/api/plans/", PLAN | {"metadata": {"": "x"}}, "#/metadata/", "Names have 1 to 40 letters"),
    ],
)
def test_a_fault_names_the_value_and_what_is_accepted(
    amal: Person, method: str, where: str, body: Any, pointer: str, words: str
) -> None:
    document = amal.api.call(method, where, body).json()
    details = {fault["pointer"]: fault["detail"] for fault in document["errors"]}
    assert details[pointer].startswith(words), document


def test_a_card_is_asked_for_by_its_token(omar: Person) -> None:
    refusal = problem(omar.api.post("/api/payment-methods/", {"card": "4242"}), 422, "unknown_method")
    assert refusal["detail"] == refusal["errors"][0]["detail"]
    assert refusal["detail"].startswith("Send the token of a saved card")


def test_whole_numbers_are_digit_strings_too(api: Api, amal: Person) -> None:
    rules = amal.api.call("PATCH", "/api/merchant/reminders/", {"days": ["-3", 0, "5"]})
    assert rules.status_code == 200 and rules.json()["days"] == [-3, 0, 5]
    sign_in = {"username": amal.email, "password": PASSWORD, "merchant": str(amal.id)}
    assert api.as_(None).post("/token/", sign_in).status_code == 200
    for bad in ("-", "1.0", "٣", "--1", "", "99999999999999999999"):
        problem(amal.api.call("PATCH", "/api/merchant/reminders/", {"days": [bad]}), 422, "wrong_type")
        problem(api.as_(None).post("/token/", sign_in | {"merchant": bad}), 422, "bad_number")


def test_an_endpoint_without_fields_refuses_every_field(amal: Person, omar: Person) -> None:
    plan = create_plan(amal, omar.email)
    for method in ("PUT", "DELETE"):
        where = f"/api/plans/{plan['id']}/mute/"
        (fault,) = problem(amal.api.call(method, where, {"until": "2199-01-01"}), 422, "unknown_field")["errors"]
        assert fault["pointer"] == "#/until"
        problem(amal.api.call(method, where, b"until=tomorrow"), 415, "not_json")
        problem(amal.api.call(method, where, b"{", Content_Type="application/json"), 400, "unreadable")
        for body in (None, {}):
            done = amal.api.call(method, where, body)
            assert (done.status_code, done.content, "Content-Type" in done.headers) == (204, b"", False)


@pytest.mark.parametrize(
    ("method", "where", "body", "pointers"),
    [
        (
            "POST",
            "/auth/register/",
            {"username": "a b", "email": "x", "password": "1", "password2": "2", "role": "admin"},
            {"username", "email", "password", "password2", "role"},
        ),
        (
            "PATCH",
            "/api/merchant/",
            {"business_name": "", "time_zone": "x", "home_currency": "x", "email": "x", "phone": "x", "grace_days": 99},
            {"business_name", "time_zone", "home_currency", "email", "phone", "grace_days"},
        ),
        ("PATCH", "/api/profile/", {"name": "a\nb", "phone": "x", "language": "xx"}, {"name", "phone", "language"}),
        ("POST", "/api/webhook-endpoints/", {"url": "x", "types": ["x"]}, {"url", "types/0"}),
        (
            "POST",
            "/api/plans/{plan}/payments/",
            {
                "amount": "x",
                "method": "gold",
                "received_on": "x",
                "reason": "a\nb",
                "external_id": "",
                "metadata": {"": ""},
            },
            {"amount", "method", "received_on", "reason", "external_id", "metadata/"},
        ),
        (
            "POST",
            "/api/plans/{plan}/refunds/",
            {"amount": "x", "reason": "", "external_id": "", "metadata": {"": ""}},
            {"amount", "reason", "external_id", "metadata/"},
        ),
    ],
)
def test_all_faults_of_a_body_come_at_once(
    amal: Person, omar: Person, method: str, where: str, body: dict[str, Any], pointers: set[str]
) -> None:
    """Those of types and unknown fields, which the parser finds, with those that the service finds."""
    where = where.format(plan=create_plan(amal, omar.email)["id"])
    refusal = problem(amal.api.call(method, where, body | {"colour": "red"}), 422, "invalid")
    assert {fault["pointer"] for fault in refusal["errors"]} == {f"#/{name}" for name in pointers | {"colour"}}
