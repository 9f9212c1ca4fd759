"""Every field for a typed text accepts, stores and refuses the same texts."""

import csv
import io
import json
import re
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from markupsafe import escape
from sqlalchemy import delete
from sqlalchemy.orm import InstrumentedAttribute

from portal.domain import clock, typed_text
from portal.extensions import db
from portal.models import ApiKey, Merchant, Plan
from portal.services import mail_limits
from portal.services.accounts import merchant_settings
from portal.services.agreements import disputes
from portal.services.mail import delivery
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from tests import first_in_time
from tests.fixtures import operations, people
from tests.fixtures.agreements import acceptance
from tests.fixtures.mails import outbox
from tests.fixtures.people import PASSWORD
from tests.web import browser_of
from tests.web.acts import a_cash_payment, a_world, check, do, words

CASES: dict[str, Any] = json.loads((Path(__file__).parents[1] / "cases" / "texts.json").read_text())
ACCEPTED: dict[str, str] = {text: typed_text.read(text) for text in CASES["accept"]} | CASES["accept_trimmed"]
REFUSED: list[str] = CASES["refuse"] + CASES["refuse_too_long"]
SHOP = {"home_currency": "SAR", "time_zone": "Asia/Riyadh", "grace_days": "0"}


@dataclass(frozen=True)
class Field:
    """A field of a form that saves at once, and the column that stores it."""

    name: str
    address: str
    stored: InstrumentedAttribute[str]
    beside: dict[str, str] = field(default_factory=dict)


SAVED_FIELDS = (
    Field("business_name", "/settings", Merchant.business_name, SHOP),
    Field("name", "/settings/api-keys", ApiKey.name, {}),
    Field(
        "description",
        "/plans",
        Plan.description,
        {
            "customer_email": "omar@example.com",
            "total_amount": "10",
            "num_installments": "1",
            "start_date": "2099-01-01",
        }
        | {"interval": "monthly"},
    ),
)
ACTIONS = (
    ("reason", "/plans/{plan}/refund", {"amount": "1", "payment": "newest"}),
    ("reason", "/plans/{plan}/credit", {"amount": "1", "how": "last"}),
    ("reason", "/plans/{plan}/reschedule", {"how": "shift", "days": "1"}),
    ("reason", "/payments/{cash}/void", {}),
    ("reason", "/plans/{plan}/record-payment", {"amount": "1", "method": "cash"}),
    ("reference", "/plans/{plan}/record-payment", {"amount": "1", "method": "cash"}),
    ("reason", "/plans/{plan}/write-off", {}),
    ("reason", "/plans/{plan}/cancel", {"give_back": "keep"}),
)


@pytest.fixture
def world(app: Flask, database: str) -> tuple[int, int]:
    return a_world(app)


@pytest.mark.parametrize("text", first_in_time(SAVED_FIELDS), ids=lambda text: text.address)
def test_a_form_stores_the_texts_that_it_accepts(
    app: Flask, world: tuple[int, int], text: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merchant_settings, "MAX_RENAMES", len(ACCEPTED))
    amal = browser_of(app, "amal")
    for typed, stored in ACCEPTED.items():
        response = amal.post(text.address, data=text.beside | {text.name: typed, "key": one_use_key(amal, text)})
        assert response.status_code in (201, 303), ascii(typed)
        with app.app_context():
            newest = db.select(text.stored).order_by(text.stored.class_.__table__.primary_key.columns[0].desc())
            shop = Merchant.business_name != "Badr Electronics"
            query = newest.where(shop) if text.stored.class_ is Merchant else newest
            assert db.session.scalars(query.limit(1)).one() == stored, ascii(typed)
            db.session.execute(delete(ApiKey))
            db.session.commit()


@pytest.mark.parametrize("text", first_in_time(SAVED_FIELDS), ids=lambda text: text.address)
def test_a_form_explains_the_texts_that_it_refuses(app: Flask, world: tuple[int, int], text: Field) -> None:
    amal = browser_of(app, "amal")
    key = one_use_key(amal, text)
    for typed in REFUSED:
        response = amal.post(text.address, data=text.beside | {text.name: typed, "key": key})
        assert response.status_code == 422, ascii(typed)
        assert f'id="{text.name}-error"' in response.text, ascii(typed)


def test_a_registration_has_the_same_rule_for_the_business_name(app: Flask, client: FlaskClient) -> None:
    shop = SHOP | {"role": "merchant", "password": PASSWORD}
    for number, typed in enumerate((*ACCEPTED, *REFUSED)):
        person = {"username": f"shop{number}", "email": f"shop{number}@example.com", "business_name": typed}
        response = app.test_client().post("/register", data=shop | person)
        assert response.status_code == (303 if typed in ACCEPTED else 422), ascii(typed)
        assert ('id="business_name-error"' in response.text) == (typed in REFUSED)
    with app.app_context():
        assert set(db.session.scalars(db.select(Merchant.business_name))) == set(ACCEPTED.values())


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "address", "beside"),
    [ACTIONS[0], *(pytest.param(*action, marks=pytest.mark.long) for action in ACTIONS[1:])],
)
def test_an_action_on_a_plan_has_the_same_rule(
    app: Flask, world: tuple[int, int], name: str, address: str, beside: dict[str, str]
) -> None:
    plan, _ = world
    amal, address = browser_of(app, "amal"), address.format(plan=plan, cash=a_cash_payment(app, plan))
    needed = {"reason": "Because"} if name != "reason" else {}
    needed |= {"received_on": clock.today("Asia/Riyadh").isoformat()} if "method" in beside else {}
    for typed in REFUSED:
        response = check(amal, address, **(beside | needed | {name: typed}))
        assert response.status_code == 422 and f'id="{name}-error"' in response.text, ascii(typed)
    for typed in ACCEPTED:
        assert check(amal, address, **(beside | needed | {name: typed})).status_code == 200, ascii(typed)
    page = do(amal, address, **(beside | needed | {name: "\ufeff tab\tinside, e\u0301 "}))
    shown = amal.get("/payments/3") if name == "reference" else page
    assert "tab inside, é" in words(shown)


