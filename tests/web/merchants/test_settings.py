"""A merchant's settings."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.extensions import db
from portal.models import Merchant
from tests.fixtures import people
from tests.fixtures.query_log import queries
from tests.web import browser_of

SENT = {"business_name": "Amal & Co", "home_currency": "KWD", "time_zone": "Asia/Dubai", "grace_days": "3"}


@pytest.fixture
def amal(app: Flask, database: str) -> FlaskClient:
    with app.app_context():
        people.amal()
    return browser_of(app, "amal")


def saved(app: Flask) -> tuple[str, str, str, int]:
    with app.app_context():
        row = db.session.scalars(db.select(Merchant)).one()
        return row.business_name, row.home_currency, row.time_zone, row.grace_days


BEFORE = ("Amal's Bakery", "SAR", "Asia/Riyadh", 0)


def test_all_settings_can_be_changed_before_the_first_plan(app: Flask, amal: FlaskClient) -> None:
    response = amal.post("/settings", data=SENT)
    assert (response.status_code, response.location) == (303, "/settings")
    assert saved(app) == ("Amal & Co", "KWD", "Asia/Dubai", 3)
    page = amal.get("/settings").text
    assert "Your settings are saved." in page
    assert "Amal &amp; Co" in page


def test_the_currency_is_fixed_by_the_first_plan(app: Flask, amal: FlaskClient) -> None:
    with app.app_context():
        people.a_plan(db.session.scalars(db.select(Merchant.id)).one())
    page = amal.get("/settings").text
    assert "Fixed since your first plan was made." in page
    assert 'disabled id="home_currency"' in page or "disabled" in page.split('id="home_currency-field"')[1][:400]
    forced = amal.post("/settings", data=SENT)
    assert forced.status_code == 422
    assert "The home currency can&#39;t change once you have a plan." in forced.text
    assert saved(app) == BEFORE
    del (rest := dict(SENT))["home_currency"]  # a browser does not send a disabled field
    assert amal.post("/settings", data=rest).status_code == 303
    assert saved(app) == ("Amal & Co", "SAR", "Asia/Dubai", 3)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("business_name", "", "Enter the name that customers know you by."),
        ("business_name", "  ", "Enter the name that customers know you by."),
        ("business_name", "A\x00", "This holds a character that can&#39;t be used."),
        ("business_name", "two\nlines", "on one line"),
        ("home_currency", "EURO", "Choose a currency from the list."),
        ("home_currency", "\x00", "This holds a character that can&#39;t be used."),
        ("time_zone", "nowhere", "Choose a time zone from the list."),
        ("time_zone", "../../etc/passwd", "Choose a time zone from the list."),
        ("grace_days", "", "Enter 0 to 30 days."),
        ("grace_days", "31", "Choose 0 to 30 days."),
        ("grace_days", "-1", "Enter a whole number in digits."),
        ("grace_days", "1e3", "Enter a whole number in digits."),
        ("grace_days", "NaN", "Enter a whole number in digits."),
        ("grace_days", "٣", "Enter a whole number in digits."),
        ("grace_days", "9223372036854775808", "Enter a whole number in digits."),
    ],
)
def test_an_invalid_value_is_explained_shown_again_and_not_saved(
    app: Flask, amal: FlaskClient, field: str, value: str, message: str
) -> None:
    response = amal.post("/settings", data=SENT | {field: value})
    assert response.status_code == 422
    assert message in response.text
    assert saved(app) == BEFORE
    if field == "grace_days":
        assert f'value="{value}"' in response.text
    else:
        assert 'value="3"' in response.text


def test_the_page_lists_the_zones_of_one_area_and_all_of_them_on_a_link(app: Flask, database: str) -> None:
    with app.app_context():
        people.amal()
    amal = browser_of(app, "amal")
    page = amal.get("/settings").text
    assert 'value="Asia/Dubai"' in page and 'value="UTC"' in page and 'value="Europe/Oslo"' not in page
    (link,) = re.findall(r'href="(/settings\?zones=all)#time_zone"', page)
    everything = amal.get(link).text
    assert len(everything) - len(page) > 20_000
    assert 'value="Europe/Oslo"' in everything and "?zones=all#time_zone" not in everything
    assert amal.post("/settings", data=SENT | {"time_zone": "Europe/Oslo"}).status_code == 303
    page = amal.get("/settings").text
    assert 'value="Europe/Oslo"' in page and 'value="Asia/Dubai"' not in page


def test_a_time_zone_outside_the_list_stays_selected(app: Flask, database: str) -> None:
    with app.app_context():
        people.a_merchant("nadia", time_zone="Etc/GMT-3")
    nadia = browser_of(app, "nadia")
    assert '<option selected value="Etc/GMT-3">' in nadia.get("/settings").text


def test_settings_are_for_merchants(app: Flask, database: str) -> None:
    with app.app_context():
        people.omar()
        people.an_operator()
    for name in ("omar", "olga"):
        response = browser_of(app, name).get("/settings")
        assert response.status_code == 403
        assert "Not for this account" in response.text
    assert app.test_client().get("/settings").location == "/login?next=/settings"


def test_the_page_needs_two_queries(app: Flask, amal: FlaskClient) -> None:
    with queries(app) as sent:
        assert amal.get("/settings").status_code == 200
    assert len(sent) == 2
