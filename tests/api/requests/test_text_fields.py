"""Every text that a request's body holds has a row here: a typed text with the common rule, or of another kind."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from flask import Flask

from portal.domain import clock
from portal.services.accounts import merchant_settings
from portal.services.operations import merchant_deactivations
from tests import first_in_time
from tests.api import Api, Person, create_plan, merchant, problem
from tests.api.resources.test_typed_texts import ACCEPTED, CASH, FIELDS, REFUSED, TERMS, refusal_code
from tests.fixtures import operations
from tests.fixtures.agreements import acceptance
from tests.web.imports import matrix_rows

ELSEWHERE: Final = {
    "post /api/plans/ external_id",
    "post /auth/register/ business_name",
    *(f"post {address.format(plan='{plan_id}', cash='{payment_id}')} {name}" for name, address, _beside in FIELDS),
}
"""The fields of test_typed_texts.py."""

NOT_TYPED_TEXTS: Final = {
    "email": {
        "post /api/plan-drafts/ customer_email",
        "post /api/plans/ customer_email",
        "post /api/plans/preview/ customer_email",
        "post /api/plans/{plan_id}/customer-email/ customer_email",
        "patch /api/merchant/ email",
        "post /auth/email/correct/ email",
        "post /auth/register/ email",
    },
    "phone": {
        "patch /api/customers/{customer_id}/ phone",
        "patch /api/contacts/{person_id}/ phone",
        "patch /api/merchant/ phone",
        "patch /api/profile/ phone",
    },
    "username, password or one-time code": {
        *(f"post /auth/register/ {name}" for name in ("username", "password", "password2")),
        *(f"post /token/ {name}" for name in ("username", "password", "code")),
        "post /auth/email/prove/ code",
    },
    "one of a list": {
        *(f"patch /api/merchant/ {name}" for name in ("home_currency", "time_zone")),
        *(f"post /auth/register/ {name}" for name in ("home_currency", "time_zone")),
        "patch /api/profile/ language",
        "post /api/payment-methods/ card",
        "post /api/shops/{merchant_id}/pay/ payment_method",
        "post /api/plans/installments/{installment_id}/pay/ payment_method",
        "post /api/plans/{plan_id}/pay/ payment_method",
        "put /api/plans/{plan_id}/automatic-payment/ payment_method",
    },
    "address of a server": {
        "post /api/webhook-endpoints/ url",
        "patch /api/webhook-endpoints/{endpoint_name}/ url",
    },
    "asked of the gateway, and not kept": {"post /api/payments/{payment_id}/reverse/ reason"},
}
"""Fields of other kinds, which have rules and tests of their own."""

OF_A_CUSTOMER: Final = (("name", 200), ("note", 500))
OF_A_MERCHANT: Final = (("business_name", 200), ("address", 300), ("tax_number", 40))
OWN_IDS: Final = (("/api/plans/{plan}/payments/", CASH), ("/api/plans/{plan}/refunds/", {"amount": "0.01"}))
HERE: Final = {
    *(f"patch /api/customers/{{customer_id}}/ {name}" for name, _limit in OF_A_CUSTOMER),
    *(f"patch /api/contacts/{{person_id}}/ {name}" for name, _limit in OF_A_CUSTOMER),
    "patch /api/profile/ name",
    *(f"patch /api/merchant/ {name}" for name, _limit in OF_A_MERCHANT),
    *(f"post {address.format(plan='{plan_id}')} external_id" for address, _beside in OWN_IDS),
    "post /api/plan-drafts/ description",
    "post /api/plan-drafts/ external_id",
    "post /api/merchant/objections/ reason",
    "post /api/plans/{plan_id}/dispute/answer/ answer",
}
LONGEST_TYPED: Final = 1000
"""The bound of every text's length in the document (schemas/kinds.py)."""


def texts_in(schemas: dict[str, Any], schema: dict[str, Any], name: str = "") -> Iterator[str]:
    """The names of the texts of free form in a schema."""
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rsplit("/", 1)[1]]
    for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from texts_in(schemas, part, name)
    if "items" in schema:
        yield from texts_in(schemas, schema["items"], name)
    for inner, part in schema.get("properties", {}).items():
        yield from texts_in(schemas, part, inner)
    kinds = schema.get("type", ())
    if "string" in ([kinds] if isinstance(kinds, str) else kinds) and schema.get("maxLength") == LONGEST_TYPED:
        yield name


def test_every_text_of_every_body_has_a_row(app: Flask) -> None:
    document = app.test_client().get("/api/openapi.json").get_json()
    found = {
        f"{method} {path} {name}"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for content in operation.get("requestBody", {}).get("content", {}).values()
        for name in texts_in(document["components"]["schemas"], content["schema"])
    }
    others = [name for names in NOT_TYPED_TEXTS.values() for name in names]
    assert sorted(found) == sorted([*ELSEWHERE, *HERE, *others])


@pytest.fixture
def plan(amal: Person, omar: Person) -> dict[str, Any]:
    return create_plan(amal, omar.email, start_date="2199-01-01")


