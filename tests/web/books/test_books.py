"""The pages of the books: closing, accounts, trial balance, files of the journal, statements between two days."""

import re
from datetime import timedelta
from html import unescape

import pytest
from flask import Flask

from portal.extensions import db
from portal.models import Merchant
from portal.services.payments import manual_payments
from tests.fixtures import people
from tests.web import browser_of


@pytest.fixture
def shop(app: Flask, database: str) -> dict[str, int]:
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        plan = people.a_plan(amal, total=90_00, count=3)
        people.pay(people.installments_of(plan)[0].id, omar)
        manual_payments.record(
            plan, actor=people.owner(amal), amount=5_00, method="cash", received_on=people.today_of(amal)
        )
        return {"amal": amal, "omar": omar, "plan": plan}


def plain(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).replace("\u00a0", " ").split())


def test_an_owner_closes_the_books(app: Flask, shop: dict[str, int]) -> None:
    browser = browser_of(app, "amal")
    assert "The books were never closed." in browser.get("/settings/books").text
    with app.app_context():
        today = people.today_of(shop["amal"])
    refused = browser.post("/settings/books", data={"until": today.isoformat()})
    assert refused.status_code == 422 and f'value="{today}"' in refused.text and "or an earlier day" in refused.text
    assert browser.post("/settings/books", data={"until": ""}).status_code == 422
    assert browser.post("/settings/books", data={"until": "soon"}).status_code == 422
    yesterday = today - timedelta(days=1)
    assert browser.post("/settings/books", data={"until": yesterday.isoformat()}).location == "/settings/books"
    with app.app_context():
        assert db.session.get_one(Merchant, shop["amal"]).books_closed_until == yesterday
    page = browser.get("/settings/books").text
    assert "The books are closed until" in page
    again = browser.post("/settings/books", data={"until": yesterday.isoformat()})
    assert again.status_code == 422 and "already. Choose a later day." in again.text


def test_an_account_gets_another_name(app: Flask, shop: dict[str, int]) -> None:
    browser = browser_of(app, "amal")
    wrong = browser.post("/settings/books/accounts/cash", data={"code": "1", "name": "", "export_name": "a b"})
    assert wrong.status_code == 422 and 'value="a b"' in wrong.text
    good = {"code": "11", "name": "Till", "export_name": "assets:till"}
    assert browser.post("/settings/books/accounts/cash", data=good).location == "/settings/books"
    assert "Till" in browser.get("/settings/books").text and "Till" in browser.get("/trial-balance").text
    assert "assets:till" in browser.get("/journal.hledger").text
    assert browser.get("/settings/books/accounts/wallet").status_code == 404
    assert browser.post("/settings/books/accounts/wallet", data=good).status_code == 404


@pytest.mark.parametrize("name", ["Till\r\nBcc: x@example.com", "\u202etill", "\x00", "\ue000" * 61])
def test_a_name_that_no_text_may_have_is_a_fault_of_its_field(app: Flask, shop: dict[str, int], name: str) -> None:
    typed = {"code": "11", "name": name, "export_name": "assets:till"}
    refused = browser_of(app, "amal").post("/settings/books/accounts/cash", data=typed)
    assert refused.status_code == 422 and "name-error" in refused.text and "code-error" not in refused.text


def test_the_trial_balance_of_a_day(app: Flask, shop: dict[str, int]) -> None:
    browser = browser_of(app, "amal")
    page = plain(browser.get("/trial-balance").text)
    assert "Outstanding: SAR 55.00" in page and "SAR 30.00" in page and "SAR 5.00" in page
    assert "Nothing was booked until then." in browser.get("/trial-balance?on=2001-01-01").text
    wrong = browser.get("/trial-balance?on=soon")
    assert wrong.status_code == 400 and 'value="soon"' in wrong.text


@pytest.mark.parametrize("name", ["hledger", "beancount"])
def test_the_files_of_the_journal(app: Flask, shop: dict[str, int], name: str) -> None:
    browser = browser_of(app, "amal")
    response = browser.get(f"/journal.{name}")
    assert response.status_code == 200 and f".{name}" in response.headers["Content-Disposition"]
    assert response.content_type == "text/plain; charset=utf-8"
    assert (
        response.text.count("plan_opened") == 1
        and response.text.count("clearing".title()) + response.text.count("assets:clearing") > 0
    )
    assert "plan_opened" not in browser.get(f"/journal.{name}?to=2001-01-01").text
    assert browser.get(f"/journal.{name}?from=soon").status_code == 422
    assert browser.get(f"/journal.csv?format={name}").data == response.data


def test_statements_have_an_opening_and_a_closing_balance(app: Flask, shop: dict[str, int]) -> None:
    browser, day = browser_of(app, "amal"), None
    with app.app_context():
        day = people.today_of(shop["amal"])
    later = f"from={day + timedelta(days=1)}&to={day + timedelta(days=9)}"
    for address in (f"/plans/{shop['plan']}/statement", f"/customers/{shop['omar']}/statement"):
        page = plain(browser.get(f"{address}?{later}").text)
        assert "Opening balance" in page and "Closing balance" in page and page.count("SAR 55.00") >= 2
        assert "Plan made" not in page
        whole = plain(browser.get(address).text)
        assert "SAR 90.00" in whole and "SAR 55.00" in whole
        assert browser.get(f"{address}?from=soon").status_code == 400
