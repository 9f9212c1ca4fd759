"""The pages of "I don't know this shop", and the operator's list of reports."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.extensions import db
from portal.models import ShopReport
from portal.services.mail import delivery
from tests.fixtures import people
from tests.fixtures.mails import Catcher, html_of, text_of
from tests.web import browser_of
from tests.web.acts import words


@pytest.fixture
def plan(app: Flask, database: str) -> int:
    with app.app_context():
        people.an_operator()
        return people.a_plan(people.amal(), "nadia@example.com", description="BUY NOW http://evil.example")


@pytest.fixture
def link(app: Flask, plan: int) -> str:
    with app.app_context():
        return f"/invitations/{people.token_of(plan)}"


def reports(app: Flask) -> int:
    with app.app_context():
        return len(db.session.scalars(db.select(ShopReport)).all())


def test_a_stranger_reports_the_shop_without_an_account(app: Flask, client: FlaskClient, plan: int, link: str) -> None:
    page = client.get(f"{link}/unknown-shop")
    assert "Amal's Bakery made a plan of SAR 100.00 for your email." in words(page)
    assert "BUY NOW" not in page.text and reports(app) == 0
    for response in (page, client.post(f"{link}/unknown-shop"), client.post(f"{link}/unknown-shop")):
        assert response.headers["Referrer-Policy"] == "no-referrer" and response.headers["Cache-Control"] == "no-store"
    assert reports(app) == 1
    assert "you get no reminders of this plan" in words(client.get(f"{link}/unknown-shop"))

    shown = words(browser_of(app, "amal").get(f"/plans/{plan}"))
    assert "that it does not know you" in shown and "does not know the shop" in shown
    reminded = browser_of(app, "amal").post(f"/plans/{plan}/reminders", follow_redirects=True)
    assert "No reminder was sent." in words(reminded)

    olga = browser_of(app, "olga")
    page = olga.get("/operator")
    assert "Amal's Bakery" in words(page) and "Reports about this shop: 1" in words(page)
    assert "BUY NOW" not in page.text and "nadia" not in page.text and "/invitations/" not in page.text
    cleared = olga.post("/operator/shop-reports/1/clear", follow_redirects=True)
    assert "The report is off the list." in words(cleared) and "No report is open." in words(cleared)


def test_the_pay_link_reports_nothing(app: Flask, client: FlaskClient, plan: int) -> None:
    with app.app_context():
        pay_link = f"/invitations/{people.token_of(plan, 'pay')}"
    for method in ("GET", "POST"):
        response = client.open(f"{pay_link}/unknown-shop", method=method)
        assert response.status_code == 403 and "This link is for paying only" in response.text
    assert reports(app) == 0
    assert "unknown-shop" not in client.get(pay_link).text


def test_the_first_mail_has_the_shop_and_the_amount_and_not_the_purchase(
    app: Flask, plan: int, link: str, catcher: Catcher
) -> None:
    with app.app_context():
        delivery.drain()
    (mail,) = catcher.mails
    assert mail["Subject"] == "Amal's Bakery: a plan of SAR 100.00 in 3 payments"
    for text in (text_of(mail), html_of(mail)):
        assert "BUY NOW" not in text and "evil.example" not in text
        assert f"http://localhost{link}/unknown-shop" in text and f"http://localhost{link}" in text


def test_no_mail_has_the_purchase_until_the_customers_link_was_opened(
    app: Flask, plan: int, link: str, catcher: Catcher
) -> None:
    def pay(number: int) -> None:
        with app.app_context():
            row = people.installments_of(plan)[number - 1]
            people.pay(row.id, row.customer_id)
            delivery.drain()

    pay(1)
    assert len(catcher.mails) == 2
    for mail in catcher.mails:
        assert "BUY NOW" not in mail["Subject"] + text_of(mail) + html_of(mail)
    app.test_client().get(link)
    pay(2)
    assert "BUY NOW" in text_of(catcher.mails[-1])


@pytest.mark.parametrize("name", ["Win <b>now</b> @ evil", 'A "shop"', "x" * 200])
def test_the_name_of_the_shop_is_cleaned_in_mails_to_strangers(
    app: Flask, database: str, catcher: Catcher, name: str
) -> None:
    with app.app_context():
        people.a_plan(people.a_merchant("shop", business_name=name), "nadia@example.com")
        delivery.drain()
    (mail,) = catcher.mails
    assert not set('<>@"') & set(mail["Subject"].split(":")[0]) and len(mail["Subject"]) < 140
    assert mail["Subject"].endswith(": a plan of SAR 100.00 in 3 payments")
