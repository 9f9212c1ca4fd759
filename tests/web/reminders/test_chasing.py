"""A merchant chases late customers: the list of the late, the selection, and the buttons that remind."""

import re
from html import unescape

import pytest
from flask import Flask

from portal.extensions import db
from portal.models import Email
from tests.fixtures import people
from tests.fixtures.query_log import queries
from tests.web import browser_of


def late_customers(merchant_id: int, count: int) -> None:
    for number in range(count):
        people.a_customer(f"late-{number:02}")
        people.a_plan(merchant_id, f"late-{number:02}@example.com", total=(number + 1) * 100, count=1, first=-3)


@pytest.fixture
def amal(app: Flask, database: str) -> int:
    with app.app_context():
        return people.amal()


def queued(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(db.select(db.func.count(Email.id)).where(Email.kind == "reminder")) or 0


def link(page: str, text: str) -> str:
    """The address of the page's link with this text."""
    links = re.findall(r'<a[^>]*href="([^"]+)"[^>]*>(.*?)</a>', page, re.DOTALL)
    (address,) = {unescape(href) for href, words in links if text in words}
    return address


def test_all_late_customers_are_reminded_in_two_presses_from_home(app: Flask, amal: int) -> None:
    with app.app_context():
        late_customers(amal, 12)
    browser = browser_of(app, "amal")
    page = browser.get(link(browser.get("/dashboard").text, "Remind late customers"))  # one press
    assert page.text.index("SAR\u00a012.00") < page.text.index("SAR\u00a01.00") and page.text.count(">3</td>") == 12
    shown = re.findall(r'name="shown" value="([0-9]+)"', page.text)
    told = browser.post("/customers/reminders?show=overdue", data={"all": "1", "shown": shown})  # and another
    assert told.location == "/customers?show=overdue" and queued(app) == 12
    after = browser.get(told.location).text
    assert "12 reminders queued" in after and len(re.findall("Reminded today, [0-9]{2}:[0-9]{2}", after)) == 12


def test_a_selection_says_who_was_reminded_before(app: Flask, amal: int) -> None:
    with app.app_context():
        late_customers(amal, 3)
    browser = browser_of(app, "amal")
    ids = re.findall(r'name="customer"\s+value="([0-9]+)"', browser.get("/customers?show=overdue").text)
    assert browser.post(f"/customers/{ids[0]}/reminders").location == f"/customers/{ids[0]}"
    hub = browser.get(f"/customers/{ids[0]}").text
    assert "1 reminder queued" in hub and "Reminded today" in hub and f"/customers/{ids[0]}/reminders" not in hub
    told = browser.post("/customers/reminders?show=overdue&search=late", data={"customer": ids})
    assert told.location == "/customers?show=overdue&search=late"
    assert "2 reminders queued, 1 reminded today already" in browser.get(told.location).text
    browser.post("/customers/reminders?show=overdue", data={"customer": ["x", str(2**70)]})
    assert "Select at least one customer." in browser.get("/customers?show=overdue").text


def test_a_row_of_home_reminds_and_says_when(app: Flask, amal: int) -> None:
    with app.app_context():
        late_customers(amal, 2)
    browser = browser_of(app, "amal")
    page = browser.get("/dashboard").text
    actions = re.findall(r'action="(/plans/[0-9]+/reminders)"', page)
    assert len(actions) == 2
    assert browser.post(actions[0], data={"from": "dashboard"}).location == "/dashboard"
    page = browser.get("/dashboard").text
    assert len(re.findall(r'action="/plans/[0-9]+/reminders"', page)) == 1 and "Reminded today" in page
    assert "Reminded today" in browser.get(actions[0].removesuffix("/reminders")).text


def test_the_list_of_the_late_costs_the_same_for_any_number(app: Flask, amal: int) -> None:
    browser, counts = browser_of(app, "amal"), []
    for _ in range(2):
        with app.app_context():
            late_customers(amal, 10) if not counts else late_customers_more(amal)
        with queries(app) as sent:
            assert browser.get("/customers?show=overdue").status_code == 200
        counts.append(len(sent))
    assert counts[0] == counts[1]


def late_customers_more(merchant_id: int) -> None:
    for number in range(15):
        people.a_customer(f"later-{number:02}")
        people.a_plan(merchant_id, f"later-{number:02}@example.com", total=100, count=1, first=-3)