@pytest.mark.long
def test_reasons_and_answers_on_pages_of_their_own_have_the_same_rule(app: Flask, world: tuple[int, int]) -> None:
    """An operator's decision, a business's objection, and its answer to a dispute."""
    plan, _payment = world
    with app.app_context():
        people.an_operator()
        merchant_id = people.plan_of(plan).merchant_id
        with acceptance(app, "required"):
            disputed = people.a_plan(merchant_id, "sara@example.com")
        disputes.dispute(disputed, customer_id=people.plan_of(disputed).customer_id)
    amal, olga = browser_of(app, "amal"), browser_of(app, "olga")

    def refuses(browser: FlaskClient, address: str, name: str) -> None:
        for typed in REFUSED:
            response = browser.post(address, data={name: typed})
            assert response.status_code == 422 and f'id="{name}-error"' in response.text, ascii(typed)

    answer = f"/plans/{disputed}/dispute/answer"
    refuses(amal, answer, "answer")
    assert amal.post(answer, data={"answer": "\ufeffکتاب\u200cخانه\t1"}).status_code == 303
    assert "کتاب\u200cخانه 1" in amal.get(f"/plans/{disputed}").text
    refuses(olga, f"/operator/merchants/{merchant_id}/deactivate", "reason")
    for number, (typed, stored) in enumerate(ACCEPTED.items()):
        act = "reactivate" if number % 2 else "deactivate"
        assert olga.post(f"/operator/merchants/{merchant_id}/{act}", data={"reason": typed}).status_code == 303
        with app.app_context():
            assert operations.acts()[-1][2] == stored, ascii(typed)
        assert escape(stored) in olga.get(f"/operator/merchants/{merchant_id}").text, ascii(typed)
    olga.post(f"/operator/merchants/{merchant_id}/deactivate", data={"reason": "Why"})
    refuses(amal, "/settings/objection", "reason")
    assert amal.post("/settings/objection", data={"reason": "\u3000山田\u3000太郎"}).status_code == 303
    assert "山田\u3000太郎" in olga.get(f"/operator/merchants/{merchant_id}").text


@pytest.mark.long
def test_a_text_is_shown_again_unharmed(app: Flask, world: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """As description and business name, on pages, in a file and in a mail's subject, text and HTML."""
    monkeypatch.setattr(mail_limits, "FROM_ONE_BUSINESS", 10 * len(ACCEPTED))
    monkeypatch.setattr(mail_limits, "IN_ALL", 10 * len(ACCEPTED))
    monkeypatch.setattr(merchant_settings, "MAX_RENAMES", len(ACCEPTED))
    amal, omar = browser_of(app, "amal"), browser_of(app, "omar")
    for typed, stored in ACCEPTED.items():
        assert amal.post("/settings", data=SHOP | {"business_name": typed}).status_code == 303
        with app.app_context():
            merchant_id = people.plan_of(world[0]).merchant_id
            new = NewPlan("omar@example.com", 10_00, 1, people.today_of(merchant_id), description=typed)
            plan = plans.open_plan(people.owner(merchant_id), new).plan_id
            delivery.drain()
            mail = [mail for mail in outbox() if mail.kind == "plan_made"][-1]
            assert one_line(stored) in mail.subject, ascii(typed)
            assert one_line(mail.body).count(one_line(stored)) >= 2, ascii(typed)
            assert mail.html is not None
            assert one_line(unescape(mail.html)).count(one_line(stored)) >= 2, ascii(typed)
        for browser, address in (
            (amal, f"/plans/{plan}"),
            (omar, f"/plans/{plan}"),
            (amal, "/plans"),
            (omar, "/plans"),
        ):
            assert escape(stored) in browser.get(address).text, (address, ascii(typed))
        rows = list(csv.DictReader(io.StringIO(amal.get("/plans.csv").get_data().decode("utf-8-sig"))))
        assert stored in {row["description"].removeprefix("'") for row in rows}, ascii(typed)


def one_line(text: str) -> str:
    """The text with each line end, each run of plain blanks, and each no-break space as one blank."""
    return re.sub(r"[ \n\u00a0]+", " ", text)


def test_a_search_finds_a_text_however_it_is_typed(app: Flask, world: tuple[int, int]) -> None:
    amal, key = browser_of(app, "amal"), one_use_key
    for description in ("کتاب\u200cخانه", "Café", "tab inside"):
        data = SAVED_FIELDS[2].beside | {"description": description, "key": key(amal, SAVED_FIELDS[2])}
        assert amal.post("/plans", data=data).status_code == 303
    for typed, description in (
        ("کتاب\u200cخانه", "کتاب\u200cخانه"),
        ("cafe\u0301", "Café"),
        ("tab\tins", "tab inside"),
    ):
        assert description in amal.get("/plans", query_string={"search": typed}).text
    assert "Café" not in amal.get("/plans", query_string={"search": "a\u202eb"}).text


def one_use_key(client: FlaskClient, text: Field) -> str:
    """The key of the form at this address; "" without one."""
    page = client.get("/plans/new" if text.address == "/plans" else text.address).text
    _, _, rest = page.partition('name="key"')
    return rest.partition('value="')[2].partition('"')[0] if rest else ""
