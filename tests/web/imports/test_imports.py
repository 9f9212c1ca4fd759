"""Pages of imports: a file, its columns, the dry run, the import and its sending, as a browser without JavaScript."""

import io
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from portal.domain import uploads
from portal.extensions import db
from portal.models import Import, Plan, PlanDraft
from portal.services.imports import imports
from portal.services.plans import drafts
from tests.fixtures import operations, people
from tests.services.imports import spreadsheets
from tests.services.imports.spreadsheets import a_file
from tests.web import browser_of
from tests.web.merchants.test_standings import said

SEMICOLONS = (
    "\ufeffالبريد;الاسم;المبلغ;الأقساط;أول قسط;المنتج\r\n"
    "omar@example.com;عمر حداد;1.200,50;4;31/01/2030;أريكة\r\n"
    "nadia@example.com;نادية;٩٠٠;3;28/02/2030;مكتب\r\n"
).encode()


@pytest.fixture
def amal(app: Flask, database: str) -> FlaskClient:
    with app.app_context():
        people.amal()
        people.omar()
    return browser_of(app, "amal")


def send_file(browser: FlaskClient, content: bytes, kind: str = "plans", name: str = "plans.csv") -> TestResponse:
    return browser.post("/imports", data={"kind": kind, "file": (io.BytesIO(content), name)})


def total(app: Flask, table: type) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(table)) or 0


def chosen_in(page: str) -> dict[str, str]:
    """The values that the form of the columns shows, by field."""
    chosen = {}
    for name, options in re.findall(r'<select[^>]*name="([\w-]+)"[^>]*>(.*?)</select>', page, re.S):
        selected = re.search(r'<option value="(\w+)" selected|<option selected value="(\w+)"', options)
        chosen[name] = (selected[1] or selected[2]) if selected else ""
    if count := re.search(r'name="num_installments"[^>]*value="(\w+)"', page):
        chosen["num_installments"] = count[1]
    return chosen


def shown_in(page: str) -> str:
    (shown,) = re.findall(r'name="shown" value="(\w{64})"', page)
    return shown


def import_of(browser: FlaskClient, content: bytes, kind: str = "plans") -> str:
    """The address of an import of this file, carried out on the pages."""
    columns = send_file(browser, content, kind).location
    address = columns.removesuffix("/columns")
    assert browser.post(columns, data=chosen_in(browser.get(columns).text)).location == f"{address}/check"
    done = browser.post(f"{address}/carry-out", data={"shown": shown_in(browser.get(f"{address}/check").text)})
    assert done.location == address
    return address


def test_a_file_of_semicolons_becomes_plans_in_five_steps(app: Flask, amal: FlaskClient) -> None:
    assert "No imports yet" in amal.get("/imports").text
    assert 'enctype="multipart/form-data"' in amal.get("/imports/new").text
    columns = send_file(amal, SEMICOLONS, name="خطط.csv").location
    address = columns.removesuffix("/columns")
    page = amal.get(columns).text
    assert "خطط.csv" in page and "أريكة" in page
    assert chosen_in(page) | {"interval": ""} == {
        "column-0": "customer_email", "column-1": "name", "column-2": "total_amount", "column-3": "num_installments",
        "column-4": "start_date", "column-5": "description", "date_order": "day", "interval": "",
    }  # fmt: skip
    assert amal.post(columns, data=chosen_in(page)).location == f"{address}/check"
    checked = amal.get(f"{address}/check").text
    assert "SAR\xa02,100.50" in checked and "SAR\xa01,200.50" in checked and "31 Jan 2030" in checked
    assert "Import 2 plans" in checked and "عمر حداد" in checked
    assert total(app, PlanDraft) == 0
    assert "Not imported yet" in amal.get("/imports").text
    for _ in range(2):
        assert amal.post(f"{address}/carry-out", data={"shown": shown_in(checked)}).location == address
    assert (total(app, PlanDraft), total(app, Plan)) == (2, 0)
    page = amal.get(address).text
    assert "Send all 2 plans" in page and "نادية" in page and "20 more new customers" in page
    assert "2 not sent" in amal.get("/imports").text
    sent = amal.post(f"{address}/send", data={"all": "1"}, follow_redirects=True).text
    assert "2 plans are on their way." in sent and "On its way" in sent
    assert "They were sent before." in amal.post(f"{address}/send", data={"all": "1"}, follow_redirects=True).text
    with app.app_context():
        drafts.open_all()
    done = amal.get(address).text
    assert "Every plan of this import was sent." in done
    (link,) = re.findall(r'href="(/plans\?import=\d+)"', done)
    listed = amal.get(link).text
    assert "Plans of one import." in listed and "أريكة" in listed and "مكتب" in listed
    assert amal.get("/plans.csv?" + link.partition("?")[2]).text.count("\n") == 3
    assert "Sent" in said(amal.get("/imports").text)
    assert amal.get(f"{address}/columns").location == address
    assert amal.get(f"{address}/check").location == address


