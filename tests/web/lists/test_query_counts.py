"""A page of a business with a thousand plans takes no more queries than one of ten plans, and few bytes."""

import gzip

import pytest
import time_machine
from flask import Flask
from sqlalchemy import text

from portal.domain import clock
from portal.extensions import db
from portal.services.accounts.passwords import hash_password
from portal.services.books import totals
from tests.fixtures import servers
from tests.fixtures.people import PASSWORD
from tests.fixtures.query_log import queries
from tests.reports.large_shop import FILL
from tests.reports.test_explain import MERCHANTS
from tests.web import browser_of

PAGES = (
    "/dashboard", "/plans", "/plans?status=overdue", "/plans?sort=due", "/plans?sort=customer", "/plans?search=cake",
    "/plans/new", "/customers", "/customers?show=owing", "/customers?show=overdue", "/customers?search=customer",
    "/customers?sort=-owed", "/customers?from=2020-01-01", "/installments", "/installments?status=late",
    "/installments?search=cake", "/payments", "/payments?sort=amount", "/payments?search=customer", "/refunds",
    "/movements", "/search?search=cake", "/imports", "/customers/contacts",
)  # fmt: skip
MAX_BYTES = 20 * 1024
"""Of a page as it is sent, compressed with gzip, without its style sheet and scripts, which the browser keeps."""


def costs(app: Flask, plans: int) -> dict[str, tuple[int, int]]:
    """Queries and bytes of each page of a business with this many plans of four installments."""
    with app.app_context():
        servers.fresh_database(servers.database_name(), db.engine)
        with db.engine.begin() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            size = {"plans": 2 * plans, "people": plans + MERCHANTS, "merchants": MERCHANTS}
            for statement in FILL.replace("n % 330", "n * 37 % 330").split(";"):  # a mix among ten plans, too
                connection.execute(text(statement), size)
            password = {"hash": hash_password(PASSWORD)}
            connection.execute(text("UPDATE users SET password_hash = :hash WHERE id = 8"), password)
            connection.execute(text("ANALYZE"))  # plans of empty tables, kept from other tests, take minutes
        totals.rebuild()
    owner = browser_of(app, "person8")
    measured = {}
    with time_machine.travel(clock.now(), tick=False):  # a session notes its use once a minute, on whichever page it is
        for page in PAGES:
            owner.get(page)
            with queries(app) as sent:
                response = owner.get(page)
            assert response.status_code == 200, page
            measured[page] = len(sent), len(gzip.compress(response.data))
    return measured


@pytest.mark.long
@pytest.mark.usefixtures("database")
def test_pages_cost_the_same_for_ten_plans_and_for_a_thousand(app: Flask) -> None:
    few, many = costs(app, 10), costs(app, 1_000)
    more = {page: (few[page][0], queries) for page, (queries, _) in many.items() if queries > few[page][0]}
    assert more == {}, "queries with ten plans and with a thousand"
    assert max(queries for queries, _ in many.values()) <= 16, many
    assert {page: size for page, (_, size) in many.items() if size > MAX_BYTES} == {}
