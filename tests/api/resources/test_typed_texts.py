"""Every field for a typed text, and every field for an email, accepts and refuses the same over the API as on pages."""

import json
from pathlib import Path
from typing import Any

import pytest

from portal.domain import clock, typed_text
from portal.services import mail_limits
from tests.api import Api, Person, a_name, create_plan, customer, problem
from tests.fixtures.people import PASSWORD

CASES = Path(__file__).parents[2] / "cases"
TEXTS: dict[str, Any] = json.loads((CASES / "texts.json").read_text())
EMAILS: dict[str, Any] = json.loads((CASES / "emails.json").read_text())
ACCEPTED: dict[str, str] = {text: typed_text.read(text) for text in TEXTS["accept"]} | TEXTS["accept_trimmed"]
REFUSED: list[str] = TEXTS["refuse"] + TEXTS["refuse_too_long"]
TERMS = {"total_amount": "10.00", "num_installments": 1, "start_date": "2199-01-01"}
CASH = {"amount": "0.01", "method": "cash"}
FIELDS = (
    ("description", "/api/plans/", TERMS),
    ("reason", "/api/plans/{plan}/refunds/", {"amount": "0.01"}),
    ("reason", "/api/plans/{plan}/credits/", {"amount": "0.01"}),
    ("reason", "/api/plans/{plan}/payments/", CASH),
    ("reference", "/api/plans/{plan}/payments/", CASH),
    ("reason", "/api/payments/{cash}/void/", {}),
    ("reason", "/api/plans/{plan}/write-off/", {}),
    ("reason", "/api/plans/{plan}/cancel/", {}),
    ("reason", "/api/plans/{plan}/reschedule/", {"how": "shift", "days": 1}),
)


def register(api: Api, **more: str) -> Any:
    name = a_name("shop")
    account = {"username": name, "email": f"{name}@example.com", "password": PASSWORD, "password2": PASSWORD}
    return api.post("/auth/register/", account | {"role": "merchant"} | more)


@pytest.mark.parametrize(
    ("name", "address", "beside"),
    [FIELDS[0], *(pytest.param(*field, marks=pytest.mark.long) for field in FIELDS[1:])],
)
def test_a_field_accepts_and_refuses_the_texts_of_every_script(
    api: Api, amal: Person, name: str, address: str, beside: dict[str, Any]
) -> None:
    omar = customer(api)
    plan = create_plan(amal, omar.email, start_date="2199-01-01")
    paid = omar.api.post(f"/api/plans/installments/{plan['installments'][0]['id']}/pay/", {}).json()
    on = {"received_on": clock.today("Asia/Riyadh").isoformat()}
    cash = amal.api.post(f"/api/plans/{plan['id']}/payments/", CASH | on).json()
    address = address.format(plan=plan["id"], payment=paid["payment"]["id"], cash=cash["id"])
    beside = beside | ({"customer_email": omar.email} if name == "description" else {}) | (on if beside is CASH else {})
    for typed in REFUSED:
        refused = problem(amal.api.post(address, beside | {name: typed}), 422, refusal_code(typed))
        assert [fault["pointer"] for fault in refused["errors"]] == [f"#/{name}"], ascii(typed)
    for typed, stored in ACCEPTED.items():
        response = amal.api.post(address, beside | {name: typed})
        # A plan is cancelled and written off once only: the second request fails for its state, not for its text.
        assert response.status_code in (200, 201, 409), (ascii(typed), response.text)
        if response.status_code == 201 and name in response.json():
            assert response.json()[name] == stored
    surrogate = json.dumps(beside | {name: "a\ud800"}).encode()  # the escape of half a pair
    problem(amal.api.post(address, surrogate, Content_Type="application/json"), 400, "unreadable")


