"""A merchant's page for API keys."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from portal.domain import clock
from portal.extensions import db
from portal.models import Merchant
from portal.services.accounts import api_keys
from portal.services.accounts.api_keys import LIVE_MAX
from portal.web.labels import one_use_key
from tests.fixtures import people
from tests.web import browser_of

PAGE = "/settings/api-keys"


@pytest.fixture
def amal(app: Flask, database: str) -> FlaskClient:
    with app.app_context():
        people.amal()
    return browser_of(app, "amal")


def form_key(page: TestResponse) -> str:
    match = re.search(r'name="key" type="hidden" value="([\w-]{16,64})"', page.text)
    assert match, page.text
    return match[1]


def new_key(text: str) -> str:
    match = re.search(r'value="(qist_[a-z2-7]{10}\.[\w-]{43})"', text)
    assert match, text
    return match[1]


def test_a_new_key_is_shown_once_and_works(app: Flask, amal: FlaskClient) -> None:
    assert "No keys yet" in amal.get(PAGE).text
    created = amal.post(PAGE, data={"name": "Web shop", "permissions": ["create_plans", "invite"]})
    assert created.status_code == 201 and created.headers["Cache-Control"] == "no-store"
    key = new_key(created.text)
    after = amal.get(PAGE).text
    assert (
        key not in after
        and key.partition(".")[0] in after
        and "Read, Make plans and Invite customers" in after
        and "Never" in after
    )
    bearer = {"Authorization": f"Bearer {key}"}
    with app.test_client().get("/auth/me/", headers=bearer) as response:  # the use is noted as it is closed
        assert response.json["username"] == "amal"
    assert "Never" not in amal.get(PAGE).text


def test_a_revoked_key_is_refused(app: Flask, amal: FlaskClient) -> None:
    key = new_key(amal.post(PAGE, data={"name": "Web shop"}).text)
    match = re.search(r"/settings/api-keys/(\d+)/revoke", amal.get(PAGE).text)
    assert match
    assert "Revoke this key?" in amal.get(f"{PAGE}?revoke={match[1]}").text
    assert amal.post(match[0]).status_code == 303
    assert "Revoked" in amal.get(PAGE).text
    refused = app.test_client().get("/auth/me/", headers={"Authorization": f"Bearer {key}"})
    assert refused.status_code == 401


def test_a_key_is_hidden_from_other_accounts(app: Flask, amal: FlaskClient) -> None:
    amal.post(PAGE, data={"name": "Web shop"})
    match = re.search(r"/settings/api-keys/\d+/revoke", amal.get(PAGE).text)
    assert match
    with app.app_context():
        people.badr()
        people.omar()
    badr, omar = browser_of(app, "badr"), browser_of(app, "omar")
    assert "Web shop" not in badr.get(PAGE).text
    assert badr.post(match[0]).status_code == 404
    assert omar.get(PAGE).status_code == 403 and omar.post(match[0]).status_code == 403
    assert app.test_client().get(PAGE).status_code in (302, 303)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"name": " "}, "Enter a name"),
        ({"name": "x" * 201}, "at most 200"),
        ({"name": "a\x00b"}, "can&#39;t be used"),
        ({"name": "ok", "expires_on": "soon"}, "Enter a day like"),
        ({"name": "ok", "expires_on": "2020-01-01"}, "today or a later day"),
        ({"name": "ok", "permissions": "team"}, "that your own role has"),
    ],
)
def test_an_error_stands_beside_its_field(amal: FlaskClient, sent: dict[str, str], message: str) -> None:
    response = amal.post(PAGE, data=sent)
    assert response.status_code == 422
    assert message in response.text
    assert "No keys yet" in response.text


def test_the_same_form_sent_again_creates_no_second_key(app: Flask, amal: FlaskClient) -> None:
    form = {"key": form_key(amal.get(PAGE)), "name": "Web shop", "permissions": ["create_plans", "invite"]}
    created = amal.post(PAGE, data=form)
    again = amal.post(PAGE, data=form)
    assert (created.status_code, again.status_code) == (201, 409)
    assert new_key(created.text) not in again.text and "can’t be shown again" in again.text
    other = amal.post(PAGE, data=form | {"name": "Till"})
    assert other.status_code == 422 and "A key was made from this page already" in other.text
    assert amal.get(PAGE).text.count("<bdi>Web shop</bdi>") == 2, "in the list, and in the question about it"
    assert amal.post(PAGE, data=form | {"name": "Till", "key": form_key(other)}).status_code == 201
    assert form_key(created) != form["key"]
    broken = amal.post(PAGE, data=form | {"key": "x"})
    assert broken.status_code == 422 and "send the form again" in broken.text


def test_eight_concurrent_submits_create_one_key(app: Flask, amal: FlaskClient) -> None:
    form = {"key": one_use_key(), "name": "Web shop", "permissions": ["create_plans", "invite"]}
    browsers = [browser_of(app, "amal") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda browser: browser.post(PAGE, data=form).status_code, browsers))
    assert sorted(codes) == [201] + [409] * 7


def test_a_key_expires_at_the_end_of_its_last_local_day(app: Flask, amal: FlaskClient) -> None:
    last = clock.today("Asia/Riyadh") + timedelta(days=2)  # after today, so the session of this test is still valid
    midnight = datetime.combine(last + timedelta(days=1), time.min, ZoneInfo("Asia/Riyadh"))
    key = new_key(amal.post(PAGE, data={"name": "Till", "expires_on": last.isoformat()}).text)
    assert f"{last.day} {last:%b %Y}" in amal.get(PAGE).text
    bearer = {"Authorization": f"Bearer {key}"}
    with time_machine.travel(midnight - timedelta(seconds=1), tick=False):
        assert app.test_client().get("/auth/me/", headers=bearer).status_code == 200
    with time_machine.travel(midnight, tick=False):
        assert app.test_client().get("/auth/me/", headers=bearer).status_code == 401
        assert "Expired" in amal.get(PAGE).text


def test_the_number_of_live_keys_is_limited(app: Flask, amal: FlaskClient) -> None:
    with app.app_context():
        owner = people.owner(db.session.scalars(db.select(Merchant.id)).one())
        for number in range(LIVE_MAX - 1):
            api_keys.create(owner, name=f"Till {number}")
    assert amal.post(PAGE, data={"name": "The last"}).status_code == 201
    response = amal.post(PAGE, data={"name": "One more"})
    assert response.status_code == 409 and "Revoke one" in response.text
