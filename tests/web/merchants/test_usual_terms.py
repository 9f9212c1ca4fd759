"""Usual terms: their page in the settings, and the buttons on the form of a new plan."""

import html
import json
import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.domain import clock
from portal.extensions import db
from portal.models import User, UsualTerms
from portal.services.merchants import usual_terms
from portal.services.merchants.usual_terms import Terms
from tests.fixtures import people
from tests.web import browser_of
from tests.web.plans.test_plan_form import in_line
from tests.web.plans.test_plans import error_beside, typed

SENT = {
    "name": "Three months",
    "num_installments": "3",
    "interval": "monthly",
    "deposit_percent": "",
    "first_days": "30",
}


@pytest.fixture
def amal(app: Flask, database: str) -> FlaskClient:
    with app.app_context():
        people.amal(), people.badr()
    return browser_of(app, "amal")


def names(app: Flask) -> list[str]:
    with app.app_context():
        return [row.name for row in db.session.scalars(db.select(UsualTerms).order_by(UsualTerms.position))]


def add(app: Flask, name: str = "Quarter", deposit: int | None = 25, merchant: str = "amal") -> int:
    with app.app_context():
        merchant_id = db.session.scalars(db.select(User.id).where(User.username == merchant)).one()
        return usual_terms.add(people.owner(merchant_id), Terms(name, 3, "monthly", deposit, 30))


def test_terms_are_added_changed_ordered_and_removed(app: Flask, amal: FlaskClient) -> None:
    assert "No usual terms yet" in amal.get("/settings/terms").text
    assert amal.post("/settings/terms", data=SENT).status_code == 303
    assert amal.post("/settings/terms", data=SENT | {"name": "Weekly <b>", "deposit_percent": "25"}).status_code == 303
    page = amal.get("/settings/terms").text
    assert "Your terms are saved." in page and "Weekly &lt;b&gt;" in page
    assert "every month" in page and "the first after 30 days" in page and "25 %" in page
    first, second = re.findall(r'href="/settings/terms/(\d+)"', page)
    assert amal.post(f"/settings/terms/{second}/move", data={"to": "up"}).status_code == 303
    assert names(app) == ["Weekly <b>", "Three months"]
    assert amal.post(f"/settings/terms/{second}/move", data={"to": "away"}).status_code == 303
    assert amal.post(f"/settings/terms/{first}", data=SENT | {"name": "Quarter"}).status_code == 303
    assert amal.post(f"/settings/terms/{second}/remove").status_code == 303
    assert names(app) == ["Quarter"]
    assert amal.post(f"/settings/terms/{second}/remove").status_code == 404


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "", "Enter a name, such as “Three months”."),
        ("name", "Taken", "You have terms of this name already."),
        ("num_installments", "three", "Enter a whole number in digits."),
        ("num_installments", "61", "Choose 1 to 60 installments."),
        ("interval", "daily", "Choose weekly, every two weeks, or monthly."),
        ("first_days", "", "Enter 0 to 365 days."),
        ("first_days", "400", "Choose 0 to 365 days."),
        ("deposit_percent", "100", "Enter a whole percentage from 1 to 99."),
        ("deposit_percent", "2.5", "Enter a whole number in digits."),
    ],
)
def test_a_wrong_value_is_explained_and_nothing_is_saved(
    app: Flask, amal: FlaskClient, field: str, value: str, message: str
) -> None:
    other = add(app, "Other")
    add(app, "Taken")
    for address in ("/settings/terms", f"/settings/terms/{other}"):
        response = amal.post(address, data=SENT | {field: value})
        assert response.status_code == 422
        assert error_beside(response.text, field) == message
        if field != "interval":
            assert f'value="{value}"' in response.text
    assert names(app) == ["Other", "Taken"]


def test_the_form_of_a_plan_is_filled_and_keeps_what_was_typed(app: Flask, amal: FlaskClient) -> None:
    assert "Usual terms" not in amal.get("/plans/new").text
    terms = add(app)
    add(app, "Theirs", merchant="badr")
    page = amal.get("/plans/new").text
    assert "Quarter" in page and "Theirs" not in page
    values = json.loads(html.unescape(re.findall(r'data-fill-form="([^"]+)"', page)[0]))
    first = clock.today("Asia/Riyadh") + timedelta(days=30)
    expected = {"schedule": "deposit", "deposit": "25 %", "num_installments": "3", "interval": "monthly"}
    assert values == expected | {"start_date": first.isoformat()}
    filled = amal.post("/plans/preview", data=typed(terms=str(terms), total_amount="1000")).text
    assert "Oak desk" in filled and "omar@example.com" in filled and 'value="1000"' in filled
    assert in_line(filled).startswith("4 \u00d7 SAR 250.00, until")
    assert in_line(amal.post("/plans/preview", data=typed(terms="999999")).text).startswith("4 \u00d7 SAR 300.00")


def test_an_address_fills_the_form_with_own_terms_alone(app: Flask, amal: FlaskClient) -> None:
    terms, theirs = add(app, deposit=None), add(app, merchant="badr")
    page = amal.get(f"/plans/new?terms={terms}").text
    assert (clock.today("Asia/Riyadh") + timedelta(days=30)).isoformat() in page
    for wrong in (theirs, 999999, "x"):
        assert amal.get(f"/plans/new?terms={wrong}").status_code == 404


@pytest.mark.parametrize(
    ("deposit", "line"),
    [
        ("25 %", "2 \u00d7 SAR 25.01 and 2 \u00d7 SAR 25.00, until"),
        ("٢٥٪", "2 \u00d7 SAR 25.01 and 2 \u00d7 SAR 25.00, until"),
        ("100 %", ""),
        ("0%", ""),
        ("-5 %", ""),
        ("2.5 %", ""),
        ("%", ""),
    ],
)
def test_a_deposit_may_be_a_part_of_the_total(app: Flask, amal: FlaskClient, deposit: str, line: str) -> None:
    day = (clock.today("Asia/Riyadh") + timedelta(days=30)).isoformat()
    sent = typed(total_amount="100.02", schedule="deposit", deposit=deposit, num_installments="3", start_date=day)
    assert in_line(amal.post("/plans/preview", data=sent).text).startswith(line)
    response = amal.post("/plans", data=sent)
    assert response.status_code == (303 if line else 422)
    assert line or error_beside(response.text, "deposit")
