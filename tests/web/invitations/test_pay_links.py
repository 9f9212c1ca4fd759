"""The pay link of a plan: the business sees it, so it pays and does nothing else."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.extensions import db
from portal.models import PaymentMethod, User
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from tests.fixtures import people
from tests.fixtures.people import PASSWORD
from tests.web import browser_of
from tests.web.acts import words
from tests.web.payments.test_plan_payments import pay

CREDENTIALS = {"username": "layla", "password": PASSWORD}


@pytest.fixture
def plan(app: Flask, database: str) -> int:
    """A plan of Amal's for Layla, who has no account."""
    with app.app_context():
        amal = people.amal()
        people.omar()
        new = NewPlan("layla@example.com", 100_00, 3, people.today_of(amal), "monthly", "Wedding cake")
        return plans.open_plan(people.owner(amal), new).plan_id


def shown_link(app: Flask, plan: int) -> str:
    """The path of the link that the plan's page shows to the business."""
    page = browser_of(app, "amal").get(f"/plans/{plan}").text
    (link,) = set(re.findall(r"http://localhost(/invitations/[\w-]+)", page))
    return link


def an_account_exists(app: Flask) -> bool:
    with app.app_context():
        return db.session.scalars(db.select(User).where(User.has_email("layla@example.com"))).one().is_claimed


@pytest.mark.parametrize("name", ["nobody", "amal", "omar"])
def test_a_merchant_who_pays_a_cent_by_the_link_takes_no_account(app: Flask, plan: int, name: str) -> None:
    """The merchant opens the link that the plan's page shows, pays 0.01, and tries to set a password."""
    link = shown_link(app, plan)
    stranger = app.test_client() if name == "nobody" else browser_of(app, name)
    assert "SAR 33.34" in words(stranger.get(link))
    for press in (1, 2):
        claimed = stranger.post(link, data=CREDENTIALS)
        assert claimed.status_code == 403 and "This link is for paying only" in claimed.text
        assert not an_account_exists(app)
        if press == 1:
            assert pay(stranger, plan, address=f"{link}/pay", choice="amount", amount="0.01").status_code == 303
    assert app.test_client().post("/login", data={"login": "layla", "password": PASSWORD}).status_code == 401
    with app.app_context():
        assert db.session.scalars(db.select(PaymentMethod)).all() == []


def test_every_page_of_the_link_masks_the_email_and_offers_no_account(
    app: Flask, plan: int, client: FlaskClient
) -> None:
    link = shown_link(app, plan)
    declined = pay(client, plan, address=f"{link}/pay", choice="all", method="card_declined")
    receipt = client.get(pay(client, plan, address=f"{link}/pay", choice="next").location)
    pages = [client.get(link), client.get(f"{link}/pay"), declined, receipt, client.post(link, data=CREDENTIALS)]
    for page in pages:
        assert "layla@example.com" not in page.text
        assert 'name="password"' not in page.text and 'name="username"' not in page.text
        assert "set one up" not in page.text
        assert page.headers["Referrer-Policy"] == "no-referrer" and page.headers["Cache-Control"] == "no-store"
    for page in (pages[0], receipt, pages[-1]):
        assert "l***@example.com" in page.text


def test_the_customers_own_link_shows_the_email_and_offers_an_account(app: Flask, plan: int) -> None:
    with app.app_context():
        link = f"/invitations/{people.token_of(plan)}"
    client = app.test_client()
    assert "layla@example.com" in client.get(link).text and 'name="password"' in client.get(link).text
    receipt = client.get(pay(client, plan, address=f"{link}/pay", choice="next").location)
    assert "layla@example.com" in receipt.text and "set one up" in receipt.text
