"""Registering, as a merchant and as a customer."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func
from werkzeug.test import TestResponse

from portal.extensions import db
from portal.models import Merchant, User
from tests.fixtures import people
from tests.fixtures.people import PASSWORD
from tests.web import browser_of

AMAL = {
    "role": "merchant",
    "business_name": "Amal's Bakery",
    "home_currency": "SAR",
    "time_zone": "Asia/Riyadh",
    "username": "amal",
    "email": "amal@example.com",
    "password": PASSWORD,
}
OMAR = {"role": "customer", "username": "omar", "email": "omar@example.com", "password": PASSWORD}


def accounts(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(db.select(func.count()).select_from(User)) or 0


def beside(answer: TestResponse, field: str) -> str:
    """The message under a field."""
    found = re.search(rf'id="{field}-error">.*?<span>(.*?)</span>', answer.text, re.S)
    return found[1] if found else ""


def test_amal_registers_and_is_at_her_dashboard(app: Flask, client: FlaskClient) -> None:
    answer = client.post("/register", data=AMAL)
    assert (answer.status_code, answer.location) == (303, "/dashboard")
    assert client.get("/settings").status_code == 200
    with app.app_context():
        merchant = db.session.scalars(db.select(Merchant)).one()
        found = (merchant.business_name, merchant.home_currency, merchant.time_zone, merchant.grace_days)
        assert found == ("Amal's Bakery", "SAR", "Asia/Riyadh", 0)


def test_omar_registers_and_is_at_his_home_whatever_the_merchants_fields_hold(app: Flask, client: FlaskClient) -> None:
    answer = client.post("/register", data=OMAR | {"business_name": "", "home_currency": "USD", "time_zone": "UTC"})
    assert (answer.status_code, answer.location) == (303, "/home")
    with app.app_context():
        assert db.session.scalar(db.select(func.count()).select_from(Merchant)) == 0


def test_the_form_begins_with_usd_and_utc_for_a_merchant(client: FlaskClient) -> None:
    form = client.get("/register").text
    assert '<option selected value="USD">USD · US Dollar</option>' in form
    assert '<option selected value="UTC">' in form
    assert re.search(r'checked[^>]*value="merchant"', form)
    assert re.search(r'checked[^>]*value="customer"', client.get("/register?role=customer").text)
    assert client.get("/register?role=operator").status_code == 200


def test_everything_that_is_missing_is_named_at_once(app: Flask, client: FlaskClient) -> None:
    answer = client.post("/register", data={"role": "merchant"})
    assert answer.status_code == 422
    assert beside(answer, "business_name") == "Enter the name that customers know you by."
    assert beside(answer, "username") == "Choose a username."
    assert beside(answer, "email") == "Enter an email address."
    assert beside(answer, "password") == "Use at least 8 characters."
    assert "There are 4 problems" in answer.text
    assert "<title>Error: " in answer.text
    assert accounts(app) == 0


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("email", "not an email", "Enter an email address like name@example.com."),
        ("email", "amal@example.com\x00", "This holds a character that can&#39;t be used."),
        ("username", "amal bakes", "Use up to 150 letters"),
        ("username", "am\x00al", "This holds a character that can&#39;t be used."),
        ("username", "x" * 100_000, "Use up to 150 letters"),
        ("username", "badr@example.com", "A username with an @ has to be your own email."),
        ("password", "short", "Use at least 8 characters."),
        ("password", "password1", "This password is among the most common ones."),
        ("password", "seven\x00boats", "This holds a character that can&#39;t be used."),
        ("password", "x" * 129, "Use at most 128 characters."),
        ("business_name", "x" * 121, "Use at most 120 letters"),
        ("business_name", "Amal\x00", "This holds a character that can&#39;t be used."),
        ("home_currency", "XXX", "Choose a currency from the list."),
        ("time_zone", "Mars/Phobos", "Choose a time zone from the list."),
    ],
)
def test_what_cannot_be_used_is_said_beside_its_field_and_the_rest_is_kept(
    app: Flask, client: FlaskClient, field: str, value: str, message: str
) -> None:
    answer = client.post("/register", data=AMAL | {field: value})
    assert answer.status_code == 422
    assert message in beside(answer, field)
    if field != "business_name":
        assert 'value="Amal&#39;s Bakery"' in answer.text
    if field != "time_zone":
        assert '<option selected value="Asia/Riyadh">' in answer.text
    assert PASSWORD not in answer.text
    assert accounts(app) == 0


@pytest.mark.parametrize("role", ["operator", "admin", "\x00"])
def test_nobody_registers_as_an_operator(app: Flask, client: FlaskClient, role: str) -> None:
    client.post("/register", data=AMAL | {"role": role})
    with app.app_context():
        assert db.session.scalar(db.select(func.count()).select_from(User).where(User.role == "operator")) == 0


def test_a_name_or_email_that_somebody_has_is_refused_whatever_its_case(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        people.amal()
    answer = client.post("/register", data=OMAR | {"username": "AMAL", "email": "Amal@Example.com"})
    assert answer.status_code == 422
    assert beside(answer, "username") == "This username is taken. Choose another."
    assert beside(answer, "email") == "There is an account with this email already. Sign in instead."


def test_ones_own_email_in_capitals_is_a_name_in_every_script(app: Flask, client: FlaskClient) -> None:
    theirs = client.post("/register", data=OMAR | {"username": "ΑΣ@example.com", "email": "ασπ@example.com"})
    assert theirs.status_code == 422 and "your own email" in beside(theirs, "username")
    assert client.post("/register", data=OMAR | {"username": "ΑΣ@example.com", "email": "ας@example.com"}).location
    again = app.test_client().post("/register", data=OMAR | {"username": "aspa", "email": "ΑΣ@example.com"})
    assert again.status_code == 422 and beside(again, "email")
    assert accounts(app) == 1


def test_an_invited_email_cannot_be_registered_without_its_link(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        people.a_plan(people.amal(), "layla@example.com")
    answer = client.post("/register", data=OMAR | {"username": "layla", "email": "layla@example.com"})
    assert answer.status_code == 422
    assert "A fresh link is on its way" in beside(answer, "email")
    assert client.get("/home").status_code == 303


def test_a_body_that_is_no_form_is_an_empty_form(app: Flask, client: FlaskClient) -> None:
    assert client.post("/register", json=AMAL | {"username": 5}).status_code == 422
    assert client.post("/register", json=[1, 2]).status_code == 422
    assert client.post("/register", data=b"\xff\xfe\x00=%ff", content_type="text/plain").status_code == 422
    assert accounts(app) == 0


def test_a_file_in_place_of_a_text_is_no_text(app: Flask, client: FlaskClient) -> None:
    with open(__file__, "rb") as sent:
        answer = client.post("/register", data=AMAL | {"username": (sent, "name.txt")})
    assert answer.status_code == 422
    assert beside(answer, "username") == "Choose a username."


def test_bad_utf8_a_megabyte_and_a_million_fields_are_refused(app: Flask, client: FlaskClient) -> None:
    form = "application/x-www-form-urlencoded"
    assert client.post("/register", data=b"role=customer&username=%ff%fe", content_type=form).status_code == 422
    assert client.post("/register", data={"username": "x" * 2**20}).status_code == 413
    assert client.post("/register", data=b"a&" * 10**6, content_type=form).status_code == 413
    many = {f"field{number}": "x" for number in range(300)}
    assert client.post("/register", data=many, content_type="multipart/form-data").status_code == 413
    assert accounts(app) == 0


def test_who_is_signed_in_does_not_register_by_accident(app: Flask, database: str) -> None:
    with app.app_context():
        people.omar()
    assert browser_of(app, "omar").get("/register").location == "/home"


def test_one_address_may_register_thirty_times_a_minute(client: FlaskClient, limits: None) -> None:
    answers = [client.post("/register", data={}) for _ in range(31)]
    assert [answer.status_code for answer in answers] == [422] * 30 + [429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
