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
def ids(app: Flask, database: str) -> dict[str, int]:
    with app.app_context():
        return {"amal": people.amal(), "badr": people.badr(), "omar": people.omar(), "sara": people.sara()}


def plan(app: Flask, merchant: int, **more: object) -> int:
    with app.app_context():
        return people.a_plan(merchant, **more)  # type: ignore[arg-type]


def first_of(app: Flask, plan_id: int) -> int:
    with app.app_context():
        return people.installments_of(plan_id)[0].id


def headline(page: str) -> str:
    match = re.search(r"<h1[^>]*>(.*?)</h1>", page, re.DOTALL)
    assert match
    return re.sub(r"<[^>]+>", "", match[1]).replace("\u00a0", " ").strip()


def test_a_customer_without_plans_sees_the_empty_page(app: Flask, ids: dict[str, int]) -> None:
    page = browser_of(app, "sara").get("/home").text
    assert headline(page) == "Nothing is due"
    assert "No plans yet" in page


def test_an_installment_due_today_is_the_headline_with_its_button(app: Flask, ids: dict[str, int]) -> None:
    plan(app, ids["amal"], total=1200_00, count=4, description="Oak desk")
    page = browser_of(app, "omar").get("/home").text
    assert headline(page) == "SAR 300.00 due today"
    assert "Pay SAR\u00a0300.00" in page
    assert "What comes next" in page and "0 of 4 paid" in page


def test_a_late_installment_comes_first_with_its_due_date(app: Flask, ids: dict[str, int]) -> None:
    plan(app, ids["amal"], total=100_00, count=1, description="Cake")
    plan(app, ids["badr"], total=3_000, count=1, first=-3, description="Cable")
    page = browser_of(app, "omar").get("/home").text
    assert headline(page) == "KWD 3.000 and SAR 100.00 are due"
    assert "3 days late" in page
    assert page.index("Cable") < page.index("Cake")


def test_with_nothing_due_the_next_installment_is_shown(app: Flask, ids: dict[str, int]) -> None:
    plan(app, ids["amal"], total=100_00, count=2, first=5)
    page = browser_of(app, "omar").get("/home").text
    assert headline(page) == "Nothing is due"
    assert "Next:" in page and "Pay SAR\u00a050.00" in page


def test_paying_from_home_returns_to_home(app: Flask, ids: dict[str, int]) -> None:
    plan_id = plan(app, ids["amal"], total=1200_00, count=4)
    omar, first = browser_of(app, "omar"), first_of(app, plan_id)
    response = omar.post(f"/installments/{first}/payments", data={"key": KEY, "shown": "30000", "from": "home"})
    assert (response.status_code, response.location) == (303, "/home")
    page = omar.get("/home").text
    assert headline(page) == "SAR 300.00 paid"
    assert "Latest receipts" in page
    assert headline(omar.get("/home").text) == "Nothing is due"


def test_with_htmx_paying_swaps_the_whole_of_home(app: Flask, ids: dict[str, int]) -> None:
    plan_id = plan(app, ids["amal"], total=1200_00, count=4)
    omar, address = browser_of(app, "omar"), f"/installments/{first_of(app, plan_id)}/payments"
    data = {"key": KEY, "shown": "30000", "from": "home", "method": "card_declined"}
    declined = omar.post(address, data=data, headers=HTMX)
    assert declined.status_code == 402
    assert declined.text.lstrip().startswith('<div id="home"')
    assert "Your card was declined. Nothing was charged." in declined.text and 'id="pay-next"' in declined.text
    without = omar.post(address, data=data)
    assert without.status_code == 402 and "<html" in without.text and "Your card was declined." in without.text
    paid = omar.post(address, data={**data, "key": KEY + "-2", "method": "card_ok"}, headers=HTMX)
    assert paid.status_code == 200 and headline(paid.text) == "SAR 300.00 paid"


def test_home_polls_while_a_payment_is_checked(app: Flask, ids: dict[str, int]) -> None:
    plan_id = plan(app, ids["amal"], total=1200_00, count=4)
    omar, first = browser_of(app, "omar"), first_of(app, plan_id)
    data = {"key": KEY, "shown": "30000", "from": "home", "method": "card_lost_charged"}
    response = omar.post(f"/installments/{first}/payments", data=data, headers=HTMX)
    assert response.status_code == 202 and headline(response.text) == "SAR 300.00 is being checked"
    poll = f"/installments/{first}?from=home"
    assert poll in response.text
    assert omar.get(poll, headers=HTMX).status_code == 204
    with app.app_context():
        outcomes.settle_payment(db.session.scalars(select(Payment.id)).one())
    settled = omar.get(poll, headers=HTMX)
    assert headline(settled.text) == "SAR 300.00 paid" and "every 2s" not in settled.text


def test_with_every_plan_paid_home_says_so(app: Flask, ids: dict[str, int]) -> None:
    plan_id = plan(app, ids["amal"], total=100_00, count=1)
    with app.app_context():
        people.pay(people.installments_of(plan_id)[0].id, ids["omar"])
    page = browser_of(app, "omar").get("/home").text
    assert headline(page) == "Nothing is due" and "All your plans are paid." in page


def test_home_is_for_customers(app: Flask, ids: dict[str, int]) -> None:
    assert browser_of(app, "amal").get("/home").status_code == 403
    assert app.test_client().get("/home").location == "/login?next=/home"


def test_the_number_of_queries_is_independent_of_plans(app: Flask, ids: dict[str, int]) -> None:
    omar = browser_of(app, "omar")
    counts = []
    for plans in (2, 6):
        with app.app_context():
            for number in range(plans):
                merchant = ids["amal" if number % 2 else "badr"]
                plan_id = people.a_plan(merchant, total=9_000, count=3, first=-number)
                people.pay(people.installments_of(plan_id)[0].id, ids["omar"])
        with queries(app) as sent:
            assert omar.get("/home").status_code == 200
        counts.append(len(sent))
    assert counts[0] == counts[1], sent
