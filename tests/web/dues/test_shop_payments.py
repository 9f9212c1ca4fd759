"""Everything due: the sum on the customer's home, the confirmation, and what became of each plan."""

import html
import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.extensions import db
from portal.models import Payment
from portal.services.payments import outcomes
from tests.fixtures import people
from tests.fixtures.query_log import queries
from tests.web import HTMX, browser_of

KEY = "one-use-key-0123456789"


@pytest.fixture
def ids(app: Flask, database: str) -> dict[str, int]:
    with app.app_context():
        made = {"amal": people.amal(), "badr": people.badr(), "omar": people.omar()}
        made["cake"] = people.a_plan(made["amal"], total=1000_00, count=2, first=-3, description="Cake")
        made["bread"] = people.a_plan(made["amal"], total=142_50, count=1, first=0, description="Bread")
        return made


def words(page: str, tag: str) -> str:
    match = re.search(rf"<{tag}[^>]*>(.*?)</{tag}>", page, re.DOTALL)
    assert match
    return html.unescape(re.sub(r"<[^>]+>", "", match[1])).replace("\u00a0", " ").strip()


def form_of(page: str) -> dict[str, Any]:
    key = re.search(r'name="key" value="([^"]+)"', page)
    assert key
    return {"key": key[1], "part": re.findall(r'name="part" value="([^"]+)"', page), "method": "card_ok"}


def payments(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count(Payment.id))) or 0


def test_home_says_what_is_due_in_all_and_two_presses_pay_it(app: Flask, ids: dict[str, int]) -> None:
    omar, address = browser_of(app, "omar"), f"/shops/{ids['amal']}/due/SAR"
    page = omar.get("/home").text
    assert words(page, "h1") == "SAR 642.50 is due"
    assert f'href="{address}"' in page and "Pay SAR\u00a0642.50" in page
    form = omar.get(address).text
    assert "Cake" in form and "Bread" in form and "Pay SAR\u00a0642.50" in form
    pressed = omar.post(address, data=form_of(form))
    assert pressed.status_code == 303
    done = omar.get(pressed.location).text
    assert words(done, "h1") == "SAR 642.50 paid" and done.count(">Receipt<") == 2
    assert "Next: SAR\u00a0500.00" in done.replace("&nbsp;", "\u00a0") or "Next:" in done
    assert omar.post(address, data=form_of(form)).location == pressed.location, "a resend shows the same"
    assert payments(app) == 2
    assert words(omar.get("/home").text, "h1") == "Nothing is due"


def test_after_paying_the_card_is_saved_and_pays_the_rest_automatically(app: Flask, ids: dict[str, int]) -> None:
    omar, address = browser_of(app, "omar"), f"/shops/{ids['amal']}/due/SAR"
    pressed = omar.post(address, data=form_of(omar.get(address).text)).location
    page = omar.get(pressed).text
    assert words(page, "h2") == "What comes next" and "automatically" not in page
    payment = re.search(r'name="payment" value="([0-9]+)"', page)
    assert payment and 'name="card" value="card_ok"' in page
    assert omar.post("/payment-methods", data={"card": "card_ok", "payment": payment[1]}).status_code == 303
    page = omar.get(pressed).text
    assert 'id="save-card"' not in page and "Pay the rest of" in page and page.count('name="method"') == 1
    token = re.search(r'name="method" value="([^"]+)"', page)
    assert token and f"/plans/{ids['cake']}/automatic-payment" in page
    assert omar.post(f"/plans/{ids['cake']}/automatic-payment", data={"method": token[1]}).status_code == 303
    assert "Pay the rest of" not in omar.get(pressed).text


def test_with_several_businesses_each_has_its_sum(app: Flask, ids: dict[str, int]) -> None:
    with app.app_context():
        people.a_plan(ids["badr"], total=3_000, count=1, first=-9, description="Cable")
    page = browser_of(app, "omar").get("/home").text
    assert words(page, "h1") == "KWD 3.000 and SAR 642.50 are due"
    assert f"/shops/{ids['badr']}/due/KWD" in page and f"/shops/{ids['amal']}/due/SAR" in page


def test_if_what_is_owed_changed_a_sentence_says_so_beside_the_button(app: Flask, ids: dict[str, int]) -> None:
    omar, address = browser_of(app, "omar"), f"/shops/{ids['amal']}/due/SAR"
    form = form_of(omar.get(address).text)
    with app.app_context():
        people.a_plan(ids["amal"], total=10_00, count=1, first=-1, description="Jam")
    changed = omar.post(address, data=form)
    assert changed.status_code == 409
    assert "What is owed has changed meanwhile. Nothing was charged." in changed.text
    assert "Pay SAR\u00a0652.50 instead" in changed.text and "Jam" in changed.text
    assert payments(app) == 0
    assert omar.post(address, data=form_of(changed.text)).status_code == 303