def refuses(send: Any, name: str, limit: int = 200, *, lines: bool = False) -> None:
    """`send` refuses each text that the rule refuses, with its code, and one that is too long for the field."""
    for typed in REFUSED:
        if refusal_code(typed) != "too_long" and not (lines and "\n" in typed):
            refused = problem(send(typed), 422, refusal_code(typed))
            assert [fault["pointer"] for fault in refused["errors"]] == [f"#/{name}"], ascii(typed)
    problem(send("W" * (limit + 1)), 422, "too_long")


def accepts(send: Any, name: str, limit: int = 200) -> None:
    """`send` answers with an object that has the text as it is stored."""
    for typed, stored in ACCEPTED.items():
        if len(stored) <= limit:
            response = send(typed)
            assert response.status_code in (200, 201), (ascii(typed), response.text)
            assert stored in values_of(response.json(), name), ascii(typed)


def values_of(answer: Any, name: str) -> list[str]:
    """The values of this name in an answer, at any depth."""
    if isinstance(answer, list):
        return [value for part in answer for value in values_of(part, name)]
    if not isinstance(answer, dict):
        return []
    here = [answer[name]] if name in answer else []
    return here + values_of(list(answer.values()), name)


@pytest.mark.parametrize(("name", "limit"), first_in_time(OF_A_CUSTOMER))
def test_the_words_of_a_business_about_its_customer(amal: Person, plan: dict[str, Any], name: str, limit: int) -> None:
    def send(typed: str) -> Any:
        return amal.api.call("PATCH", f"/api/customers/{plan['customer']}/", {name: typed})

    refuses(send, name, limit)
    accepts(send, name, limit)


@pytest.mark.parametrize(("name", "limit"), first_in_time(OF_A_CUSTOMER))
def test_the_words_of_a_business_about_an_imported_person(app: Flask, amal: Person, name: str, limit: int) -> None:
    with app.app_context():
        contact_id = matrix_rows.a_contact(amal.id)

    def send(typed: str) -> Any:
        return amal.api.call("PATCH", f"/api/contacts/{contact_id}/", {name: typed})

    refuses(send, name, limit)
    accepts(send, name, limit)


def test_the_name_of_a_person_in_their_profile(omar: Person) -> None:
    def send(typed: str) -> Any:
        return omar.api.call("PATCH", "/api/profile/", {"name": typed})

    refuses(send, "name")
    accepts(send, "name")


@pytest.mark.parametrize(("name", "limit"), first_in_time(OF_A_MERCHANT))
def test_the_words_of_a_business_about_itself(
    amal: Person, name: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merchant_settings, "MAX_RENAMES", len(ACCEPTED))

    def send(typed: str) -> Any:
        return amal.api.call("PATCH", "/api/merchant/", {name: typed})

    refuses(send, name, limit, lines=name == "address")
    accepts(send, name, limit)


@pytest.mark.parametrize(("address", "beside"), first_in_time(OWN_IDS))
def test_the_own_ids_of_payments_and_refunds(
    amal: Person, omar: Person, plan: dict[str, Any], address: str, beside: dict[str, Any]
) -> None:
    omar.api.post(f"/api/plans/installments/{plan['installments'][0]['id']}/pay/", {})
    on = {"received_on": clock.today("Asia/Riyadh").isoformat()} if beside is CASH else {}

    def send(typed: str) -> Any:
        body = beside | on | {"reason": "Why", "external_id": typed}
        return amal.api.post(address.format(plan=plan["id"]), body)

    refuses(send, "external_id", 100)
    accepts(send, "external_id", 100)


@pytest.mark.parametrize(("name", "limit"), [("description", 200), ("external_id", 100)])
def test_the_texts_of_a_draft(app: Flask, api: Api, name: str, limit: int) -> None:
    with operations.registration(app, "approval"):
        dana = merchant(api)

    def send(typed: str) -> Any:
        return dana.api.post("/api/plan-drafts/", TERMS | {"customer_email": "omar@example.com", name: typed})

    refuses(send, name, limit)
    accepts(send, name, limit)


def test_an_objection_and_an_answer_to_a_dispute(app: Flask, amal: Person, omar: Person) -> None:
    """Each is given once or a few times a day, so that one accepted text stands for the others."""
    with acceptance(app, "required"):
        disputed = f"/api/plans/{create_plan(amal, omar.email)['id']}/"
    assert omar.api.post(f"{disputed}dispute/").status_code == 200
    refuses(lambda typed: amal.api.post(f"{disputed}dispute/answer/", {"answer": typed}), "answer")
    assert amal.api.post(f"{disputed}dispute/answer/", {"answer": "\ufeff山田\u3000太郎"}).status_code == 200
    assert amal.api.get(f"{disputed}dispute").json()["answer"] == "山田\u3000太郎"
    with app.app_context():
        merchant_deactivations.deactivate(amal.id, actor=operations.olga(), reason="A complaint")
    refuses(lambda typed: amal.api.post("/api/merchant/objections/", {"reason": typed}), "reason")
    assert amal.api.post("/api/merchant/objections/", {"reason": "کتاب\u200cخانه"}).status_code == 200
    with app.app_context():
        assert operations.acts()[-1][2] == "کتاب\u200cخانه"
