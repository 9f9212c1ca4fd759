"""A person's data as a file, erasure on the page, and how others see an erased person."""

import json

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from portal.extensions import db
from portal.services.adjustments import credits
from portal.services.mail import delivery
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from tests.fixtures import people
from tests.web import browser_of
from tests.web.acts import words

DATA, ERASURE = "/account/data", "/account/erasure"


@pytest.fixture
def ids(app: Flask, database: str) -> dict[str, int]:
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        new = NewPlan("omar@example.com", 100_00, 2, people.today_of(amal), notes={"margin": "a private note"})
        plan_id = plans.open_plan(people.owner(amal), new).plan_id
        for row in people.installments_of(plan_id)[:1]:
            people.pay(row.id, omar)
        credits.credit(plan_id, actor=people.owner(amal), amount=10_00, how="last", reason="Scratched")
        people.a_plan(amal, "sara@example.com")
        delivery.drain()
        db.session.remove()
    return {"amal": amal, "omar": omar, "plan": plan_id}


@pytest.fixture
def omar(app: Flask, ids: dict[str, int]) -> FlaskClient:
    return browser_of(app, "omar")


def pay_the_rest(app: Flask, ids: dict[str, int]) -> None:
    with app.app_context():
        for row in people.installments_of(ids["plan"]):
            if row.remaining:
                people.pay(row.id, ids["omar"])


def test_the_file_holds_everything_of_the_person_and_nothing_of_others(ids: dict[str, int], omar: FlaskClient) -> None:
    assert "Download your data" in words(omar.get(DATA))
    response = omar.get(f"{DATA}/file")
    assert response.headers["Content-Disposition"].startswith('attachment; filename="qist-my-data-')
    assert response.headers["Cache-Control"] == "no-store" and response.is_streamed
    data = json.loads(response.text)
    assert data["account"][0]["email"] == "omar@example.com"
    (plan,) = data["plans"]
    assert (plan["id"], plan["business"], plan["total"]) == (ids["plan"], "Amal's Bakery", "100.00")
    assert [row["amount"] for row in data["installments"]] == ["50.00", "50.00"]
    assert [(row["amount"], row["state"], row["method"]) for row in data["payments"]] == [
        ("50.00", "succeeded", "card")
    ]
    assert {row["kind"] for row in data["mails"]} == {"plan_credited", "plan_made", "receipt"}
    assert any("SAR 50.00" in row["text"] for row in data["mails"])
    assert {"plan.created", "payment.succeeded"} & {row["kind"] for row in data["events"]}
    assert len(data["sessions"]) == 1
    for other in ("private note", "sara@example.com", "amal@example.com", "token", "password_hash", "card_ok"):
        assert other not in response.text.replace("password_resets", ""), other


def test_the_owner_of_a_business_gets_no_customers(app: Flask, ids: dict[str, int]) -> None:
    response = browser_of(app, "amal").get(f"{DATA}/file")
    data = json.loads(response.text)
    assert [row["role"] for row in data["businesses"]] == ["owner"] and data["plans"] == []
    assert {row["kind"] for row in data["acts_for_businesses"]} >= {"plan.created"} or data["acts_for_businesses"]
    assert "omar" not in response.text and "sara" not in response.text


def test_an_erasure_waits_until_nothing_is_open(app: Flask, ids: dict[str, int], omar: FlaskClient) -> None:
    page = omar.get(ERASURE)
    assert "You have 1 open plan. It has to be paid or cancelled first." in words(page)
    assert "Erase my data" not in words(page)
    refused = omar.post(ERASURE, data={"password": people.PASSWORD})
    assert refused.status_code == 409 and "You have 1 open plan." in words(refused)
    assert omar.get("/home").status_code == 200


def test_a_person_is_erased_and_signed_out(app: Flask, ids: dict[str, int], omar: FlaskClient) -> None:
    pay_the_rest(app, ids)
    page = words(omar.get(ERASURE))
    assert "What goes, at once and for good" in page and "for 10 years" in page
    wrong = omar.post(ERASURE, data={"password": "seven green boots"})
    assert wrong.status_code == 422 and "This is not your current password." in words(wrong)
    assert omar.post(ERASURE, data={"password": ""}).status_code == 422
    done = omar.post(ERASURE, data={"password": people.PASSWORD})
    assert done.status_code == 303 and done.location == "/"
    assert "Your data is erased, and your account is closed." in words(omar.get("/"))
    assert omar.get("/home").location.startswith("/login")
    assert omar.post("/login", data={"login": "omar", "password": people.PASSWORD}).status_code == 401


def test_the_business_sees_an_erased_customer_on_every_page(app: Flask, ids: dict[str, int], omar: FlaskClient) -> None:
    pay_the_rest(app, ids)
    omar.post(ERASURE, data={"password": people.PASSWORD})
    amal = browser_of(app, "amal")
    for address in (
        "/dashboard", "/plans", "/customers", "/payments", "/installments", f"/plans/{ids['plan']}",
        f"/customers/{ids['omar']}", f"/plans/{ids['plan']}/statement",
    ):  # fmt: skip
        page = amal.get(address)
        assert page.status_code == 200, address
        assert "Erased customer" in words(page), address
        assert "erased.invalid" not in page.text and "omar" not in page.text, address
    assert "Link for the customer" not in words(amal.get(f"/plans/{ids['plan']}"))
    assert "erased.invalid" in amal.get("/customers.csv").text
    with app.app_context():
        assert db.session.scalar(text("SELECT count(*) FROM erasures")) == 1
