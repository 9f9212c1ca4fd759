"""Pages of a business that waits for approval, is deactivated, or closes; and what its customers see."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.extensions import db
from portal.models import PlanDraft
from portal.services.operations import closings, merchant_deactivations
from tests.fixtures import operations, people
from tests.web import browser_of


def said(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def plan_form(browser: FlaskClient, email: str = "nadia@example.com") -> dict[str, str]:
    page = browser.get("/plans/new").text
    (key,) = re.findall(r'name="key"[^>]*value="([^"]+)"', page)
    (start,) = re.findall(r'name="start_date"[^>]*value="([^"]+)"', page)
    return {
        "key": key, "customer_email": email, "total_amount": "90", "num_installments": "3", "interval": "monthly",
        "start_date": start, "description": "Roses",
    }  # fmt: skip


def draft_count(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(db.select(db.func.count()).select_from(PlanDraft)) or 0


def test_a_plan_of_a_waiting_business_is_saved_as_a_draft_once(app: Flask, database: str) -> None:
    with app.app_context():
        operations.a_draft_merchant(app)
    browser = browser_of(app, "dana")
    assert "Your business waits for approval." in said(browser.get("/dashboard").text)
    form = plan_form(browser)
    for _ in range(2):
        answer = browser.post("/plans", data=form)
        assert answer.location == "/plans/drafts"
    assert draft_count(app) == 1
    page = browser.get("/plans/drafts").text
    assert "Draft saved." in page and "This plan waits for approval of your business." in page
    assert "nadia@example.com" in page and "SAR\xa090.00" in page and "Roses" in page
    wrong = browser.post("/plans", data=plan_form(browser, "no email"))
    assert wrong.status_code == 422 and "Roses" in wrong.text
    (draft_id,) = re.findall(r"/plans/drafts/(\d+)/discard", page)
    assert "The draft is deleted." in browser.post(f"/plans/drafts/{draft_id}/discard", follow_redirects=True).text
    assert draft_count(app) == 0


def test_registration_says_that_only_customers_register(app: Flask, database: str) -> None:
    with operations.registration(app, "closed"):
        browser = app.test_client()
        page = browser.get("/register?role=merchant").text
        assert "This installation takes no new businesses." in page and 'value="merchant"' not in page
        form = {"username": "dana", "email": "dana@example.com", "password": people.PASSWORD}
        refused = browser.post("/register", data=form | {"role": "merchant", "business_name": "Dana"})
        assert refused.status_code == 422 and "Register as a customer." in refused.text
        api = browser.post("/auth/register/", json=form | {"password2": people.PASSWORD, "role": "merchant"})
        assert api.status_code == 422 and api.get_json()["code"] == "merchants_closed"
        assert browser.post("/register", data=form | {"role": "customer"}).status_code == 303


def test_the_api_says_that_a_business_waits(app: Flask, database: str) -> None:
    with app.app_context():
        operations.a_draft_merchant(app)
    client = app.test_client()
    token = client.post("/token/", json={"username": "dana", "password": people.PASSWORD}).get_json()["access"]
    body = {
        "customer_email": "nadia@example.com",
        "total_amount": "90",
        "num_installments": 3,
        "start_date": "2030-01-01",
    }
    answer = client.post("/api/plans/", json=body, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.get_json()["code"]) == (409, "merchant_draft")


@pytest.fixture
def stopped(app: Flask, database: str) -> dict[str, int]:
    """Amal's business, deactivated, with a plan of Omar and one of Nadia, who has no account."""
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        plan_id = people.a_plan(amal, first=0)
        merchant_deactivations.deactivate(amal, actor=operations.olga(), reason="Fraud")
        return {"amal": amal, "omar": omar, "plan": plan_id, "first": people.installments_of(plan_id)[0].id}


