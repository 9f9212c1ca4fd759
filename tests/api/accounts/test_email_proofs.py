"""Registration and proof of an email by the API alone."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from portal.domain import permissions
from portal.domain.permissions import GIVEN_TO_KEYS
from portal.extensions import db
from portal.models import EmailProof, User
from portal.services.accounts import api_keys, proofs
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from tests.api import Api, a_name, create_plan, merchant, problem, sign_in
from tests.fixtures.people import PASSWORD, today_of
from tests.fixtures.proofs import confirming


@pytest.fixture
def confirmed(app: Flask) -> Iterator[None]:
    """EMAIL_CONFIRMATION=required."""
    with confirming(app):
        yield


def register(api: Api, email: str = "", role: str = "customer") -> dict[str, Any]:
    name = a_name("nadia")
    account = {"username": name, "email": email or f"{name}@example.com", "password": PASSWORD, "password2": PASSWORD}
    response = api.as_(None).post("/auth/register/", {**account, "role": role})
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


def code_for(app: Flask, email: str) -> str:
    """The code of the newest mail, made again as the mail makes it."""
    with app.app_context():
        newest = db.select(EmailProof.id).where(EmailProof.email == email).order_by(EmailProof.id.desc()).limit(1)
        issued = proofs.issue(db.session.scalar(newest) or 0)
        assert issued is not None
        assert issued.code is not None
        return issued.code


def test_an_account_proves_its_email_by_code(app: Flask, api: Api, confirmed: None) -> None:
    account = register(api)
    assert account["email_proven"] is False
    nadia = sign_in(api, account)
    me = nadia.api.get("/auth/me/").json()
    assert (me["email_proven"], me["role"], me["merchant"], me["memberships"]) == (False, "customer", None, [])
    for address in ("/api/plans/", "/api/payments/", "/api/payment-methods/", "/api/analytics/dashboard/"):
        problem(nadia.api.get(address), 403, "email_unproven")
    wrong = problem(nadia.api.post("/auth/email/prove/", {"code": "no code"}), 422, "wrong_code")
    assert [fault["pointer"] for fault in wrong["errors"]] == ["#/code"]
    proven = nadia.api.post("/auth/email/prove/", {"code": code_for(app, nadia.email)})
    assert (proven.status_code, proven.json()) == (200, account | {"email_proven": True})
    assert nadia.api.get("/api/plans/").json() == []
    assert nadia.api.get("/auth/me/").json()["email_proven"] is True
    problem(nadia.api.post("/auth/email/proofs/"), 409, "already_proven")


def test_a_new_merchant_keeps_the_hat_of_the_registration(app: Flask, api: Api, confirmed: None) -> None:
    account = register(api, role="merchant")
    amal = sign_in(api, account)
    me = amal.api.get("/auth/me/").json()
    assert (me["role"], me["merchant"]) == ("merchant", None)
    assert [membership["role"] for membership in me["memberships"]] == ["owner"]
    problem(amal.api.post("/api/plans/", {}), 403, "email_unproven")
    amal.api.post("/auth/email/prove/", {"code": code_for(app, amal.email)})
    me = amal.api.get("/auth/me/").json()
    assert (me["role"], me["merchant"]) == ("merchant", amal.id)
    create_plan(amal, "omar@example.com")


def test_known_and_unknown_emails_get_the_same_answer(app: Flask, api: Api, confirmed: None) -> None:
    known = register(api)
    sign_in(api, known).api.post("/auth/email/prove/", {"code": code_for(app, known["email"])})
    first, second = register(api, known["email"].upper()), register(api)
    assert {**first, "id": 0, "username": "", "email": ""} == {**second, "id": 0, "username": "", "email": ""}
    for account in (first, second):
        person = sign_in(api, account)
        assert person.api.post("/auth/email/proofs/").json()["email"] == account["email"]
        problem(person.api.post("/auth/email/prove/", {"code": "000 00x"}), 422, "wrong_code")


def test_without_confirmation_a_taken_email_is_refused(api: Api) -> None:
    amal = merchant(api)
    taken = {"username": a_name("again"), "email": amal.email, "password": PASSWORD, "password2": PASSWORD}
    problem(api.as_(None).post("/auth/register/", {**taken, "role": "customer"}), 422, "email_taken")


def test_an_account_whose_email_has_plans_signs_in_again_after_the_proof(app: Flask, api: Api) -> None:
    amal = merchant(api)
    email = f"{a_name('nadia')}@example.com"
    with app.app_context():
        owner = permissions.member(amal.id, amal.id, "owner")
        plan_id = plans.open_plan(owner, NewPlan(email, 60_00, 2, today_of(amal.id))).plan_id
    account = register(api, email)
    nadia = sign_in(api, account)
    problem(nadia.api.get(f"/api/plans/{plan_id}/"), 403, "email_unproven")
    proven = nadia.api.post("/auth/email/prove/", {"code": code_for(app, email)}).json()
    assert proven["id"] != account["id"]
    problem(nadia.api.get("/auth/me/"), 401, "bad_token")
    again = sign_in(api, proven)
    assert again.api.get(f"/api/plans/{plan_id}/").json()["customer_email"] == email


def test_an_email_is_corrected_and_a_registration_removed(app: Flask, api: Api, confirmed: None) -> None:
    nadia = sign_in(api, register(api, "nadai@example.com"))
    problem(nadia.api.post("/auth/email/correct/", {"email": "no email"}), 422, "bad_email")
    corrected = nadia.api.post("/auth/email/correct/", {"email": "nadia@example.com"}).json()
    assert (corrected["email"], corrected["email_proven"]) == ("nadia@example.com", False)
    assert nadia.api.call("DELETE", "/auth/registration/").status_code == 204
    problem(nadia.api.get("/auth/me/"), 401, "bad_token")
    with app.app_context():
        assert db.session.scalar(db.select(User.id).where(User.has_email("nadia@example.com"))) is None


def test_the_bounds_answer_429_with_a_time_to_wait(api: Api, confirmed: None) -> None:
    nadia = sign_in(api, register(api))  # the first mail
    assert [nadia.api.post("/auth/email/proofs/").status_code for _ in range(4)] == [200] * 4
    refused = nadia.api.post("/auth/email/proofs/")
    problem(refused, 429, "mail_limit")
    assert refused.headers["Retry-After"] == "3600"


def test_an_account_never_removes_itself_this_way_and_a_key_proves_nothing(app: Flask, api: Api) -> None:
    amal = merchant(api)
    problem(amal.api.call("DELETE", "/auth/registration/"), 404, "not_found")
    with app.app_context():
        key = api_keys.create(permissions.member(amal.id, amal.id, "owner"), name="Shop", given=GIVEN_TO_KEYS)
    problem(api.as_(key).post("/auth/email/proofs/"), 403, "forbidden")
    problem(api.as_(key).post("/auth/email/prove/", {"code": "123456"}), 403, "forbidden")