def test_faults_stand_with_line_column_and_cell(app: Flask, amal: FlaskClient) -> None:
    content = a_file("omar@example.com,Omar,,900,3,2030-01-31,,", "nobody at all,Sara,,12x,3,soon,,")
    columns = send_file(amal, content).location
    address = columns.removesuffix("/columns")
    amal.post(columns, data=chosen_in(amal.get(columns).text))
    page = amal.get(f"{address}/check").text
    assert "3 problems to correct" in page and "carry-out" not in page
    rows = [said(row) for row in re.findall(r"<tr role=\"row\">(.*?)</tr>", page, re.S)]
    assert "3 Email nobody at all Enter an email address like name@example.com." in rows
    assert "3 Total 12x Enter an amount in digits, like 1200.00." in rows
    assert "3 First due date soon Write a day like 2026-12-31 or 31/12/2026." in rows
    with app.app_context():
        shown = imports.digest(spreadsheets.row_of(int(address.rpartition("/")[2])))
    refused = amal.post(f"{address}/carry-out", data={"shown": shown})
    assert refused.status_code == 409 and "There are 3 problems in this file now." in refused.text
    assert total(app, PlanDraft) == 0


def test_columns_can_be_chosen_and_wrong_choices_keep_what_was_typed(app: Flask, amal: FlaskClient) -> None:
    content = b"A;B;C\nomar@example.com;900;03/04/2030\n"
    columns = send_file(amal, content).location
    page = amal.get(columns).text
    assert chosen_in(page)["column-0"] == ""
    refused = amal.post(columns, data=chosen_in(page))
    assert refused.status_code == 422
    assert "Choose the column that holds: Customer’s email." in refused.text
    assert "Choose 1 to 60 installments." in refused.text
    twice = {"column-0": "customer_email", "column-1": "customer_email", "column-2": "start_date"}
    twice |= {"date_order": "month", "interval": "weekly", "num_installments": "5"}
    refused = amal.post(columns, data=twice)
    assert refused.status_code == 422 and "Two columns can" in refused.text
    assert chosen_in(refused.text) == twice
    for odd in ({"column-1": "password"}, {"date_order": "year"}, {"interval": "daily"}, {"num_installments": "9x"}):
        assert amal.post(columns, data=twice | {"column-1": "total_amount"} | odd).status_code == 422
    good = twice | {"column-1": "total_amount"}
    checked = amal.post(columns, data=good, follow_redirects=True).text
    assert "5 payments every week, from 4 Mar 2030" in said(checked)
    assert chosen_in(amal.get(columns).text) == good


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "Choose a CSV file that is not empty."),
        (b"PK\x03\x04\x00", "This is a spreadsheet, not a CSV file."),
        (b"Email,Name\n", "but no line under them"),
        (b"Email\x00", "read as text"),
        (b'Email\n"a', "The quotation marks of line 2"),
        (b"x," * 100 + b"\n1\n", "more than 60 columns"),
        (b"Email\n" + b"a@example.com\n" * 5001, "At most 5,000 lines can be imported at once."),
    ],
    ids=["empty", "archive", "names alone", "NUL", "open quotes", "many columns", "many rows"],
)
def test_files_that_cant_be_imported_are_refused_beside_the_field(
    app: Flask, amal: FlaskClient, content: bytes, words: str
) -> None:
    refused = send_file(amal, content)
    assert refused.status_code == 422 and words in refused.text
    assert total(app, Import) == 0


def test_a_file_over_the_bound_is_refused_on_its_page(app: Flask, amal: FlaskClient) -> None:
    for size, status in ((uploads.MAX_BYTES + 1, 422), (uploads.BODY_BYTES + 1, 413)):
        refused = send_file(amal, b"x" * size)
        assert refused.status_code == status and "At most 2 MB can be imported at once." in refused.text
    assert app.test_client().post("/imports", data=b"x" * (uploads.BODY_BYTES + 1)).status_code == 303
    assert amal.post("/plans", data={"description": "x" * 300_000}).status_code == 413
    assert total(app, Import) == 0


@pytest.mark.long
def test_a_large_file_within_the_bound_is_taken(app: Flask, amal: FlaskClient) -> None:
    address = import_of(amal, spreadsheets.plans_of(5000))
    assert total(app, PlanDraft) == 5000
    assert "Send all 5,000 plans" in amal.get(address).text


def test_no_file_and_no_kind_are_refused(app: Flask, amal: FlaskClient) -> None:
    assert amal.post("/imports", data={}).status_code == 422
    assert send_file(amal, spreadsheets.plans_of(1), kind="wishes").status_code == 422
    assert total(app, Import) == 0


