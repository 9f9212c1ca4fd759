"""Registering, as a merchant and as a customer."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func
from werkzeug.test import TestResponse

from portal.extensions import db
from portal.models import Merchant, User
from tests.fixtures import people, proofs
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


def error_beside(response: TestResponse, field: str) -> str:
    """The message under a field."""
    match = re.search(rf'id="{field}-error">.*?<span>(.*?)</span>', response.text, re.S)
    return match[1] if match else ""


def test_a_new_merchant_lands_on_the_dashboard(app: Flask, client: FlaskClient) -> None:
    response = client.post("/register", data=AMAL)
    assert (response.status_code, response.location) == (303, "/dashboard")
    assert client.get("/settings").status_code == 200
    with app.app_context():
        merchant = db.session.scalars(db.select(Merchant)).one()
        settings = (merchant.business_name, merchant.home_currency, merchant.time_zone, merchant.grace_days)
        assert settings == ("Amal's Bakery", "SAR", "Asia/Riyadh", 0)


def test_a_new_customer_lands_on_home_and_the_merchants_fields_are_ignored(app: Flask, client: FlaskClient) -> None:
    response = client.post("/register", data=OMAR | {"business_name": "", "home_currency": "USD", "time_zone": "UTC"})
    assert (response.status_code, response.location) == (303, "/home")
    with app.app_context():
        assert db.session.scalar(db.select(func.count()).select_from(Merchant)) == 0


def test_the_form_preselects_merchant_usd_and_utc(client: FlaskClient) -> None:
    form = client.get("/register", headers={"Accept-Language": "en"}).text
    assert '<option selected value="USD">USD · US Dollar</option>' in form
    assert '<option selected value="UTC">' in form
    assert re.search(r'checked[^>]*value="merchant"', form)
    assert re.search(r'checked[^>]*value="customer"', client.get("/register?role=customer").text)
    assert client.get("/register?role=operator").status_code == 200


def test_every_missing_field_is_reported_at_once(app: Flask, client: FlaskClient) -> None:
    response = client.post("/register", data={"role": "merchant"})
    assert response.status_code == 422
    assert error_beside(response, "business_name") == "Enter the name that customers know you by."
    assert error_beside(response, "username") == "Choose a username."
    assert error_beside(response, "email") == "Enter an email address."
    assert error_beside(response, "password") == "Use at least 8 characters."
    assert "There are 4 problems" in response.text
    assert "<title>Error: " in response.text
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
        ("business_name", "x" * 201, "Use at most 200 letters"),
        ("business_name", "Amal\x00", "This holds a character that can&#39;t be used."),
        ("home_currency", "XXX", "Choose a currency from the list."),
        ("time_zone", "Mars/Phobos", "Choose a time zone from the list."),
    ],
)
def test_an_error_stands_beside_its_field_and_other_values_are_kept(
    app: Flask, client: FlaskClient, field: str, value: str, message: str
) -> None:
    response = client.post("/register", data=AMAL | {field: value})
    assert response.status_code == 422
    assert message in error_beside(response, field)
    if field != "business_name":
        assert 'value="Amal&#39;s Bakery"' in response.text
    if field != "time_zone":
        assert '<option selected value="Asia/Riyadh">' in response.text
    assert PASSWORD not in response.text
    assert accounts(app) == 0


@pytest.mark.parametrize("role", ["operator", "admin", "\x00"])
def test_registering_as_an_operator_is_refused(app: Flask, client: FlaskClient, role: str) -> None:
    client.post("/register", data=AMAL | {"role": role})
    with app.app_context():
        assert db.session.scalar(db.select(func.count()).select_from(User).where(User.registered_as == "operator")) == 0


def test_a_taken_username_or_email_is_refused_in_any_case(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        people.amal()
    response = client.post("/register", data=OMAR | {"username": "AMAL", "email": "Amal@Example.com"})
    assert response.status_code == 422
    assert error_beside(response, "username") == "This username is taken. Choose another."
    assert error_beside(response, "email") == "There is an account with this email already. Sign in instead."


def test_the_own_email_in_capitals_is_a_valid_username(app: Flask, client: FlaskClient) -> None:
    theirs = client.post("/register", data=OMAR | {"username": "ΑΣA@example.com", "email": "ας@example.com"})
    assert theirs.status_code == 422 and "your own email" in error_beside(theirs, "username")
    assert client.post("/register", data=OMAR | {"username": "ΑΣA@example.com", "email": "ΑΣa@example.com"}).location
    again = app.test_client().post("/register", data=OMAR | {"username": "aspa", "email": "ΑΣA@Example.com"})
    assert again.status_code == 422 and error_beside(again, "email")
    assert accounts(app) == 1


def test_an_email_of_lookalike_letters_is_explained_beside_its_field(app: Flask, client: FlaskClient) -> None:
    for email in ("ſam@example.com", "ﬁnn@example.com", "omar@ｅxample.com"):
        response = client.post("/register", data=OMAR | {"email": email})
        assert response.status_code == 422 and "plain letters" in error_beside(response, "email")
        assert f'value="{email}"' in response.text
    assert accounts(app) == 0


def test_an_invited_email_registers_and_waits_for_its_proof(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        plan_id = people.a_plan(people.amal(), "layla@example.com")
    response = client.post("/register", data=OMAR | {"username": "layla", "email": "layla@example.com"})
    assert (response.status_code, response.location) == (303, "/account/email/proof")
    for path in ("/home", f"/plans/{plan_id}", "/plans", "/account/password"):
        page = client.get(path)
        assert page.status_code == 403 and "Prove your email first" in page.text
    with app.app_context():
        code = proofs.mailed("layla@example.com").code
    assert client.post("/account/email/proof", data={"code": code}).location == "/home"
    assert client.get(f"/plans/{plan_id}").status_code == 200


def test_a_body_of_another_type_is_read_as_an_empty_form(app: Flask, client: FlaskClient) -> None:
    assert client.post("/register", json=AMAL | {"username": 5}).status_code == 422
    assert client.post("/register", json=[1, 2]).status_code == 422
    assert client.post("/register", data=b"\xff\xfe\x00=%ff", content_type="text/plain").status_code == 422
    assert accounts(app) == 0


def test_an_uploaded_file_is_not_read_as_a_text_field(app: Flask, client: FlaskClient) -> None:
    with open(__file__, "rb") as sent:
        response = client.post("/register", data=AMAL | {"username": (sent, "name.txt")})
    assert response.status_code == 422
    assert error_beside(response, "username") == "Choose a username."


def test_invalid_utf8_and_oversized_bodies_are_refused(app: Flask, client: FlaskClient) -> None:
    form = "application/x-www-form-urlencoded"
    assert client.post("/register", data=b"role=customer&username=%ff%fe", content_type=form).status_code == 422
    assert client.post("/register", data={"username": "x" * 2**20}).status_code == 413
    assert client.post("/register", data=b"a&" * 10**6, content_type=form).status_code == 413
    many = {f"field{number}": "x" for number in range(300)}
    assert client.post("/register", data=many, content_type="multipart/form-data").status_code == 413
    assert accounts(app) == 0


def test_a_signed_in_account_is_redirected_from_registration(app: Flask, database: str) -> None:
    with app.app_context():
        people.omar()
    assert browser_of(app, "omar").get("/register").location == "/home"


def test_registrations_are_limited_to_thirty_a_minute_by_address(client: FlaskClient, limits: None) -> None:
    responses = [client.post("/register", data={}) for _ in range(31)]
    assert [response.status_code for response in responses] == [422] * 30 + [429]
    assert 1 <= int(responses[-1].headers["Retry-After"]) <= 60


@pytest.mark.parametrize(
    ("languages", "currency"),
    [
        ("ar-SA,ar;q=0.9", "SAR"),
        ("en-GB,en;q=0.8", "GBP"),
        ("en, ar-KW;q=0.5", "KWD"),
        ("en", "USD"),
        ("en-ZZ", "USD"),
        ("", "USD"),
    ],
)
def test_the_browsers_region_suggests_the_currency(client: FlaskClient, languages: str, currency: str) -> None:
    page = client.get("/register", headers={"Accept-Language": languages}).text
    assert re.search(rf'<option selected value="{currency}">', page)
    assert "data-suggest-zone" in page


def test_the_time_zones_carry_the_currency_of_their_country(client: FlaskClient) -> None:
    page = client.get("/register").text
    found = dict(re.findall(r'<option data-currency="([A-Z]{3})" value="([^"]+)">', page))
    assert len(found) > 100
    for zone, currency in (("Asia/Riyadh", "SAR"), ("Asia/Kuwait", "KWD"), ("Asia/Calcutta", "INR")):
        assert f'<option data-currency="{currency}" value="{zone}">' in page
    assert '<option selected value="UTC">' in page


def test_what_was_chosen_is_kept_over_the_suggestion(client: FlaskClient, database: str) -> None:
    fields = {"role": "merchant", "home_currency": "EUR", "time_zone": "UTC"}
    page = client.post("/register", data=fields, headers={"Accept-Language": "ar-SA"}).text
    assert re.search(r'<option selected value="EUR">', page) and "data-suggest-zone" not in page
