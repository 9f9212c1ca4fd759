"""A customer's home."""

import re

import pytest
from flask import Flask
from sqlalchemy import select

from portal.extensions import db
from portal.models import Payment
from portal.services.payments import outcomes
from tests.fixtures import people
from tests.fixtures.query_log import queries
from tests.web import HTMX, browser_of

KEY = "one-use-key-0123456789"


@pytest.fixture
def everybody(app: Flask, database: str) -> dict[str, int]:
    with app.app_context():
        return {"amal": people.amal(), "badr": people.badr(), "omar": people.omar(), "sara": people.sara()}


def plan(app: Flask, merchant: int, **more: object) -> int:
    with app.app_context():
        return people.a_plan(merchant, **more)  # type: ignore[arg-type]


def first_of(app: Flask, plan_id: int) -> int:
    with app.app_context():
        return people.installments_of(plan_id)[0].id


def headline(page: str) -> str:
    found = re.search(r"<h1[^>]*>(.*?)</h1>", page, re.DOTALL)
    assert found
    return re.sub(r"<[^>]+>", "", found[1]).replace("\u00a0", " ").strip()


def test_sara_who_has_bought_nothing_is_told_how_plans_come(app: Flask, everybody: dict[str, int]) -> None:
    page = browser_of(app, "sara").get("/home").text
    assert headline(page) == "Nothing is due"
    assert "No plans yet" in page


def test_what_is_due_today_is_the_headline_with_its_button(app: Flask, everybody: dict[str, int]) -> None:
    plan(app, everybody["amal"], total=1200_00, count=4, description="Oak desk")
    page = browser_of(app, "omar").get("/home").text
    assert headline(page) == "SAR 300.00 due today"
    assert "Pay SAR\u00a0300.00" in page
    assert "What comes next" in page and "0 of 4 paid" in page


def test_what_is_late_comes_first_and_says_since_when(app: Flask, everybody: dict[str, int]) -> None:
    plan(app, everybody["amal"], total=100_00, count=1, description="Cake")
    plan(app, everybody["badr"], total=3_000, count=1, first=-3, description="Cable")
    page = browser_of(app, "omar").get("/home").text
    assert re.fullmatch(r"KWD 3\.000 was due on \d+ \w+", headline(page))
    assert "3 days late" in page
    assert "Also due" in page and "Cake" in page


def test_with_nothing_due_it_says_what_is_next(app: Flask, everybody: dict[str, int]) -> None:
    plan(app, everybody["amal"], total=100_00, count=2, first=5)
    page = browser_of(app, "omar").get("/home").text
    assert headline(page) == "Nothing is due"
    assert "Next:" in page and "Pay SAR\u00a050.00" in page


def test_omar_pays_from_home_and_stays_there(app: Flask, everybody: dict[str, int]) -> None:
    made = plan(app, everybody["amal"], total=1200_00, count=4)
    omar, first = browser_of(app, "omar"), first_of(app, made)
    answer = omar.post(f"/installments/{first}/payments", data={"key": KEY, "shown": "30000", "from": "home"})
    assert (answer.status_code, answer.location) == (303, "/home")
    page = omar.get("/home").text
    assert headline(page) == "SAR 300.00 paid"
    assert "Latest receipts" in page
    assert headline(omar.get("/home").text) == "Nothing is due"


def test_with_htmx_the_whole_of_home_follows(app: Flask, everybody: dict[str, int]) -> None:
    made = plan(app, everybody["amal"], total=1200_00, count=4)
    omar, address = browser_of(app, "omar"), f"/installments/{first_of(app, made)}/payments"
    data = {"key": KEY, "shown": "30000", "from": "home", "method": "card_declined"}
    declined = omar.post(address, data=data, headers=HTMX)
    assert declined.status_code == 402
    assert declined.text.lstrip().startswith('<div id="home"')
    assert "Your card was declined. Nothing was charged." in declined.text and 'id="pay-next"' in declined.text
    without = omar.post(address, data=data)
    assert without.status_code == 402 and "<html" in without.text and "Your card was declined." in without.text
    paid = omar.post(address, data={**data, "key": KEY + "-2", "method": "card_ok"}, headers=HTMX)
    assert paid.status_code == 200 and headline(paid.text) == "SAR 300.00 paid"


def test_home_follows_a_payment_that_is_being_checked(app: Flask, everybody: dict[str, int]) -> None:
    made = plan(app, everybody["amal"], total=1200_00, count=4)
    omar, first = browser_of(app, "omar"), first_of(app, made)
    data = {"key": KEY, "shown": "30000", "from": "home", "method": "card_lost_charged"}
    answer = omar.post(f"/installments/{first}/payments", data=data, headers=HTMX)
    assert answer.status_code == 202 and headline(answer.text) == "SAR 300.00 is being checked"
    poll = f"/installments/{first}?from=home"
    assert poll in answer.text
    assert omar.get(poll, headers=HTMX).status_code == 204
    with app.app_context():
        outcomes.settle_payment(db.session.scalars(select(Payment.id)).one())
    settled = omar.get(poll, headers=HTMX)
    assert headline(settled.text) == "SAR 300.00 paid" and "every 2s" not in settled.text


def test_when_everything_is_paid_it_says_so(app: Flask, everybody: dict[str, int]) -> None:
    made = plan(app, everybody["amal"], total=100_00, count=1)
    with app.app_context():
        people.pay(people.installments_of(made)[0].id, everybody["omar"])
    page = browser_of(app, "omar").get("/home").text
    assert headline(page) == "Nothing is due" and "All your plans are paid." in page


def test_home_is_for_customers(app: Flask, everybody: dict[str, int]) -> None:
    assert browser_of(app, "amal").get("/home").status_code == 403
    assert app.test_client().get("/home").location == "/login?next=/home"


def test_more_plans_cost_no_more_queries(app: Flask, everybody: dict[str, int]) -> None:
    omar = browser_of(app, "omar")
    counts = []
    for plans in (2, 6):
        with app.app_context():
            for number in range(plans):
                made = people.a_plan(everybody["amal" if number % 2 else "badr"], total=9_000, count=3, first=-number)
                people.pay(people.installments_of(made)[0].id, everybody["omar"])
        with queries(app) as sent:
            assert omar.get("/home").status_code == 200
        counts.append(len(sent))
    assert counts[0] == counts[1], sent