def test_the_form_paid_in_another_tab_charges_nothing(app: Flask, ids: dict[str, int]) -> None:
    omar, address = browser_of(app, "omar"), f"/shops/{ids['amal']}/due/SAR"
    first, second = form_of(omar.get(address).text), form_of(omar.get(address).text)
    assert omar.post(address, data=first).status_code == 303
    other = omar.post(address, data=second)
    assert other.status_code == 409 and "Nothing was charged." in other.text
    assert payments(app) == 2


@pytest.mark.parametrize(
    "field",
    [
        {"part": []},
        {"part": ["x"]},
        {"part": ["1:2"] * 21},
        {"part": ["9999999999999999999:5"]},
        {"part": ["1:-5"]},
        {"key": "short"},
        {"key": ""},
    ],
)
def test_a_malformed_form_charges_nothing(app: Flask, ids: dict[str, int], field: dict[str, Any]) -> None:
    omar, address = browser_of(app, "omar"), f"/shops/{ids['amal']}/due/SAR"
    response = omar.post(address, data={**form_of(omar.get(address).text), **field})
    assert response.status_code == 422 and "Nothing was charged." in response.text
    assert payments(app) == 0


def test_a_declined_card_is_said_for_each_plan(app: Flask, ids: dict[str, int]) -> None:
    omar, address = browser_of(app, "omar"), f"/shops/{ids['amal']}/due/SAR"
    pressed = omar.post(address, data={**form_of(omar.get(address).text), "method": "card_declined"})
    page = omar.get(pressed.location).text
    assert words(page, "h1") == "Nothing was charged"
    assert page.count("Your card was declined. Nothing was charged.") == 2
    assert "Pay what is still due" in page


def test_an_unknown_outcome_is_checked_and_the_rest_is_offered_afterwards(app: Flask, ids: dict[str, int]) -> None:
    omar, address = browser_of(app, "omar"), f"/shops/{ids['amal']}/due/SAR"
    pressed = omar.post(address, data={**form_of(omar.get(address).text), "method": "card_lost_charged"})
    page = omar.get(pressed.location).text
    assert words(page, "h1") == "SAR 500.00 is being checked" and "every 2s" in page
    assert omar.get(pressed.location, headers=HTMX).status_code == 204
    with app.app_context():
        outcomes.settle_payment(db.session.scalars(select(Payment.id)).one())
    settled = omar.get(pressed.location, headers=HTMX).text
    assert words(settled, "h1") == "SAR 500.00 paid" and "every 2s" not in settled
    assert "Not charged." in settled and "Pay what is still due" in settled


def test_a_plan_that_is_left_out_is_said(app: Flask, ids: dict[str, int]) -> None:
    with app.app_context():
        people.pay(people.installments_of(ids["cake"])[0].id, ids["omar"], "card_lost_charged")
    page = browser_of(app, "omar").get(f"/shops/{ids['amal']}/due/SAR").text
    assert "1 plan is left out: its payment is being checked with the bank." in page
    assert "Pay SAR\u00a0142.50" in page


def test_nobody_sees_another_persons_dues_or_presses(app: Flask, ids: dict[str, int]) -> None:
    with app.app_context():
        people.sara()
        people.a_plan(ids["amal"], "sara@example.com", total=5_00, count=1)
    omar, sara, address = browser_of(app, "omar"), browser_of(app, "sara"), f"/shops/{ids['amal']}/due/SAR"
    pressed = omar.post(address, data=form_of(omar.get(address).text))
    assert sara.get(pressed.location).status_code == 404
    assert "Cake" not in sara.get(address).text
    assert omar.get(f"/shops/{ids['badr']}/due/KWD").status_code == 404
    assert omar.get(f"/shops/{10**19}/due/SAR").status_code == 404
    assert omar.get(f"/shops/{ids['amal']}/due/sar").status_code == 404


def test_the_number_of_queries_is_independent_of_plans(app: Flask, ids: dict[str, int]) -> None:
    omar, counts = browser_of(app, "omar"), []
    for _ in range(2):
        with queries(app) as sent:
            assert omar.get(f"/shops/{ids['amal']}/due/SAR").status_code == 200
        counts.append(len(sent))
        with app.app_context():
            for number in range(5):
                people.a_plan(ids["amal"], total=10_00, count=1, first=-number)
    assert counts[0] == counts[1]


def test_the_page_of_the_outcome_costs_the_same_for_more_plans(app: Flask, ids: dict[str, int]) -> None:
    omar, address, counts = browser_of(app, "omar"), f"/shops/{ids['amal']}/due/SAR", []
    for key in ("first-press-0123456789", "later-press-0123456789"):
        pressed = omar.post(address, data=form_of(omar.get(address).text) | {"key": key}).location
        with queries(app) as sent:
            assert "What comes next" in omar.get(pressed).text
        counts.append(len(sent))
        with app.app_context():
            for number in range(5):
                people.a_plan(ids["amal"], total=10_00, count=2, first=-number)
    assert counts[0] == counts[1]
