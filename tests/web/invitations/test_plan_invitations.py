"""The links on the plan's page of a business: what was mailed and opened, and the acts with their confirmations."""

import re
from urllib.parse import unquote_plus

import pytest
from flask import Flask

from portal.services.mail import delivery
from portal.services.plans import invitations
from tests.fixtures import people
from tests.fixtures.mails import Catcher
from tests.web import browser_of
from tests.web.acts import words

ACTS = {
    "mail-again": ("/invitation/mail", "customer", "The customer gets a new link by mail."),
    "revoke-mailed": ("/invitation/mail/revoke", "customer", "does not open the plan any more"),
    "renew-pay": ("/invitation", "pay", "New pay link made."),
    "revoke-pay": ("/invitation/revoke", "pay", "Pay link revoked."),
}


@pytest.fixture
def plan(app: Flask, database: str) -> int:
    with app.app_context():
        return people.a_plan(people.amal(), "layla@example.com")


@pytest.mark.parametrize("ask", ACTS)
def test_each_act_asks_first_without_javascript_too(app: Flask, plan: int, ask: str) -> None:
    address, kind, done = ACTS[ask]
    amal = browser_of(app, "amal")
    page = amal.get(f"/plans/{plan}").text
    assert f'id="ask-{ask}"' in page and f"/plans/{plan}?ask={ask}#plan-links" in page
    question_page = amal.get(f"/plans/{plan}?ask={ask}").text
    assert question_page.count(f'action="/plans/{plan}{address}"') == page.count(f'action="/plans/{plan}{address}"') + 1
    with app.app_context():
        before = people.token_of(plan, kind)  # type: ignore[arg-type]
    sent = amal.post(f"/plans/{plan}{address}", follow_redirects=True)
    assert done in words(sent)
    with app.app_context():
        assert invitations.find(before or "") is None
        other = "pay" if kind == "customer" else "customer"
        assert invitations.find(people.token_of(plan, other) or "")


def test_an_unknown_question_is_not_asked(app: Flask, plan: int) -> None:
    assert 'id="asked-title"' not in browser_of(app, "amal").get(f"/plans/{plan}?ask=delete-everything").text


def test_the_page_says_what_was_mailed_to_whom_and_when(app: Flask, plan: int, catcher: Catcher) -> None:
    amal = browser_of(app, "amal")
    shown = words(amal.get(f"/plans/{plan}"))
    assert "A mail to layla@example.com with a link of their own is on its way." in shown
    with app.app_context():
        delivery.drain()
    shown = words(amal.get(f"/plans/{plan}"))
    assert "A mail with a link of their own went to layla@example.com on" in shown
    assert "The link was not opened yet." in shown
    with app.app_context():
        invitations.revoke(plan, "customer", actor=people.owner(people.plan_of(plan).merchant_id))
    shown = words(amal.get(f"/plans/{plan}"))
    assert "The link does not work any more." in shown


def test_the_page_says_that_a_mail_could_not_be_delivered(app: Flask, plan: int, catcher: Catcher) -> None:
    catcher.answer = lambda recipient: "550 5.1.1 no such mailbox"
    with app.app_context():
        delivery.drain()
    shown = words(browser_of(app, "amal").get(f"/plans/{plan}"))
    assert "The mail to layla@example.com could not be delivered. Is the email right?" in shown


def test_a_fourth_link_by_mail_in_a_day_is_refused(app: Flask, plan: int) -> None:
    amal = browser_of(app, "amal")
    for _ in range(2):
        assert "The customer gets a new link" in words(
            amal.post(f"/plans/{plan}/invitation/mail", follow_redirects=True)
        )
    page = amal.post(f"/plans/{plan}/invitation/mail", follow_redirects=True)
    assert "This address got 3 mails from you within a day" in words(page)


def test_a_plan_beyond_the_limit_is_refused_beside_the_email(app: Flask, plan: int) -> None:
    with app.app_context():
        for _ in range(2):
            people.a_plan(people.plan_of(plan).merchant_id, "layla@example.com")
    form = {
        "key": "one-use-key-0123456789", "customer_email": "layla@example.com", "total_amount": "60",
        "num_installments": "2", "interval": "monthly", "start_date": "2199-01-01", "description": "A cake",
    }  # fmt: skip
    page = browser_of(app, "amal").post("/plans", data=form)
    assert page.status_code == 422 and 'id="customer_email-error"' in page.text
    assert "This address got 3 mails from you within a day, which is the most. Try again tomorrow." in words(page)
    assert 'value="60"' in page.text


def test_the_pay_link_is_passed_on_by_whatsapp_qr_code_and_the_device(app: Flask, database: str) -> None:
    with app.app_context():
        amal = people.amal()
        plan_id = people.a_plan(amal, "new@example.com")
        token = people.token_of(plan_id, "pay")
    page = browser_of(app, "amal").get(f"/plans/{plan_id}").text
    address = f"/invitations/{token}"
    assert f'value="http://localhost{address}"' in page and f'data-share-url="http://localhost{address}"' in page
    whatsapp = re.search(r'href="https://wa\.me/\?text=([^"]+)"', page)
    assert whatsapp and unquote_plus(whatsapp[1]).endswith(f"{address}")
    assert "Amal" in unquote_plus(whatsapp[1]) and "A cake" not in unquote_plus(whatsapp[1])
    assert "<svg" in page and 'class="qr"' in page and "style=" not in page[page.index('class="qr"') :][:2000]
    customers = people_token(app, plan_id)
    assert customers not in page, "the customer's own link is on no page"


def people_token(app: Flask, plan_id: int) -> str:
    with app.app_context():
        return people.token_of(plan_id, "customer") or "none"
