"""Lists and the journal as CSV files."""

import csv
import io
import re
from datetime import date

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from portal.domain import clock
from portal.extensions import db
from portal.models import Plan
from portal.web.lists import downloads
from portal.web.lists.ranges import past_ranges
from tests.fixtures import people
from tests.fixtures.business import everything
from tests.fixtures.query_log import queries
from tests.pages.pseudo_language import english
from tests.web import browser_of

FILES = (
    "/plans.csv",
    "/customers.csv",
    "/payments.csv",
    "/refunds.csv",
    "/installments.csv",
    "/journal.csv",
    "/movements.csv",
)


@pytest.fixture
def ids(app: Flask, database: str) -> dict[str, int]:
    with app.app_context():
        return everything()


def rows(client: FlaskClient, address: str) -> list[dict[str, str]]:
    response = client.get(address)
    assert response.status_code == 200, response.text
    return list(csv.DictReader(io.StringIO(response.get_data().decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("address", FILES)
def test_each_file_is_an_attachment_with_rows_of_its_merchant_only(
    app: Flask, ids: dict[str, int], address: str
) -> None:
    response = browser_of(app, "amal").get(address)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"].startswith(f'attachment; filename="{address[1:-4]}-20')
    assert response.headers["Cache-Control"] == "no-store"
    assert len(rows(browser_of(app, "amal"), address)) >= 1
    assert rows(browser_of(app, "badr"), address) == []


def test_text_is_complete_and_never_a_formula(app: Flask, ids: dict[str, int]) -> None:
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "＝1", 'He said "5, then 6"', "شاي", " =1"]
    with app.app_context():
        for text in texts:
            people.a_plan(ids["amal"], total=1_50, count=1, description=text)
    descriptions = [row["description"] for row in rows(browser_of(app, "amal"), "/plans.csv")]
    assert descriptions[: len(texts)][::-1] == [
        "'=1+1",
        "'+1",
        "-1",
        "'@SUM(A1)",
        "'＝1",
        'He said "5, then 6"',
        "شاي",
        "'=1",
    ]
    assert [downloads.safe(cell) for cell in ("\t1", "\r1", "\n1", -5, None, "")] == [
        "'\t1",
        "'\r1",
        "'\n1",
        -5,
        None,
        "",
    ]


CELLS = {
    "+tel@example.com": "+tel@example.com",
    "-x.y+z@mail.example.com": "-x.y+z@mail.example.com",
    "-1,234.50": "-1,234.50",
    "+966 50 000": "'+966 50 000",
    "%1": "'%1",
    "|x": "'|x",
    "=cmd|'/C calc'!A0": "'=cmd|'/C calc'!A0",
    "=1+1@example.com": "'=1+1@example.com",
    "+SUM(A1)@example.com": "'+SUM(A1)@example.com",
    "Tea;=1+1": "Tea;'=1+1",
    "Tea|@SUM(A1)": "Tea|'@SUM(A1)",
    'Tea; "=1+1': "Tea;' \"=1+1",
    "Tea\t=1": "Tea\t'=1",
    "Tea; cake | 1 = 1": "Tea; cake | 1 = 1",
    "a=b-c": "a=b-c",
}


@pytest.mark.parametrize("cell", CELLS)
def test_a_formula_is_defused_behind_every_separator_and_an_email_stays(cell: str) -> None:
    assert downloads.safe(cell) == CELLS[cell]


def test_texts_are_quoted_and_numbers_are_not(app: Flask, ids: dict[str, int]) -> None:
    with app.app_context():
        people.a_plan(ids["badr"], "omar@example.com", total=1_500, count=1, description="Tea;cake")
    header, row = browser_of(app, "badr").get("/plans.csv").text.removeprefix("\ufeff").splitlines()
    assert header.startswith('"plan","external_id","customer_email"')
    assert '"Tea;cake","KWD",1.500,' in row


def test_amounts_and_dates_are_machine_readable(app: Flask, ids: dict[str, int]) -> None:
    with app.app_context():
        people.a_plan(ids["badr"], "omar@example.com", total=1_234_567, count=1, first=9)
        plan = db.session.scalars(db.select(Plan).order_by(Plan.id.desc())).first()
        assert plan is not None
        day = plan.start_date.isoformat()
    (row,) = rows(browser_of(app, "badr"), "/plans.csv")
    assert (row["total"], row["currency"], row["start_date"], row["closed_at"]) == ("1234.567", "KWD", day, "")
    assert row["created_at"].endswith("+00:00") and "T" in row["created_at"]


def test_a_file_has_all_rows_and_needs_one_query(
    app: Flask, ids: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list has pages of 20; the file has all rows and is streamed in chunks. A search looks up its plans before."""
    monkeypatch.setattr(downloads, "CHUNK_CHARACTERS", 300)
    with app.app_context():
        for number in range(25):
            people.a_plan(ids["amal"], total=100, count=1, description=f"Order {number}")
    amal = browser_of(app, "amal")
    for address, number in (("/plans.csv", 1), ("/plans.csv?search=order", 2)):
        with queries(app) as sent:
            chunks = list(amal.get(address).iter_encoded())
        assert len(chunks) > 5
        of_plans = [text for text in sent if "FROM plans" in text and "FROM user_sessions" not in text]
        assert len(of_plans) == number
    assert b"".join(chunks).count(b"\r\n") == 26


def test_the_same_parameters_narrow_a_list_and_its_file(app: Flask, ids: dict[str, int]) -> None:
    amal = browser_of(app, "amal")
    assert [row["status"] for row in rows(amal, "/plans.csv?status=cancelled&sort=made")] == ["cancelled"]
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
def test_a_file_with_an_invalid_parameter_is_404(app: Flask, ids: dict[str, int], address: str) -> None:
    assert browser_of(app, "amal").get(address).status_code == 404


@pytest.mark.parametrize("query", ["from=31/12/2026", "to=2026-02-30", "from=2026-03-02&to=2026-03-01", "to=%00"])
def test_an_invalid_day_is_reported_beside_its_field(app: Flask, ids: dict[str, int], query: str) -> None:
    response = browser_of(app, "amal").get(f"/journal.csv?{query}")
    assert response.status_code == 422 and "Error: Journal" in response.text
    assert "Enter a day like" in response.text or "lies before the first one" in response.text


def test_a_list_is_sorted_by_its_headings_and_its_file_follows(app: Flask, ids: dict[str, int]) -> None:
    amal = browser_of(app, "amal")
    plain = amal.get("/plans?status=active").text
    assert 'aria-sort="descending"><a href="/plans?status=active&amp;sort=made"' in " ".join(plain.split())
    page = " ".join(amal.get("/plans?status=active&sort=-total").text.split())
    assert 'aria-sort="descending"><a href="/plans?status=active&amp;sort=total"' in page
    assert page.count("aria-sort") == 1 and 'href="/plans.csv?status=active&amp;sort=-total"' in page
    totals = [float(row["total"]) for row in rows(amal, "/plans.csv?sort=-total")]
    assert totals == sorted(totals, reverse=True)
    for address in ("/plans", "/installments", "/payments", "/refunds", "/movements", "/customers"):
        assert amal.get(f"{address}?sort=odd").status_code == 400
        assert amal.get(f"{address}.csv?sort=odd").status_code == 404
    assert amal.get("/customers?sort=late").status_code == 400, "only the late are sorted by it"
    assert amal.get("/customers?show=overdue&sort=late").status_code == 200


@pytest.mark.parametrize("address", ["/plans", "/installments", "/payments", "/refunds", "/movements"])
def test_days_narrow_a_list_and_wrong_ones_are_explained(app: Flask, ids: dict[str, int], address: str) -> None:
    amal = browser_of(app, "amal")
    page = amal.get(f"{address}?from=2001-01-01&to=2001-12-31").text
    assert "1 Jan 2001" in page and "This week" in page
    for days, words in (
        ("from=2026-03-02&to=2026-03-01", "The last day lies before the first one."),
        ("from=2026-02-30", "Enter a day like"),
    ):
        wrong = amal.get(f"{address}?{days}")
        assert wrong.status_code == 400 and words in wrong.text and days[5:15] in wrong.text


@time_machine.travel("2026-11-28T22:30:00Z", tick=False)
def test_a_week_begins_as_it_does_in_the_country_of_the_time_zone(app: Flask) -> None:
    """In Riyadh it is Sunday, the first day of the week; in Berlin it is Saturday, which belongs to Monday's week."""
    with app.test_request_context():
        weeks = {
            zone: {words: first for words, first, _last in past_ranges(clock.today(zone), zone)}["This week"]
            for zone in ("Asia/Riyadh", "Europe/Berlin", "UTC")
        }
    assert weeks == {"Asia/Riyadh": date(2026, 11, 29), "Europe/Berlin": date(2026, 11, 23), "UTC": date(2026, 11, 23)}


def test_customers_have_no_files(app: Flask, ids: dict[str, int]) -> None:
    omar = browser_of(app, "omar")
    assert {omar.get(address).status_code for address in (*FILES, "/journal", "/customers")} == {403}
    assert ".csv" not in omar.get("/plans").text + omar.get("/payments").text


def test_a_file_begins_with_a_byte_order_mark_and_words_the_methods(app: Flask, ids: dict[str, int]) -> None:
    """Without the mark Excel shows Arabic as garbage. Before, the method of a payment was `card_ok`."""
    amal = browser_of(app, "amal")
    assert amal.get("/payments.csv").data.startswith(b"\xef\xbb\xbf")
    payments = rows(amal, "/payments.csv")
    assert not [row for row in payments if row["method"].startswith("card_")]
    assert {"Cash", "Bank transfer"} < {english(row["method"]) for row in payments}
    for row in payments:
        assert row["created_on"] and row["created_at"].endswith("+00:00")
    kept = {row["plan"]: row for row in rows(amal, "/plans.csv")}[str(ids["back_plan"])]
    assert float(kept["kept"]) == float(kept["paid"]) - float(kept["refunded"]) and float(kept["refunded"]) > 0
    refunded = sum(float(row["amount"]) for row in rows(amal, "/refunds.csv") if row["state"] == "succeeded")
    assert refunded == sum(float(row["refunded"]) for row in payments)


@pytest.mark.usefixtures("arabic")
@pytest.mark.parametrize("address", [*FILES, "/journal.hledger", "/journal.beancount"])
def test_an_arabic_file_has_no_marks_of_direction(app: Flask, ids: dict[str, int], address: str) -> None:
    """A filter of a spreadsheet would not find a text with invisible letters in it."""
    response = browser_of(app, "amal").get(address, headers={"Accept-Language": "ar"})
    assert response.status_code == 200
    assert not set("\u2066\u2067\u2068\u2069") & set(response.get_data().decode())
    assert address != "/payments.csv" or re.search("[\u0600-\u06ff]", response.text)
