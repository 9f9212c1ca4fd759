"""Lists and books as files."""

import csv
import io

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.extensions import db
from portal.models import Plan
from portal.web.lists import downloads
from tests.fixtures import people
from tests.fixtures.business import everything
from tests.fixtures.query_log import queries
from tests.web import browser_of

FILES = ("/plans.csv", "/customers.csv", "/payments.csv", "/installments.csv", "/journal.csv")


@pytest.fixture
def ids(app: Flask, database: str) -> dict[str, int]:
    with app.app_context():
        return everything()


def rows(client: FlaskClient, address: str) -> list[dict[str, str]]:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.get_data().decode("utf-8"), newline="")))


@pytest.mark.parametrize("address", FILES)
def test_each_is_an_attachment_of_that_merchant_alone(app: Flask, ids: dict[str, int], address: str) -> None:
    answer = browser_of(app, "amal").get(address)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith(f'attachment; filename="{address[1:-4]}-20')
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(rows(browser_of(app, "amal"), address)) >= 1
    assert rows(browser_of(app, "badr"), address) == []


def test_text_is_whole_and_runs_nowhere(app: Flask, ids: dict[str, int]) -> None:
    nasty = ["=1+1", "+1", "-1", "@SUM(A1)", "＝1", 'He said "5, then 6"', "شاي", " =1"]
    with app.app_context():
        for text in nasty:
            people.a_plan(ids["amal"], total=1_50, count=1, description=text)
    found = [row["description"] for row in rows(browser_of(app, "amal"), "/plans.csv")][-len(nasty) :]
    assert found == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'＝1", 'He said "5, then 6"', "شاي", "'=1"]
    assert [downloads.safe(cell) for cell in ("\t1", "\r1", "\n1", -5, None, "")] == [
        "'\t1",
        "'\r1",
        "'\n1",
        -5,
        None,
        "",
    ]


def test_amounts_and_dates_can_be_read_by_machines(app: Flask, ids: dict[str, int]) -> None:
    with app.app_context():
        people.a_plan(ids["badr"], "omar@example.com", total=1_234_567, count=1, first=9)
        start = db.session.scalars(db.select(Plan).order_by(Plan.id.desc())).first()
        assert start is not None
        day = start.start_date.isoformat()
    (row,) = rows(browser_of(app, "badr"), "/plans.csv")
    assert (row["total"], row["currency"], row["start_date"], row["closed_at"]) == ("1234.567", "KWD", day, "")
    assert row["created_at"].endswith("+00:00") and "T" in row["created_at"]


def test_all_rows_come_however_many_in_one_query(
    app: Flask, ids: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list has 20 on a page; the file has them all, sent in pieces as they are read."""
    monkeypatch.setattr(downloads, "CHUNK_CHARACTERS", 300)
    with app.app_context():
        for number in range(25):
            people.a_plan(ids["amal"], total=100, count=1, description=f"Order {number}")
    amal = browser_of(app, "amal")
    with queries(app) as sent:
        answer = amal.get("/plans.csv?search=order")
        pieces = list(answer.iter_encoded())
    assert len(pieces) > 5
    assert b"".join(pieces).count(b"\r\n") == 26
    assert len([statement for statement in sent if "FROM plans" in statement]) == 1


def test_the_same_words_narrow_list_and_file(app: Flask, ids: dict[str, int]) -> None:
    amal = browser_of(app, "amal")
    assert [row["status"] for row in rows(amal, "/plans.csv?status=cancelled&sort=oldest")] == ["cancelled"]
    assert {row["state"] for row in rows(amal, "/payments.csv?state=declined")} == {"declined"}
    assert {row["status"] for row in rows(amal, "/installments.csv?status=late")} == {"late"}
    assert len(rows(amal, "/customers.csv?show=overdue&search=omar")) == 1
    assert rows(amal, "/payments.csv?from=2001-01-01&to=2001-12-31") == []
    assert rows(amal, "/journal.csv?to=2001-12-31") == []
    page = amal.get("/plans?status=cancelled").text
    assert 'href="/plans.csv?status=cancelled"' in page


@pytest.mark.parametrize(
    "address",
    ["/plans.csv?status=odd", "/customers.csv?show=odd", "/payments.csv?from=never", "/installments.csv?currency=XXX"],
)
def test_a_file_that_can_t_be_meant_is_not_there(app: Flask, ids: dict[str, int], address: str) -> None:
    assert browser_of(app, "amal").get(address).status_code == 404


@pytest.mark.parametrize("query", ["from=31/12/2026", "to=2026-02-30", "from=2026-03-02&to=2026-03-01", "to=%00"])
def test_days_that_are_none_are_told_beside_their_field(app: Flask, ids: dict[str, int], query: str) -> None:
    answer = browser_of(app, "amal").get(f"/journal.csv?{query}")
    assert answer.status_code == 422 and "Error: Journal" in answer.text
    assert "Enter a day like" in answer.text or "lies before the first one" in answer.text


def test_customers_have_no_files(app: Flask, ids: dict[str, int]) -> None:
    omar = browser_of(app, "omar")
    assert {omar.get(address).status_code for address in (*FILES, "/journal", "/customers")} == {403}
    assert ".csv" not in omar.get("/plans").text + omar.get("/payments").text
