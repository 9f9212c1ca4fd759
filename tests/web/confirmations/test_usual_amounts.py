"""The forms of received money and of refunds know the usual amounts."""

import re
from html import unescape

import pytest
from flask import Flask

from portal.extensions import db
from portal.models import Refund
from tests.fixtures import people
from tests.web import browser_of


@pytest.fixture
def plan_id(app: Flask, database: str) -> int:
    """Three installments of SAR 30.00: one paid, one late, one in the future."""
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        plan_id = people.a_plan(amal, total=90_00, count=3, first=-40)
        people.pay(people.installments_of(plan_id)[0].id, omar)
        return plan_id


def choices(page: str) -> dict[str, str]:
    """The words of the links with their addresses."""
    links = re.findall(r'href="([^"]+)"\s+data-fill="amount"\s+data-value="[^"]+"><span[^>]*>([^<]+)<', page)
    return {" ".join(unescape(words).replace("\u00a0", " ").split()): unescape(href) for href, words in links}


def test_received_money_offers_the_next_installment_and_all(app: Flask, plan_id: int) -> None:
    amal = browser_of(app, "amal")
    offered = choices(amal.get(f"/plans/{plan_id}/record-payment").text)
    assert list(offered) == ["Next installment, SAR 30.00", "All, SAR 60.00"]
    assert 'value="30.00"' in amal.get(offered["Next installment, SAR 30.00"]).text
    assert 'value="x"' not in amal.get(f"/plans/{plan_id}/record-payment?amount=x").text


def test_a_payment_is_refunded_in_four_presses(app: Flask, plan_id: int) -> None:
    amal = browser_of(app, "amal")
    payments = amal.get("/payments").text
    receipt = amal.get(re.findall(r'href="(/payments/[0-9]+)"', payments)[0]).text  # 1
    (address,) = re.findall(r'href="(/plans/[0-9]+/refund[^"]*)"', receipt)
    form = amal.get(unescape(address)).text  # 2
    assert 'value="30.00"' in form and list(choices(form)) == ["All, SAR 30.00"]
    action = f"/plans/{plan_id}/refund"
    chosen = re.findall(r'<option selected value="([0-9]+)"', form)
    typed = {"amount": "30.00", "payment": chosen[0], "reason": "Scratched"}
    asked = amal.post(action, data=typed | {"step": "check"}).text  # 3
    hidden = dict(re.findall(r'type="hidden" name="(key|shown)" value="([^"]*)"', asked))
    assert amal.post(action, data=typed | hidden | {"step": "confirm"}).status_code == 303  # 4
    with app.app_context():
        assert db.session.scalars(db.select(Refund.amount)).all() == [30_00]
