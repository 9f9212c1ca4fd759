"""The pages of webhook endpoints: the secret once, the log, send again, rotation, off and on, deletion."""

import re
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from standardwebhooks import Webhook

from portal.domain import clock
from portal.extensions import db
from portal.jobs import tasks
from portal.models import Merchant, User
from tests.fixtures import people, proofs
from tests.fixtures.webhooks import receiving
from tests.web import browser_of

PAGE = "/settings/webhooks"
SHOP = "https://shop.example.com/hooks"


@pytest.fixture
def amal(app: Flask, database: str) -> FlaskClient:
    with app.app_context():
        people.amal()
        people.omar()
    return browser_of(app, "amal")


def secret_of(text: str) -> str:
    match = re.search(r'value="(whsec_[\w+/=]{44})"', text)
    assert match, text
    return match[1]


def one_of(amal: FlaskClient) -> str:
    match = re.search(rf"{PAGE}/we_[0-9a-f]{{32}}", amal.get(PAGE).text)
    assert match
    return match[0]


def test_an_endpoint_is_made_and_its_secret_shown_once(app: Flask, amal: FlaskClient) -> None:
    assert "No endpoints yet" in amal.get(PAGE).text
    with receiving(lambda receiver: 500 if len(receiver.got) == 1 else 200) as receiver:
        made = amal.post(PAGE, data={"url": receiver.url, "types": ["plan.created"]})
        assert made.status_code == 201 and made.headers["Cache-Control"] == "no-store"
        secret, page = secret_of(made.text), one_of(amal)
        assert secret not in amal.get(page).text and "Nothing was sent yet" in amal.get(page).text
        with app.app_context():
            people.a_plan(db.session.scalars(db.select(Merchant.id)).one())
            tasks.deliver_webhooks()
        log = amal.get(page).text
        assert "plan.created" in log and "500" in log and "It has taken no event since" in log and "Waiting" in log
        with time_machine.travel(clock.now() + timedelta(minutes=1)), app.app_context():
            tasks.deliver_webhooks()
        log = amal.get(page).text
        assert "Delivered" in log
        again = re.search(rf"{page}/deliveries/evt_[0-9a-f]{{32}}/send", log)
        assert again and amal.post(again[0]).status_code == 303
        assert amal.post(again[0]).status_code == 303 and "waits to be sent" in amal.get(page).text
        with app.app_context():
            tasks.deliver_webhooks()
        headers, body = receiver.got[-1]
        assert Webhook(secret).verify(body, headers) and len(receiver.got) == 3


def test_a_secret_is_rotated_and_an_endpoint_turned_off_on_and_deleted(amal: FlaskClient) -> None:
    first = secret_of(amal.post(PAGE, data={"url": SHOP}).text)
    page = one_of(amal)
    assert secret_of(amal.post(f"{page}/rotate").text) != first
    assert amal.post(f"{page}/state").status_code == 303 and "It is off and gets no events" in amal.get(page).text
    assert amal.post(f"{page}/state", data={"enabled": "yes"}).status_code == 303
    assert "It is off" not in amal.get(page).text
    changed = amal.post(page, data={"url": f"{SHOP}/2", "types": ["payment.succeeded"]})
    assert changed.status_code == 303 and f"{SHOP}/2" in amal.get(PAGE).text
    assert "Delete this endpoint?" in amal.get(f"{page}?delete=yes").text
    assert amal.post(f"{page}/delete").status_code == 303 and "No endpoints yet" in amal.get(PAGE).text
    assert amal.get(page).status_code == 404


def test_an_address_stays_while_a_change_of_the_email_can_be_undone(app: Flask, amal: FlaskClient) -> None:
    amal.post(PAGE, data={"url": SHOP})
    page = one_of(amal)
    with app.app_context():
        proofs.change(db.session.scalars(db.select(User.id).where(User.username == "amal")).one(), "new@example.com")
    amal = browser_of(app, "amal")
    refused = amal.post(page, data={"url": f"{SHOP}/2"})
    assert refused.status_code == 409 and "changed less than 72 hours ago" in refused.text
    assert f'value="{SHOP}/2"' in refused.text and f"{SHOP}/2" not in amal.get(PAGE).text


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"url": ""}, "Enter the address"),
        ({"url": "http://shop.example.com/"}, "begins with https"),
        ({"url": "https://10.0.0.1/"}, "Nothing is sent to this address"),
        ({"url": "shop"}, "Enter an address like"),
        ({"url": SHOP, "types": ["plan.painted"]}, "This type of event is not known"),
    ],
)
def test_an_error_stands_beside_its_field_and_keeps_what_was_typed(
    amal: FlaskClient, sent: dict[str, str], message: str
) -> None:
    response = amal.post(PAGE, data=sent)
    assert response.status_code == 422 and message in response.text
    assert f'value="{sent["url"]}"' in response.text
    assert "No endpoints yet" in response.text


def test_the_same_form_sent_again_makes_no_second_endpoint(amal: FlaskClient) -> None:
    match = re.search(r'name="key" type="hidden" value="([\w-]{16,64})"', amal.get(PAGE).text)
    assert match
    form = {"key": match[1], "url": SHOP}
    assert [amal.post(PAGE, data=form).status_code for _ in range(2)] == [201, 409]
    assert len(set(re.findall(rf"{PAGE}/we_[0-9a-f]{{32}}", amal.get(PAGE).text))) == 1


def test_only_an_owner_sees_the_endpoints(app: Flask, amal: FlaskClient) -> None:
    amal.post(PAGE, data={"url": SHOP})
    page = one_of(amal)
    with app.app_context():
        people.badr()
    badr, omar = browser_of(app, "badr"), browser_of(app, "omar")
    assert badr.get(page).status_code == 404 and badr.post(f"{page}/delete").status_code == 404
    assert omar.get(PAGE).status_code == 403 and app.test_client().get(PAGE).status_code in (302, 303)
