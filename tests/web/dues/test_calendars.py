"""Due dates in a calendar: the feed at its secret address, and the file of one plan."""

import html
import re

import pytest
from flask import Flask
from icalendar import Calendar
from sqlalchemy import select

from portal.extensions import db
from portal.models import User
from portal.services.accounts import accounts
from portal.services.operations import account_deactivations
from portal.services.privacy import erasures
from tests.fixtures import people
from tests.web import browser_of


@pytest.fixture
def ids(app: Flask, database: str) -> dict[str, int]:
    with app.app_context():
        made = {"amal": people.amal(), "omar": people.omar(), "sara": people.sara()}
        made["cake"] = people.a_plan(made["amal"], total=1000_00, count=4, first=-3, description="A secret purchase")
        people.a_plan(made["amal"], "sara@example.com", total=70_00, count=1)
        people.pay(people.installments_of(made["cake"])[0].id, made["omar"])
        return made


def address_of(page: str) -> str:
    match = re.search(r'value="(http[^"]*/calendar/[^"]+)"', page)
    assert match
    return html.unescape(match[1])


def path_of(address: str) -> str:
    return "/" + address.split("/", 3)[3]


def events(body: bytes) -> list[dict[str, str]]:
    found = Calendar.from_ical(body).walk("VEVENT")
    return [{name.lower(): event[name].to_ical().decode() for name in event} for event in found]


def test_the_feed_holds_the_open_dates_and_nothing_but_shop_amount_and_number(app: Flask, ids: dict[str, int]) -> None:
    omar = browser_of(app, "omar")
    assert "Off." in omar.get("/account/calendar").text
    made = omar.post("/account/calendar")
    assert made.headers["Cache-Control"] == "no-store" and "webcal://" in made.text
    address = address_of(made.text)
    feed = app.test_client().get(path_of(address))
    assert (feed.status_code, feed.mimetype) == (200, "text/calendar")
    assert feed.headers["Cache-Control"] == "no-store" and feed.headers["Referrer-Policy"] == "no-referrer"
    assert feed.headers["X-Robots-Tag"] == "noindex" and "Content-Encoding" not in feed.headers
    dates = events(feed.data)
    with app.app_context():
        rows = [(row.id, row.due_date) for row in people.installments_of(ids["cake"])[1:]]
    assert [each["dtstart"] for each in dates] == [day.strftime("%Y%m%d") for _, day in rows]
    assert [each["uid"].split("@")[0] for each in dates] == [f"installment-{row_id}" for row_id, _ in rows]
    assert dates[0]["summary"].replace("\u00a0", " ") == "Amal's Bakery: SAR 250.00\\, 2 of 4"
    assert set(dates[0]) == {"uid", "dtstamp", "dtstart", "dtend", "summary", "transp"}
    for secret in (b"secret purchase", b"omar", b"@example.com", b"70.00"):
        assert secret not in feed.data


def test_the_address_is_stored_as_a_digest_and_shown_once(app: Flask, ids: dict[str, int]) -> None:
    omar = browser_of(app, "omar")
    token = address_of(omar.post("/account/calendar").text).rsplit("/", 1)[1]
    page = omar.get("/account/calendar").text
    assert token not in page and "On since" in page
    with app.app_context():
        stored = db.session.scalars(select(User.calendar_hash).where(User.id == ids["omar"])).one()
        assert stored is not None and token.encode() not in stored and len(stored) == 32


def test_a_new_address_ends_the_one_before_and_ending_ends_it(app: Flask, ids: dict[str, int]) -> None:
    omar, reader = browser_of(app, "omar"), app.test_client()
    first = path_of(address_of(omar.post("/account/calendar").text))
    second = path_of(address_of(omar.post("/account/calendar").text))
    assert (reader.get(first).status_code, reader.get(second).status_code) == (404, 200)
    assert omar.post("/account/calendar/end").location == "/account/calendar"
    assert reader.get(second).status_code == 404
    assert "Off." in omar.get("/account/calendar").text


@pytest.mark.parametrize("how", ["deactivated", "erased"])
def test_the_feed_of_a_closed_account_ends(app: Flask, ids: dict[str, int], how: str) -> None:
    feed = path_of(address_of(browser_of(app, "sara").post("/account/calendar").text))
    with app.app_context():
        if how == "deactivated":
            account_deactivations.deactivate(ids["sara"], actor=None, reason="Asked for it")
            account_deactivations.reactivate(ids["sara"], actor=None, reason="Came back")
        else:
            people.pay(_only(ids["sara"]), ids["sara"])
            erasures.erase(ids["sara"], password=people.PASSWORD)
    assert app.test_client().get(feed).status_code == 404


def _only(customer_id: int) -> int:
    row = db.session.execute(db.text("SELECT id FROM installments WHERE customer_id = :id"), {"id": customer_id})
    return int(row.scalar_one())


def test_the_feed_speaks_the_accounts_language(app: Flask, ids: dict[str, int], arabic: None) -> None:
    with app.app_context():
        accounts.set_language(ids["omar"], "ar")
    feed = path_of(address_of(browser_of(app, "omar").post("/account/calendar").text))
    assert "مواعيد" in app.test_client().get(feed).data.decode()


def test_the_file_of_a_plan_is_for_its_customer(app: Flask, ids: dict[str, int]) -> None:
    address = f"/plans/{ids['cake']}/calendar.ics"
    omar = browser_of(app, "omar")
    assert address in omar.get(f"/plans/{ids['cake']}").text
    response = omar.get(address)
    assert len(events(response.data)) == 3
    assert response.headers["Content-Disposition"] == f'attachment; filename="qist-{ids["cake"]}.ics"'
    assert browser_of(app, "sara").get(address).status_code == 404
    assert browser_of(app, "amal").get(address).status_code == 403


def test_a_disputed_plan_has_no_dates(app: Flask, ids: dict[str, int]) -> None:
    with app.app_context():
        disputed = db.text("UPDATE plans SET disputed = true, disputed_at = now() WHERE id = :id")
        db.session.execute(disputed, {"id": ids["cake"]})
        db.session.commit()
    feed = path_of(address_of(browser_of(app, "omar").post("/account/calendar").text))
    assert events(app.test_client().get(feed).data) == []
