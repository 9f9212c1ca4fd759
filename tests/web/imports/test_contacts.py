"""People whom a business imported and who have no plan of it: in its lists, its search and the form of a new plan."""

import json
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.domain import clock
from portal.errors import NotFound
from portal.extensions import db
from portal.models import Contact, Customer, Erasure, User
from portal.reports.exports import personal_data
from portal.services.imports import contacts
from portal.services.plans import plans
from portal.services.plans.pairs import Words
from portal.services.plans.plans import NewPlan
from portal.services.privacy import erasures
from tests.fixtures import people
from tests.services.imports import spreadsheets
from tests.services.imports.spreadsheets import a_file
from tests.web import browser_of

HEADER = "Email,Name,Phone,Note"
LIST = "/customers/contacts"


@pytest.fixture
def amal(app: Flask, database: str) -> int:
    """A business with three imported people, of whom one has an account."""
    with app.app_context():
        amal, _omar = people.amal(), people.omar()
        people.badr()
        lines = "omar@example.com,Omar H.,,Pays late", "zoe@example.com,Zoë Adel,+966 50 123 4567,", "x@example.com,,,"
        spreadsheets.imported(people.owner(amal), a_file(*lines, header=HEADER), "customers")
        return amal


@pytest.fixture
def browser(app: Flask, amal: int) -> FlaskClient:
    return browser_of(app, "amal")


def contact_id(app: Flask, email: str = "zoe@example.com") -> int:
    with app.app_context():
        return db.session.scalars(select(Contact.id).where(Contact.email == email)).one()


def test_the_list_of_customers_shows_and_counts_them(app: Flask, browser: FlaskClient) -> None:
    page = browser.get("/customers").text
    assert "Without a plan (3)" in page and "Zoë Adel" in page and "No customers yet" not in page
    listed = browser.get(LIST).text
    assert "3 in this list" in listed and "+966 50 123 4567" in listed and "x@example.com" in listed
    assert "Pays late" not in listed
    assert "Without a plan" not in browser_of(app, "badr").get("/customers").text


@pytest.mark.parametrize("text", ["adel", "ZOË", "zoe@exam", "0501234", "ad"])
def test_each_search_finds_them(browser: FlaskClient, text: str) -> None:
    for address in (LIST, "/customers", "/search"):
        page = browser.get(address, query_string={"search": text}).text
        assert "Zoë Adel" in page and "Omar H." not in page, address
    assert "Nobody without a plan fits" in browser.get(f"{LIST}?search=nobody").text
    assert "Nobody matches" in browser.get("/customers?search=nobody").text


def test_the_form_of_a_new_plan_offers_them(app: Flask, browser: FlaskClient) -> None:
    typed = {"customer_email": "zoe"}
    choices = browser.get("/plans/customers", query_string=typed, headers={"HX-Request": "true"}).text
    assert 'data-value="zoe@example.com"' in choices and "No plan yet" in choices
    form = browser.get(f"/plans/new?contact={contact_id(app)}").text
    assert 'value="zoe@example.com"' in form
    assert browser_of(app, "badr").get(f"/plans/new?contact={contact_id(app)}").status_code == 404


def test_the_file_holds_what_the_list_shows(browser: FlaskClient) -> None:
    rows = browser.get(f"{LIST}.csv?search=zo").text.splitlines()
    assert len(rows) == 2 and "zoe@example.com" in rows[1] and "Zoë Adel" in rows[1]


def test_a_persons_page_changes_their_words_and_deletes_them(app: Flask, browser: FlaskClient) -> None:
    address = f"{LIST}/{contact_id(app)}"
    assert "Zoë Adel" in browser.get(address).text
    wrong = browser.post(address, data={"name": "Zoe", "phone": "call me", "note": "x" * 501})
    assert wrong.status_code == 422 and "phone-error" in wrong.text and "note-error" in wrong.text
    assert 'value="Zoe"' in wrong.text and "Zoë Adel" in browser.get(LIST).text
    assert browser.post(address, data={"name": "Zoe", "phone": "", "note": "Friend"}).location == address
    assert "Friend" in browser.get(address).text and "Zoe" in browser.get(f"{LIST}?search=zoe").text
    assert browser.post(f"{address}/remove").location == LIST
    assert browser.get(address).status_code == 404 and "2 in this list" in browser.get(LIST).text


def test_another_business_changes_nothing(app: Flask, amal: int) -> None:
    with app.app_context():
        badr = people.owner(db.session.scalars(select(User.id).where(User.username == "badr")).one())
        for act in (
            lambda: contacts.describe(contact_id(app), Words(name="x"), actor=badr),
            lambda: contacts.remove(1, actor=badr),
        ):
            with pytest.raises(NotFound):
                act()


def test_the_first_plan_makes_a_customer_of_them(app: Flask, amal: int, browser: FlaskClient) -> None:
    contact_id(app)
    with app.app_context():
        plans.open_plan(people.owner(amal), NewPlan("ZOE@example.com", 90_00, 3, people.today_of(amal)))
        assert db.session.scalars(select(Customer.name)).all() == ["Zoë Adel"]
    assert "Without a plan (2)" in browser.get("/customers").text


def test_a_person_reads_what_was_imported_about_them_and_erases_it(app: Flask, amal: int) -> None:
    with app.app_context():
        omar = db.session.scalars(select(User.id).where(User.username == "omar")).one()
        told = json.loads("".join(personal_data.stream(omar)))["shops_that_imported_you"]
        assert [(row["name"], row["phone"]) for row in told] == [("Omar H.", None)]
        assert "Pays late" not in json.dumps(told)
        erasures.erase(omar, password=people.PASSWORD)
        assert db.session.scalars(select(Contact.email).order_by(Contact.email)).all() == [
            "x@example.com",
            "zoe@example.com",
        ]


def test_a_restore_erases_what_was_imported_about_erased_people_again(app: Flask, amal: int) -> None:
    """Also of a person who registered after the backup, whose account the restored database does not know."""
    with app.app_context():
        omar = db.session.scalars(select(User.id).where(User.username == "omar")).one()
        erasures.erase(omar, password=people.PASSWORD)
        erased = db.session.scalars(select(Erasure)).one()
        listed = erased.user_id, erased.created_at, erased.erased_at, erased.email_hash
        db.session.rollback()
        spreadsheets.imported(people.owner(amal), a_file("OMAR@example.com,Omar,,", header=HEADER), "customers")
        later = clock.now() + timedelta(days=1)
        assert erasures.erase_again(10**9, later, later, b"x" * 32) == "unknown"
        assert "omar@example.com" in {contact.lower() for contact in db.session.scalars(select(Contact.email))}
        db.session.rollback()
        assert erasures.erase_again(10**9, *listed[1:]) == "unknown"
        assert "omar@example.com" not in {contact.lower() for contact in db.session.scalars(select(Contact.email))}
