"""An open page asks whether it is out of date."""

import re

import pytest
from flask import Flask

from tests.fixtures import people
from tests.fixtures.query_log import queries
from tests.web import browser_of


@pytest.fixture
def ids(app: Flask, database: str) -> dict[str, int]:
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        return {"amal": amal, "omar": omar, "plan": people.a_plan(amal, total=90_00, count=3, first=-5)}


def live(page: str) -> str:
    """The address that the page asks, with the version that it shows."""
    address, seen = re.findall(r'data-live="([^"]+)" data-seen="([^"]+)"', page)[0]
    return f"{address}?seen={seen}"


def test_home_and_plan_are_out_of_date_after_a_payment(app: Flask, ids: dict[str, int]) -> None:
    amal = browser_of(app, "amal")
    for path in ("/dashboard", f"/plans/{ids['plan']}"):
        address = live(amal.get(path).text)
        assert amal.get(address).status_code == 204
        with app.app_context():
            row = next(row for row in people.installments_of(ids["plan"]) if row.is_open)
            people.pay(row.id, ids["omar"])
        changed = amal.get(address)
        assert (changed.status_code, changed.mimetype) == (200, "text/plain")
        assert amal.get(live(amal.get(path).text)).status_code == 204
        assert changed.headers["Cache-Control"] == "no-store"


def test_another_business_changes_nothing_and_asks_in_vain(app: Flask, ids: dict[str, int]) -> None:
    amal, badr = browser_of(app, "amal"), people_of(app)
    address = live(amal.get("/dashboard").text)
    with app.app_context():
        people.a_plan(badr, "omar@example.com")
    assert amal.get(address).status_code == 204
    assert browser_of(app, "badr").get(f"/plans/{ids['plan']}/version").status_code == 404


def test_asking_costs_few_queries(app: Flask, ids: dict[str, int]) -> None:
    amal = browser_of(app, "amal")
    address = live(amal.get("/dashboard").text)
    with queries(app) as sent:
        amal.get(address)
    assert len(sent) <= 6


def people_of(app: Flask) -> int:
    with app.app_context():
        return people.badr()
