"""The operator's page."""

from flask import Flask

from tests import people
from tests.web import browser_of


def test_olga_sees_whether_the_installation_is_well(app: Flask, database: str) -> None:
    with app.app_context():
        people.an_operator()
        people.a_plan(people.amal())
    page = browser_of(app, "olga").get("/operator")
    assert page.status_code == 200
    assert "Every plan&#39;s installments add up to its total" in page.text
    assert "broken" not in page.text.replace("Anything broken here", "")
    assert "Sign out" in page.text


def test_it_is_for_operators(app: Flask, database: str) -> None:
    with app.app_context():
        people.amal()
        people.omar()
    for name in ("amal", "omar"):
        assert browser_of(app, name).get("/operator").status_code == 403
    assert app.test_client().get("/operator").location == "/login?next=/operator"
