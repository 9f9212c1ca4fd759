"""Every field for a typed text accepts, stores and refuses the same texts."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete
from sqlalchemy.orm import InstrumentedAttribute

from portal.domain import clock, typed_text
from portal.extensions import db
from portal.models import ApiKey, Merchant, Plan
from tests.fixtures.people import PASSWORD
from tests.web import browser_of
from tests.web.acts import a_cash_payment, a_world, check, do, words

TODAY = clock.today("Asia/Riyadh").isoformat()
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
    Field("name", "/settings/api-keys", ApiKey.name, {"scope": "read"}),
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
    ("reason", "/payments/{cash}/void", {}),
    ("reason", "/plans/{plan}/record-payment", {"amount": "1", "method": "cash", "received_on": TODAY}),
    ("reference", "/plans/{plan}/record-payment", {"amount": "1", "method": "cash", "received_on": TODAY}),
    ("reason", "/plans/{plan}/write-off", {}),
    ("reason", "/plans/{plan}/cancel", {"give_back": "keep"}),
)


@pytest.fixture
def world(app: Flask, database: str) -> tuple[int, int]:
    return a_world(app)


@pytest.mark.parametrize("text", SAVED_FIELDS, ids=lambda text: text.address)
def test_a_form_stores_the_texts_that_it_accepts(app: Flask, world: tuple[int, int], text: Field) -> None:
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


@pytest.mark.parametrize("text", SAVED_FIELDS, ids=lambda text: text.address)
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


@pytest.mark.parametrize(("name", "address", "beside"), ACTIONS)
def test_an_action_on_a_plan_has_the_same_rule(
    app: Flask, world: tuple[int, int], name: str, address: str, beside: dict[str, str]
) -> None:
    plan, _ = world
    amal, address = browser_of(app, "amal"), address.format(plan=plan, cash=a_cash_payment(app, plan))
    needed = {"reason": "Because"} if name != "reason" else {}
    for typed in REFUSED:
        response = check(amal, address, **(beside | needed | {name: typed}))
        assert response.status_code == 422 and f'id="{name}-error"' in response.text, ascii(typed)
    for typed in ACCEPTED:
        assert check(amal, address, **(beside | needed | {name: typed})).status_code == 200, ascii(typed)
    page = do(amal, address, **(beside | needed | {name: "\ufeff tab\tinside, e\u0301 "}))
    shown = amal.get("/payments/3") if name == "reference" else page
    assert "tab inside, é" in words(shown)


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