@pytest.mark.long
def test_an_external_id_has_the_same_rule_and_metadata_is_kept_as_it_is(api: Api, amal: Person) -> None:
    omar = customer(api)
    for typed in REFUSED:
        refused = problem(amal.api.post("/api/plans/", plan_of(omar, external_id=typed)), 422, refusal_code(typed))
        assert [fault["pointer"] for fault in refused["errors"]] == ["#/external_id"], ascii(typed)
    problem(amal.api.post("/api/plans/", plan_of(omar, external_id="x" * 101)), 422, "too_long")
    for typed, stored in ACCEPTED.items():
        if len(stored) > 100:
            continue
        first = amal.api.post("/api/plans/", plan_of(omar, external_id=typed))
        assert (first.status_code, first.json()["external_id"]) == (201, stored), ascii(typed)
        again = amal.api.post("/api/plans/", plan_of(omar, external_id=stored))
        assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    for text in (*ACCEPTED, *REFUSED):
        if "\x00" not in text:
            made = amal.api.post("/api/plans/", plan_of(omar, metadata={text[:40]: text}))
            assert made.json()["metadata"] == {text[:40]: text}, ascii(text)


@pytest.mark.long
def test_a_registration_has_the_same_rule_for_the_business_name(api: Api) -> None:
    for typed in ACCEPTED:
        assert register(api, business_name=typed).status_code == 201, ascii(typed)
    for typed in REFUSED:
        refused = problem(register(api, business_name=typed), 422, refusal_code(typed))
        assert [fault["pointer"] for fault in refused["errors"]] == ["#/business_name"]


def test_an_email_that_would_become_another_is_refused(api: Api, amal: Person) -> None:
    for email in EMAILS["refuse"]:
        code = "bad_text" if "\x00" in email else "bad_email"
        problem(register(api, email=email), 422, code)
        problem(amal.api.post("/api/plans/", TERMS | {"customer_email": email}), 422, code)
        problem(amal.api.post("/api/plans/preview/", TERMS | {"customer_email": email}), 422, code)


def test_spellings_of_one_email_are_one_customer_and_other_emails_are_others(
    api: Api, amal: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bound in ("NEW_BUSINESS", "FROM_ONE_BUSINESS", "IN_ALL"):
        monkeypatch.setattr(mail_limits, bound, 1000)
    for first, second in EMAILS["same"]:
        assert customer_of(amal, first) == customer_of(amal, second)
        listed = amal.api.session.get(
            f"{api.url}/api/plans/",
            params={"customer_email": second},
            headers={"Authorization": f"Bearer {amal.api.token}"},
        )
        assert {plan["customer"] for plan in listed.json()} == {customer_of(amal, first)}
    for first, second in EMAILS["different"]:
        assert customer_of(amal, first) != customer_of(amal, second)
    for email in EMAILS["accept"]:
        assert create_plan(amal, email)["customer_email"]


def test_an_account_of_a_lookalike_email_sees_no_plan_of_the_email_that_it_resembles(api: Api, amal: Person) -> None:
    """Each registers and signs in by email, in any spelling of it."""
    create_plan(amal, "info@fass.example.com")
    assert not register(api, email="INFO@fass.example.com", role="customer").json()["email_proven"]
    assert register(api, email="info@faß.example.com", role="customer").status_code == 201
    for spelling in ("info@faß.example.com", "INFO@xn--fa-hia.example.com"):
        pair = api.post("/token/", {"username": spelling, "password": PASSWORD})
        assert pair.status_code == 200
        assert api.as_(pair.json()["access"]).get("/api/plans/").json() == []
    pair = api.post("/token/", {"username": "info@fass.example.com", "password": PASSWORD}).json()
    problem(api.as_(pair["access"]).get("/api/plans/"), 403, "email_unproven")
    problem(register(api, email="info@xn--fa-hia.example.com", role="customer"), 422, "email_taken")


def plan_of(customer: Person, **more: Any) -> dict[str, Any]:
    """The body of a new plan."""
    return TERMS | {"customer_email": customer.email} | more


def refusal_code(typed: str) -> str:
    """The code of this refusal."""
    if "\x00" in typed:
        return "bad_text"
    try:
        typed_text.read(typed)
    except typed_text.BadText as bad:
        return bad.reason
    raise AssertionError(ascii(typed))


def customer_of(amal: Person, email: str) -> int:
    """The customer of a new plan for this email."""
    customer_id: int = create_plan(amal, email)["customer"]
    return customer_id
