"""The fixtures of the other tests."""

import pytest
import redis
from flask import Flask
from flask.ctx import AppContext
from flask.testing import FlaskClient
from playwright.sync_api import Browser
from sqlalchemy import text

from portal.extensions import db
from tests.fixtures.live import Live


def test_a_test_writes_and_commits(context: AppContext) -> None:
    db.session.execute(text("CREATE TABLE made_by_a_test (n int)"))
    db.session.commit()
    assert db.session.scalar(text("SELECT count(*) FROM made_by_a_test")) == 0


def test_the_next_test_has_an_empty_database(context: AppContext) -> None:
    assert db.session.scalar(text("SELECT to_regclass('made_by_a_test')")) is None
    assert db.session.scalar(text("SELECT count(*) FROM alembic_version")) == 1


def test_a_request_reaches_the_database(client: FlaskClient, app: Flask) -> None:
    assert client.get("/readyz").status_code == 200


def test_valkey_is_empty_and_writable(valkey: redis.Redis) -> None:
    assert valkey.dbsize() == 0
    valkey.set("left", "over")


@pytest.mark.browser
def test_the_live_system_answers_a_browser(live: Live, browser: Browser) -> None:
    page = browser.new_page()
    response = page.goto(live.url + "/readyz")
    assert response
    assert response.status == 200
    page.close()