def test_a_customer_sees_whom_to_ask_and_no_buttons_to_pay(app: Flask, stopped: dict[str, int]) -> None:
    browser = browser_of(app, "omar")
    for address in ("/home", f"/plans/{stopped['plan']}"):
        page = browser.get(address).text
        assert "Nothing can be paid now" in page and "qist@localhost" in page, address
        assert f"/installments/{stopped['first']}/payments" not in page, address
    page = browser.get(f"/plans/{stopped['plan']}/pay").text
    assert "can&#39;t take payments at present" in page and 'name="choice"' not in page
    data = {"key": "k" * 20, "shown": "3334"}
    refused = browser.post(f"/installments/{stopped['first']}/payments", data=data)
    assert refused.status_code == 409 and "Nothing was charged." in refused.text
    client = app.test_client()
    token = client.post("/token/", json={"username": "omar", "password": people.PASSWORD}).get_json()["access"]
    answer = client.post(
        f"/api/plans/installments/{stopped['first']}/pay/", json={}, headers={"Authorization": f"Bearer {token}"}
    )
    assert (answer.status_code, answer.get_json()["code"]) == (409, "merchant_deactivated")


def test_members_are_told_on_every_page_and_an_owner_objects(app: Flask, stopped: dict[str, int]) -> None:
    browser = browser_of(app, "amal")
    for address in ("/dashboard", "/plans", f"/plans/{stopped['plan']}", "/customers", "/payments", "/journal"):
        page = browser.get(address)
        assert page.status_code == 200 and "Your business is deactivated." in page.text, address
    refused = browser.get("/plans/new")
    assert refused.status_code == 403 and "This business is deactivated." in refused.text
    assert browser.post("/settings/objection", data={"reason": ""}).status_code == 422
    answer = browser.post("/settings/objection", data={"reason": "It was not us"}, follow_redirects=True)
    assert "Your objection is sent to the operators." in answer.text
    olga = browser_of(app, "olga").get(f"/operator/merchants/{stopped['amal']}").text
    assert "It was not us" in olga and "amal objected for" in said(olga)


def test_an_owner_closes_the_business_with_its_figures(app: Flask, database: str) -> None:
    with app.app_context():
        amal = people.amal()
        people.omar()
        people.a_plan(amal)
    browser = browser_of(app, "amal")
    page = browser.get("/settings/closing").text
    assert "Open plans 1" in said(page) and 'name="open_plans" value="1"' in page
    assert 'href="/settings/closing"' in browser.get("/settings").text
    for shown, status in (("", 422), ("x", 422), ("0", 409)):
        assert browser.post("/settings/closing", data={"open_plans": shown}).status_code == status
    answer = browser.post("/settings/closing", data={"open_plans": "1"}, follow_redirects=True)
    assert "Your business is closing." in answer.text
    assert "it makes no new plans" in browser.get("/plans/new").text
    assert browser.post("/settings/closing", data={"open_plans": "1"}).status_code == 409
    answer = browser.post("/settings/closing/stop", follow_redirects=True)
    assert "Your business goes on." in answer.text
    assert browser.post("/settings/closing/stop").status_code == 409


def test_a_closed_business_can_be_read(app: Flask, database: str) -> None:
    with app.app_context():
        amal = people.amal()
        closings.start(people.owner(amal), shown_plans=0)
        closings.end_closed()
    browser = browser_of(app, "amal")
    assert "Your business is closed." in browser.get("/plans").text
    refused = browser.get("/settings")
    assert refused.status_code == 403 and "This business is closed." in refused.text


def test_a_refund_of_a_deactivated_business_says_that_it_waits(app: Flask, stopped: dict[str, int]) -> None:
    with app.app_context():
        merchant_deactivations.reactivate(stopped["amal"], actor=None, reason="To pay")
        people.pay(stopped["first"], stopped["omar"])
        merchant_deactivations.deactivate(stopped["amal"], actor=None, reason="Fraud")
    browser, address = browser_of(app, "amal"), f"/plans/{stopped['plan']}/refund"
    form = {"amount": "5", "reason": "Broken", "payment": "newest"}
    page = browser.post(address, data=form | {"step": "check"}).text
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    answer = browser.post(address, data=form | hidden | {"step": "confirm"}, follow_redirects=True)
    assert "It goes back once an operator releases it." in answer.text
    token = (
        app.test_client().post("/token/", json={"username": "amal", "password": people.PASSWORD}).get_json()["access"]
    )
    headers = {"Authorization": f"Bearer {token}"}
    body = {"amount": "5", "reason": "Broken"}
    api = app.test_client().post(f"/api/plans/{stopped['plan']}/refunds/", json=body, headers=headers)
    assert (api.status_code, api.get_json()["refunding"]) == (202, "5.00")
