"""The menu's switch between the businesses of a person and what they pay."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.extensions import db
from portal.models import UserSession
from tests.fixtures import people
from tests.fixtures.query_log import queries
from tests.web import browser_of

ACTION = 'action="/account/hat"'


@pytest.fixture
def ids(app: Flask, database: str) -> dict[str, int]:
    """Amal's business; Badr, who owes her; Omar, a customer and her collector; Sara, a customer only."""
    with app.app_context():
        amal, badr, sara = people.amal(), people.badr(), people.sara()
        omar = people.a_member("omar", amal, "collector")
        plan_id = people.a_plan(amal, "badr@example.com")
        own_plan_id = people.a_plan(amal, "omar@example.com")
    return {"amal": amal, "badr": badr, "omar": omar, "sara": sara, "plan": plan_id, "own": own_plan_id}


def switch(client: FlaskClient, merchant: object = "") -> str | None:
    return client.post("/account/hat", data={"merchant": merchant}).location


def test_one_hat_shows_no_switch(app: Flask, ids: dict[str, int]) -> None:
    assert ACTION not in browser_of(app, "amal").get("/dashboard").text
    assert ACTION not in browser_of(app, "sara").get("/home").text
    assert ACTION not in app.test_client().get("/").text


def test_a_merchant_who_owes_switches_to_what_they_pay_and_back(app: Flask, ids: dict[str, int]) -> None:
    badr = browser_of(app, "badr")
    page = badr.get("/dashboard").text
    assert ACTION in page and "Switch to what you pay" in page
    assert switch(badr) == "/home"
    home = badr.get("/home").text
    assert "Amal&#39;s Bakery" in home and "Switch to <bdi>Badr Electronics</bdi>" in home
    assert "shell-customer" in home
    assert badr.get("/dashboard").status_code == 403
    assert switch(badr, ids["badr"]) == "/dashboard"
    assert "shell-merchant" in badr.get("/dashboard").text
    assert badr.get("/home").status_code == 403


def test_a_member_switches_to_the_business_and_sees_what_the_role_allows(app: Flask, ids: dict[str, int]) -> None:
    omar = browser_of(app, "omar")
    assert "Switch to <bdi>Amal&#39;s Bakery</bdi>" in omar.get("/home").text
    assert switch(omar, ids["amal"]) == "/dashboard"
    page = omar.get(f"/plans/{ids['plan']}").text
    assert f"/plans/{ids['plan']}/record-payment" in page and "Send a reminder now" in page
    for act in ("credit", "refund", "cancel", "write-off"):
        assert f"/plans/{ids['plan']}/{act}" not in page
    dashboard = omar.get("/dashboard").text
    assert "/plans/new" not in dashboard and 'href="/settings"' not in dashboard


def test_a_members_own_plan_is_the_customers_page_without_acts(app: Flask, ids: dict[str, int]) -> None:
    omar = browser_of(app, "omar")
    switch(omar, ids["amal"])
    page = omar.get(f"/plans/{ids['own']}").text
    assert "Pay SAR" in page and f"/plans/{ids['own']}/record-payment" not in page
    refused = omar.get(f"/plans/{ids['own']}/record-payment")
    assert refused.status_code == 403 and "another member of the business" in refused.text


@pytest.mark.parametrize("merchant", ["999999", "0", "-1", "x", "9" * 30, "٣", "1\x00"])
def test_a_business_of_others_is_not_found(app: Flask, ids: dict[str, int], merchant: str) -> None:
    sara = browser_of(app, "sara")
    for value in (merchant, str(ids["amal"])):
        assert sara.post("/account/hat", data={"merchant": value}).status_code == 404
    with app.app_context():
        assert db.session.scalars(
            db.select(UserSession.merchant_id).where(UserSession.user_id == ids["sara"])
        ).all() == [None]


def test_an_anonymous_visitor_signs_in_first_and_a_get_is_refused(app: Flask, ids: dict[str, int]) -> None:
    response = app.test_client().post("/account/hat", data={})
    assert response.status_code == 303 and response.location.startswith("/login")
    assert browser_of(app, "amal").get("/account/hat").status_code == 405


def test_the_switch_needs_a_csrf_token(app: Flask, ids: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    badr = browser_of(app, "badr")
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", True)
    assert badr.post("/account/hat", data={}).status_code == 400


def test_the_hat_costs_no_query_of_its_own(app: Flask, ids: dict[str, int]) -> None:
    counts = {}
    for name, address in (("amal", "/account/data"), ("badr", "/account/data"), ("sara", "/account/data")):
        browser = browser_of(app, name)
        with queries(app) as statements:
            assert browser.get(address).status_code == 200
        counts[name] = len(statements)
    assert set(counts.values()) == {1}, counts


def test_each_browser_has_a_hat_of_its_own(app: Flask, ids: dict[str, int]) -> None:
    first, second = browser_of(app, "badr"), browser_of(app, "badr")
    switch(first)
    assert first.get("/home").status_code == 200
    assert second.get("/dashboard").status_code == 200
