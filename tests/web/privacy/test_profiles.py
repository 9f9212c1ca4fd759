"""The account in one place: name, phone and language, and the way to everything else."""

import pytest
from flask import Flask

from portal.extensions import db
from portal.models import User
from tests.fixtures import people
from tests.web import browser_of

FIELDS = {"full_name": "", "phone": "", "language": "en"}


@pytest.fixture
def omar(app: Flask, database: str) -> int:
    with app.app_context():
        people.amal()
        return people.omar()


def stored(app: Flask, user_id: int) -> tuple[str, str, str | None]:
    with app.app_context():
        user = db.session.get_one(User, user_id)
        return user.full_name, user.phone, user.language


def test_everything_about_the_account_is_on_one_page(app: Flask, omar: int) -> None:
    page = browser_of(app, "omar").get("/account").text
    for address in (
        "/account/password",
        "/account/email",
        "/account/sessions",
        "/account/security-events",
        "/account/shops",
        "/account/reminders",
        "/account/calendar",
        "/account/data",
        "/account/businesses",
    ):
        assert f'href="{address}"' in page
    assert 'href="/account"' in browser_of(app, "omar").get("/home").text
    assert 'href="/account"' in browser_of(app, "amal").get("/settings").text


@pytest.mark.parametrize(
    ("name", "phone", "kept"),
    [
        ("Omar Saleh", "+966 50 123 4567", ("Omar Saleh", "+966 50 123 4567")),
        ("山田　太郎", "٠٥٠١٢٣٤٥٦٧", ("山田　太郎", "0501234567")),
        ("  Omar  ", " (011) 465-1234 ", ("Omar", "(011) 465-1234")),
        ("", "", ("", "")),
    ],
)
def test_name_and_phone_are_kept(app: Flask, omar: int, name: str, phone: str, kept: tuple[str, str]) -> None:
    browser = browser_of(app, "omar")
    response = browser.post("/account", data={**FIELDS, "full_name": name, "phone": phone})
    assert (response.status_code, response.location) == (303, "/account")
    assert stored(app, omar) == (*kept, "en")


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("phone", "call me", "Enter a phone number"),
        ("phone", "12", "Enter a phone number"),
        ("phone", "1" * 60, "Enter a phone number"),
        ("full_name", "Omar\u202e", "Write it on one line"),
        ("full_name", "x" * 201, "200"),
        ("language", "tlh", ""),
    ],
)
def test_bad_input_is_said_beside_the_field_and_changes_nothing(
    app: Flask, omar: int, field: str, value: str, sentence: str
) -> None:
    response = browser_of(app, "omar").post("/account", data={**FIELDS, "full_name": "Omar", field: value})
    assert response.status_code == 422 and sentence in response.text
    assert stored(app, omar)[:2] == ("", "")


def test_the_language_is_that_of_the_pages_from_then_on(app: Flask, omar: int, arabic: None) -> None:
    browser = browser_of(app, "omar")
    browser.post("/account", data={**FIELDS, "language": "ar"})
    assert stored(app, omar)[2] == "ar"
    assert 'lang="ar"' in browser.get("/account").text


def test_name_and_phone_are_in_the_persons_data_and_in_no_business_page(app: Flask, omar: int) -> None:
    with app.app_context():
        plan_id = people.a_plan(db.session.scalars(db.text("SELECT id FROM merchants")).one())
    browser = browser_of(app, "omar")
    browser.post("/account", data={**FIELDS, "full_name": "Omar Saleh", "phone": "0501234567"})
    data = browser.get("/account/data/file").text
    assert "Omar Saleh" in data and "0501234567" in data
    assert "Omar Saleh" not in browser_of(app, "amal").get(f"/plans/{plan_id}").text
