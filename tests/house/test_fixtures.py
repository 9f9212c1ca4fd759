"""The fixtures of the other tests."""

import pytest
import redis
from flask import Flask
from flask.ctx import AppContext
from flask.testing import FlaskClient
from playwright.sync_api import Browser
from sqlalchemy import BigInteger, Boolean, Date, Integer, select, text

from portal.errors import Invalid
from portal.extensions import db
from portal.reports.operations import checks
from portal.services.accounts import accounts
from portal.services.accounts.accounts import NewAccount
from tests.fixtures import people, servers
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


def rows() -> dict[str, list[tuple[object, ...]]]:
    """All rows without what differs between two calls of a service: instants, hashes and random texts."""
    stored = {}
    for table in db.metadata.sorted_tables:
        columns = [column for column in table.columns if isinstance(column.type, (Boolean, Date, Integer, BigInteger))]
        names = [column for column in table.columns if column.name in ("username", "email", "kind", "state", "role")]
        stored[table.name] = sorted(db.session.execute(select(*columns, *names)).all(), key=str) if columns else []
    db.session.rollback()
    return {name: found for name, found in stored.items() if found}


def fill() -> tuple[int, ...]:
    amal, omar = people.amal(), people.omar()
    return amal, omar, people.a_plan(amal), people.a_plan(amal, "nadia@example.com", count=1)


def test_remembered_rows_are_those_that_the_services_make(app: Flask, context: AppContext) -> None:
    """The first calls are made, the second are read, the third are written. Ids of later rows go on behind them."""
    made = []
    for _ in range(3):
        servers.fresh_database(servers.database_name(), db.engine)
        made.append((fill(), rows(), people.sara(), people.an_operator(), people.a_plan(1), rows()))
    assert made[0] == made[1] == made[2]
    assert made[0][0] == (1, 2, 1, 2)
    assert [(rule, count) for rule, count in checks.run() if count] == []


def test_after_another_write_nothing_is_remembered(context: AppContext) -> None:
    """An account of the same name, made otherwise, refuses the second."""
    for _ in range(3):
        servers.fresh_database(servers.database_name(), db.engine)
        assert people.amal() == 1
        accounts.register(NewAccount("customer", "omar", "other@example.com", people.PASSWORD))
        with pytest.raises(Invalid):
            people.omar()


def test_accounts_of_another_connection_are_noticed(context: AppContext) -> None:
    for _ in range(3):
        servers.fresh_database(servers.database_name(), db.engine)
        with servers.administrator(servers.database_name()) as connection:
            connection.execute("SELECT nextval('users_id_seq')")
        assert people.amal() == 2
