"""The links of a plan and the correction of its email over the API."""

from typing import Any

import pytest
from flask import Flask

from portal.extensions import db
from portal.models import IdempotencyKey
from portal.services.plans import invitations
from tests.api import Api, Person, a_name, create_plan, customer, merchant, problem
from tests.fixtures import people


@pytest.fixture
def amal(api: Api) -> Person:
    return merchant(api)


@pytest.fixture
def invited(amal: Person) -> dict[str, Any]:
    """A plan for an email without an account."""
    return create_plan(amal, f"{a_name('layla')}@example.com")


def links(amal: Person, plan: dict[str, Any]) -> dict[str, dict[str, Any]]:
    response = amal.api.get(f"/api/plans/{plan['id']}/invitations/")
    assert response.status_code == 200, response.text
    return {link["kind"]: link for link in response.json()}


def test_the_pay_link_is_answered_and_the_customers_is_not(app: Flask, amal: Person, invited: dict[str, Any]) -> None:
    where = f"/api/plans/{invited['id']}/invitations/"
    with app.app_context():
        mailed, pay_link = people.token_of(invited["id"]) or "", people.token_of(invited["id"], "pay")
    shown = links(amal, invited)
    assert shown["pay"]["url"].endswith(f"/invitations/{pay_link}") and shown["pay"]["works"]
    assert shown["customer"]["url"] is None and shown["customer"]["works"] and shown["customer"]["opened_at"] is None
    answers = [amal.api.get(where), amal.api.post(where, {"kind": "customer"}), amal.api.post(where, {"kind": "pay"})]
    assert [answer.status_code for answer in answers] == [200, 201, 201]
    with app.app_context():
        renewed = people.token_of(invited["id"]) or ""
        assert invitations.find(mailed) is None and invitations.find(renewed)
    for answer in [*answers, amal.api.get(where), amal.api.get(f"/api/plans/{invited['id']}/")]:
        assert mailed not in answer.text and renewed not in answer.text


def test_revoking_ends_one_kind(amal: Person, invited: dict[str, Any]) -> None:
    where = f"/api/plans/{invited['id']}/invitations/revoke/"
    for _ in range(2):
        assert amal.api.post(where, {"kind": "pay"}).json() == {"kind": "pay"}
    shown = links(amal, invited)
    assert (shown["pay"]["works"], shown["pay"]["url"], shown["customer"]["works"]) == (False, None, True)
    for body in ({}, {"kind": "claim"}, {"kind": None}):
        assert amal.api.post(where, body).status_code == 422


def test_a_customer_with_an_account_has_no_links(api: Api, amal: Person) -> None:
    plan = create_plan(amal, customer(api).email)
    assert links(amal, plan) == {}
    for kind in ("pay", "customer"):
        problem(amal.api.post(f"/api/plans/{plan['id']}/invitations/", {"kind": kind}), 409, "already_claimed")


def test_a_key_makes_one_link(app: Flask, amal: Person, invited: dict[str, Any]) -> None:
    where = f"/api/plans/{invited['id']}/invitations/"
    first, again = (amal.api.post(where, {"kind": "pay"}, Idempotency_Key="once") for _ in range(2))
    assert first.content == again.content and again.headers["Idempotent-Replayed"] == "true"
    with app.app_context():
        stored = db.session.scalars(db.select(IdempotencyKey).where(IdempotencyKey.key == "once")).all()
        token = people.token_of(invited["id"], "pay") or ""
        assert not [row for row in stored if token in str(row.result)]


def test_invitations_beyond_the_limits_are_422_at_the_email(amal: Person) -> None:
    email = f"{a_name('layla')}@example.com"
    for _ in range(3):
        plan = create_plan(amal, email)
    terms = {"total_amount": "60.00", "num_installments": 2, "start_date": "2199-01-01"}
    refused = problem(amal.api.post("/api/plans/", {"customer_email": email, **terms}), 422, "mail_limit")
    assert [fault["pointer"] for fault in refused["errors"]] == ["#/customer_email"]
    problem(amal.api.post(f"/api/plans/{plan['id']}/invitations/", {"kind": "customer"}), 422, "mail_limit")
    for _ in range(17):
        create_plan(amal, f"{a_name('huda')}@example.com")
    one_more = {"customer_email": f"{a_name('huda')}@example.com", **terms}
    refused = problem(amal.api.post("/api/plans/", one_more), 422, "plan_limit")
    assert "20 new customers a day" in refused["errors"][0]["detail"]


def test_the_email_of_a_plan_is_corrected_once_for_a_key(amal: Person, invited: dict[str, Any]) -> None:
    where, right = f"/api/plans/{invited['id']}/customer-email/", f"{a_name('layla')}@example.com"
    first, again = (amal.api.post(where, {"customer_email": right}, Idempotency_Key="typo") for _ in range(2))
    assert first.status_code == 200 and first.content == again.content
    assert first.json()["customer_email"] == right and first.json()["customer"] != invited["customer"]
    assert amal.api.get(f"/api/plans/{invited['id']}/").json()["customer_email"] == right
    problem(amal.api.post(where, {"customer_email": right}), 422, "same_email")
    problem(amal.api.post(where, {"customer_email": amal.email}), 422, "not_a_customer")
    problem(amal.api.post(where, {"customer_email": "x"}), 422, "bad_email")
    problem(amal.api.post(where, {}), 422, "required")


def test_a_paid_plan_keeps_its_email(api: Api, amal: Person) -> None:
    omar = customer(api)
    plan = create_plan(amal, omar.email)
    omar.api.post(f"/api/plans/installments/{plan['installments'][0]['id']}/pay/", {})
    where = f"/api/plans/{plan['id']}/customer-email/"
    problem(amal.api.post(where, {"customer_email": f"{a_name('layla')}@example.com"}), 409, "email_fixed")
    assert omar.api.post(where, {"customer_email": "x@example.com"}).status_code == 403