def test_a_selection_is_sent(app: Flask, amal: FlaskClient) -> None:
    address = import_of(amal, spreadsheets.plans_of(3))
    page = amal.get(address).text
    ids = re.findall(r'name="draft" value="(\d+)"', page)
    assert "Select at least one plan." in amal.post(f"{address}/send", data={}, follow_redirects=True).text
    odd = {"draft": [ids[0], "x", str(2**70), "999999", "²"]}
    assert "1 plan is on its way." in amal.post(f"{address}/send", data=odd, follow_redirects=True).text
    assert "Send all 2 plans" in amal.get(address).text
    assert len(re.findall('name="draft"', amal.get(f"{address}?state=unsent").text)) == 2
    assert amal.get(f"{address}?state=odd").status_code == 400
    assert amal.get(f"{address}?cursor=odd").status_code == 400


def test_drafts_are_listed_by_pages(app: Flask, amal: FlaskClient) -> None:
    address = import_of(amal, spreadsheets.plans_of(60))
    first = amal.get(address).text
    (following,) = re.findall(r'rel="next" href="([^"]+)"', first)
    assert len(re.findall('name="draft"', first)) == 50
    assert len(re.findall('name="draft"', amal.get(following.replace("&amp;", "&")).text)) == 10


def test_progress_is_a_fragment_that_follows_while_plans_are_made(app: Flask, amal: FlaskClient) -> None:
    address = import_of(amal, spreadsheets.plans_of(2))
    htmx = {"HX-Request": "true"}
    assert "hx-trigger" not in amal.get(address).text
    amal.post(f"{address}/send", data={"all": "1"})
    assert 'hx-trigger="every 5s"' in amal.get(address).text
    assert 'hx-trigger="every 5s"' in amal.get(f"{address}/progress", headers=htmx).text
    assert amal.get(f"{address}/progress").location == address
    with app.app_context():
        drafts.open_all()
    assert amal.get(f"{address}/progress", headers=htmx).headers["HX-Redirect"] == address


def test_an_import_is_discarded_behind_a_confirmation(app: Flask, amal: FlaskClient) -> None:
    address = import_of(amal, spreadsheets.plans_of(3))
    assert "Drafts that are deleted" in amal.get(f"{address}/discard").text
    assert "The import is discarded." in amal.post(f"{address}/discard", follow_redirects=True).text
    assert total(app, PlanDraft) == 0
    assert "This import was discarded." in amal.get(address).text
    waiting = send_file(amal, spreadsheets.plans_of(1)).location.removesuffix("/columns")
    assert "Delete this file?" in amal.get(f"{waiting}/discard").text
    amal.post(f"{waiting}/discard")
    assert amal.get(waiting).status_code == 404


def test_customers_are_imported(app: Flask, amal: FlaskClient) -> None:
    content = a_file("nadia@example.com,Nadia,+966501234567,VIP", header="Email,Name,Phone,Note")
    address = import_of(amal, content, "customers")
    page = amal.get(address).text
    assert "Nadia" in page and "+966501234567" in page and "Without a plan yet" in page
    assert "Imported" in said(amal.get("/imports").text)


def test_what_is_not_there_answers_404(app: Flask, amal: FlaskClient) -> None:
    with app.app_context():
        foreign = spreadsheets.imported(people.owner(people.badr()), a_file("z@example.com,,,9,3,2030-01-31,,"))
    for row in (foreign, 0, 2**70):
        for page in ("", "/columns", "/check", "/discard", "/progress"):
            assert amal.get(f"/imports/{row}{page}").status_code == 404
        for act in ("/columns", "/carry-out", "/send", "/discard"):
            assert amal.post(f"/imports/{row}{act}", data={"all": "1"}).status_code == 404
    assert total(app, PlanDraft) == 1


def test_a_waiting_business_imports_and_reads_that_it_waits(app: Flask, database: str) -> None:
    with app.app_context():
        operations.a_draft_merchant(app)
    address = import_of(browser_of(app, "dana"), spreadsheets.plans_of(2))
    page = browser_of(app, "dana").get(address).text
    assert "The plans that you send are made as soon as it is approved." in page
    assert "buyer-0@example.com" not in browser_of(app, "dana").get("/plans/drafts").text


def test_a_name_of_a_file_and_cells_are_shown_as_text(app: Flask, amal: FlaskClient) -> None:
    content = a_file("<script>x</script>,<b>,,9,3,2030-01-31,,")
    columns = send_file(amal, content, name="<img src=x>.csv").location
    assert "&lt;img" in amal.get(columns).text
    amal.post(columns, data=chosen_in(amal.get(columns).text))
    page = amal.get(columns.replace("columns", "check")).text
    assert "&lt;script&gt;" in page and "<script>x" not in page
