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
    found = re.search(r'name="key" type="hidden" value="([\w-]{16,64})"', page.text)
    assert found, page.text
    return found[1]


def new_key(text: str) -> str:
    found = re.search(r'value="(qist_[a-z2-7]{10}\.[\w-]{43})"', text)
    assert found, text
    return found[1]


def test_amal_makes_a_key_that_is_shown_once_and_works(app: Flask, amal: FlaskClient) -> None:
    assert "No keys yet" in amal.get(PAGE).text
    made = amal.post(PAGE, data={"name": "Web shop", "scope": "write"})
    assert made.status_code == 201 and made.headers["Cache-Control"] == "no-store"
    key = new_key(made.text)
    after = amal.get(PAGE).text
    assert key not in after and key.partition(".")[0] in after and "Read and write" in after and "Never" in after
    bearer = {"Authorization": f"Bearer {key}"}
    assert app.test_client().get("/auth/me/", headers=bearer).json["username"] == "amal"
    assert "Never" not in amal.get(PAGE).text


def test_a_revoked_key_is_refused(app: Flask, amal: FlaskClient) -> None:
    key = new_key(amal.post(PAGE, data={"name": "Web shop", "scope": "read"}).text)
    found = re.search(r"/settings/api-keys/(\d+)/revoke", amal.get(PAGE).text)
    assert found
    assert "Revoke this key?" in amal.get(f"{PAGE}?revoke={found[1]}").text
    assert amal.post(found[0]).status_code == 303
    assert "Revoked" in amal.get(PAGE).text
    refused = app.test_client().get("/auth/me/", headers={"Authorization": f"Bearer {key}"})
    assert refused.status_code == 401


def test_nobody_else_sees_or_revokes_amals_key(app: Flask, amal: FlaskClient) -> None:
    amal.post(PAGE, data={"name": "Web shop", "scope": "read"})
    found = re.search(r"/settings/api-keys/\d+/revoke", amal.get(PAGE).text)
    assert found
    with app.app_context():
        people.badr()
        people.omar()
    badr, omar = browser_of(app, "badr"), browser_of(app, "omar")
    assert "Web shop" not in badr.get(PAGE).text
    assert badr.post(found[0]).status_code == 404
    assert omar.get(PAGE).status_code == 403 and omar.post(found[0]).status_code == 403
    assert app.test_client().get(PAGE).status_code in (302, 303)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"name": " "}, "Enter a name"),
        ({"name": "x" * 81}, "at most 80"),
        ({"name": "a\x00b"}, "can&#39;t be used"),
        ({"name": "ok", "expires_on": "soon"}, "Enter a day like"),
        ({"name": "ok", "expires_on": "2020-01-01"}, "today or a later day"),
        ({"name": "ok", "scope": "admin"}, "Not a valid choice"),
    ],
)
def test_what_is_wrong_is_told_beside_its_field(amal: FlaskClient, sent: dict[str, str], message: str) -> None:
    answer = amal.post(PAGE, data={"scope": "read", **sent})
    assert answer.status_code == 422
    assert message in answer.text
    assert "No keys yet" in answer.text


def test_one_form_makes_one_key(app: Flask, amal: FlaskClient) -> None:
    form = {"key": form_key(amal.get(PAGE)), "name": "Web shop", "scope": "write"}
    made = amal.post(PAGE, data=form)
    again = amal.post(PAGE, data=form)
    assert (made.status_code, again.status_code) == (201, 409)
    assert new_key(made.text) not in again.text and "can’t be shown again" in again.text
    other = amal.post(PAGE, data=form | {"name": "Till"})
    assert other.status_code == 422 and "A key was made from this page already" in other.text
    assert amal.get(PAGE).text.count("<bdi>Web shop</bdi>") == 2, "in the list, and in the question about it"
    assert amal.post(PAGE, data=form | {"name": "Till", "key": form_key(other)}).status_code == 201
    assert form_key(made) != form["key"]
    broken = amal.post(PAGE, data=form | {"key": "x"})
    assert broken.status_code == 422 and "send the form again" in broken.text


def test_a_form_sent_eight_times_at_once_makes_one_key(app: Flask, amal: FlaskClient) -> None:
    form = {"key": one_use_key(), "name": "Web shop", "scope": "write"}
    browsers = [browser_of(app, "amal") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda browser: browser.post(PAGE, data=form).status_code, browsers))
    assert sorted(codes) == [201] + [409] * 7


def test_a_key_ends_with_its_last_local_day(app: Flask, amal: FlaskClient) -> None:
    last = clock.today("Asia/Riyadh") + timedelta(days=2)  # Amal signed in just now, so the days count from today
    midnight = datetime.combine(last + timedelta(days=1), time.min, ZoneInfo("Asia/Riyadh"))
    key = new_key(amal.post(PAGE, data={"name": "Till", "scope": "read", "expires_on": last.isoformat()}).text)
    assert f"{last.day} {last:%b %Y}" in amal.get(PAGE).text
    bearer = {"Authorization": f"Bearer {key}"}
    with time_machine.travel(midnight - timedelta(seconds=1), tick=False):
        assert app.test_client().get("/auth/me/", headers=bearer).status_code == 200
    with time_machine.travel(midnight, tick=False):
        assert app.test_client().get("/auth/me/", headers=bearer).status_code == 401
        assert "Expired" in amal.get(PAGE).text


def test_there_are_only_so_many_keys(amal: FlaskClient) -> None:
    for number in range(LIVE_MAX):
        assert amal.post(PAGE, data={"name": f"Till {number}", "scope": "read"}).status_code == 201
    answer = amal.post(PAGE, data={"name": "One more", "scope": "read"})
    assert answer.status_code == 409 and "Revoke one" in answer.text
