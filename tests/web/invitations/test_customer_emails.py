"""The page that corrects a plan's email."""

import pytest
from flask import Flask

from portal.services.plans import invitations
from tests.fixtures import people
from tests.web import browser_of
from tests.web.acts import words


@pytest.fixture
def plan(app: Flask, database: str) -> int:
    with app.app_context():
        people.omar()
        return people.a_plan(people.amal(), "leyla@example.com", description="A ring")


def test_a_typo_is_corrected(app: Flask, plan: int) -> None:
    amal = browser_of(app, "amal")
    assert f'href="/plans/{plan}/customer-email"' in amal.get(f"/plans/{plan}").text
    form = amal.get(f"/plans/{plan}/customer-email")
    assert 'value="leyla@example.com"' in form.text
    with app.app_context():
        former = people.token_of(plan) or ""
    done = amal.post(f"/plans/{plan}/customer-email", data={"customer_email": "layla@example.com"})
    assert (done.status_code, done.location) == (303, f"/plans/{plan}")
    page = words(amal.get(done.location))
    assert "The email is corrected, and both addresses are told." in page
    assert "layla@example.com" in page and "leyla" not in page and "Customer’s email corrected" in page
    with app.app_context():
        assert invitations.find(former) is None and invitations.find(people.token_of(plan) or "")


@pytest.mark.parametrize(
    ("email", "words_of_it"),
    [
        ("", "Enter an email address."),
        ("layla", "Enter an email address like name@example.com."),
        ("leyla@example.com", "This is the plan’s email already."),
        ("amal@example.com", "A plan can't be made for this email."),
    ],
)
def test_a_wrong_correction_is_refused_beside_the_field(app: Flask, plan: int, email: str, words_of_it: str) -> None:
    page = browser_of(app, "amal").post(f"/plans/{plan}/customer-email", data={"customer_email": email})
    assert page.status_code == 422 and 'id="customer_email-error"' in page.text and words_of_it in words(page)


def test_a_plan_on_which_something_happened_leads_back_and_says_why(app: Flask, plan: int) -> None:
    with app.app_context():
        people.pay(people.installments_of(plan)[0].id, people.plan_of(plan).customer_id)
    amal = browser_of(app, "amal")
    assert "customer-email" not in amal.get(f"/plans/{plan}").text
    for method in ("GET", "POST"):
        page = amal.open(
            f"/plans/{plan}/customer-email",
            method=method,
            data={"customer_email": "layla@example.com"} if method == "POST" else None,
            follow_redirects=True,
        )
        assert "its email stays as it is" in words(page) and "You can cancel the plan" in words(page)


def test_a_plan_of_an_account_offers_the_correction_too(app: Flask, plan: int) -> None:
    with app.app_context():
        other = people.a_plan(people.plan_of(plan).merchant_id)
    amal = browser_of(app, "amal")
    assert f"/plans/{other}/customer-email" in amal.get(f"/plans/{other}").text
    amal.post(f"/plans/{other}/customer-email", data={"customer_email": "layla@example.com"})
    assert browser_of(app, "omar").get(f"/plans/{other}").status_code == 404
