"""Typed texts that were erased, and the causes of acts of the system, on pages, in files and in the API."""

import csv
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, text

from portal.extensions import db
from portal.models import Event, Payment, TypedText
from portal.services.adjustments import credits
from portal.services.payments import manual_payments, outcomes, refunds
from tests.fixtures import people
from tests.fixtures.query_log import queries
from tests.pages.pseudo_language import english
from tests.services.payments.test_refunds import charged_too_much
from tests.web import browser_of
from tests.web.acts import words

REFERENCE, WHY = "TRX 88", "Ordered the wrong cake"


@pytest.fixture
def plan(app: Flask, database: str) -> int:
    """A plan of Amal for Omar with a payment in cash, a refund of it and a credit, each with its texts."""
    with app.app_context():
        amal, _ = people.amal(), people.omar()
        plan_id, today = people.a_plan(amal, total=100_00, count=3), people.today_of(amal)
        manual_payments.record(
            plan_id,
            actor=people.owner(amal),
            amount=50_00,
            method="cash",
            received_on=today,
            reference=REFERENCE,
            reason=WHY,
        )
        refunds.refund(plan_id, actor=people.owner(amal), amount=5_00, reason=WHY)
        credits.credit(plan_id, actor=people.owner(amal), amount=5_00, how="last", reason=WHY)
        return plan_id


def erase(app: Flask) -> None:
    with app.app_context(), db.engine.begin() as connection:
        assert connection.execute(text("UPDATE texts SET text = NULL")).rowcount == 4


def places(client: FlaskClient, plan: int) -> dict[str, str]:
    """The words of every page that shows a reason or a reference."""
    addresses = (f"/plans/{plan}", "/payments/1", f"/plans/{plan}/statement")
    return {address.rsplit("/", 1)[-1]: words(client.get(address)) for address in addresses}


def file_of(client: FlaskClient, address: str) -> list[dict[str, str]]:
    return list(csv.DictReader(english(client.get(address).text).removeprefix("\ufeff").splitlines()))


def api_of(app: Flask, address: str) -> Any:
    client = app.test_client()
    token = client.post("/token/", json={"username": "amal", "password": people.PASSWORD}).json
    assert token is not None
    response = client.get(address, headers={"Authorization": f"Bearer {token['access']}"})
    assert response.status_code == 200, response.text
    return response.json


def test_texts_stand_where_they_were_typed_until_they_are_erased(app: Flask, plan: int) -> None:
    amal = browser_of(app, "amal")
    before = places(amal, plan)
    assert {name: shown.count(WHY) for name, shown in before.items()} == {str(plan): 4, "1": 1, "statement": 3}
    assert {name: shown.count(REFERENCE) for name, shown in before.items()} == {str(plan): 0, "1": 1, "statement": 1}
    erase(app)
    after = places(amal, plan)
    assert after == {name: _erased(shown) for name, shown in before.items()}
    assert places(browser_of(app, "omar"), plan)["statement"].count("(erased)") == 4


def test_files_have_the_texts_and_a_dash_for_an_erased_one(app: Flask, plan: int) -> None:
    amal = browser_of(app, "amal")
    journal, payments = file_of(amal, "/journal.csv"), file_of(amal, "/payments.csv")
    assert {row["reason"] for row in journal if row["kind"] != "plan_opened"} == {WHY}
    assert [row["reference"] for row in payments] == [REFERENCE]
    erase(app)
    assert file_of(amal, "/payments.csv") == [{**row, "reference": "–"} for row in payments]
    assert file_of(amal, "/journal.csv") == [{**row, "reason": row["reason"] and "–"} for row in journal], (
        "an entry without a reason keeps an empty cell"
    )


def test_the_api_has_the_texts_and_null_for_an_erased_one(app: Flask, plan: int) -> None:
    addresses = ("/api/payments/", f"/api/plans/{plan}/refunds/")
    (payment,), (refund,) = (api_of(app, address) for address in addresses)
    assert (payment["reference"], refund["reason"]) == (REFERENCE, WHY)
    erase(app)
    assert [api_of(app, address) for address in addresses] == [
        [{**payment, "reference": None}],
        [{**refund, "reason": None}],
    ]


def test_acts_of_the_system_have_a_cause_and_no_stored_sentence(app: Flask, database: str) -> None:
    with app.app_context():
        amal, omar = people.amal(), people.omar()
        plan_id, other = people.a_plan(amal, total=50_00, count=2), people.a_plan(amal)
        outcomes.settle_payment(charged_too_much(plan_id, omar))
        people.bounce(people.pay(people.installments_of(other)[0].id, omar).id)
        assert db.session.scalar(select(func.count(TypedText.id))) == 0
        causes = {row.kind: row.data.get("cause") for row in db.session.scalars(select(Event))}
        assert (causes["refund.succeeded"], causes["payment.reversed"]) == ("overcharged", "taken_back")
    client = browser_of(app, "amal")
    overcharged, taken_back = "More came in than was still owed", "The bank took the payment back"
    for page in (f"/plans/{plan_id}", f"/plans/{plan_id}/statement"):
        assert overcharged in words(client.get(page)), page
    for page in (f"/plans/{other}", f"/plans/{other}/statement"):
        assert taken_back in words(client.get(page)), page
    journal = {(row["kind"], row["reason"], row["by"]) for row in file_of(client, "/journal.csv")}
    assert {("refund", "overcharged", ""), ("reversal", "taken_back", "")} <= journal
    in_english = client.get("/journal.csv", headers={"Accept-Language": "en"})
    assert in_english.data == client.get("/journal.csv").data, "the file does not depend on the reader's language"
    assert [row["reason"] for row in api_of(app, "/api/refunds/")] == [overcharged]


def test_texts_cost_no_query_of_their_own(app: Flask, plan: int) -> None:
    """The pages of a plan with four texts send as many queries as those of a plan with one."""
    with app.app_context():
        amal = people.plan_of(plan).merchant_id
        less = people.a_plan(amal, total=100_00, count=3)
        today = people.today_of(amal)
        paid = manual_payments.record(less, actor=people.owner(amal), amount=50_00, method="cash", received_on=today)
        refunds.refund(less, actor=people.owner(amal), amount=5_00, reason=WHY)
        assert db.session.get_one(Payment, paid.payment_id).reference == ""
    client = browser_of(app, "amal")
    for page in ("/plans/{}", "/plans/{}/statement"):
        counts = []
        for plan_id in (less, plan):
            with queries(app) as sent:
                assert client.get(page.format(plan_id)).status_code == 200
            counts.append(len(sent))
            assert not [statement for statement in sent if statement.lstrip().startswith("SELECT texts")]
        assert counts[0] == counts[1], page


def _erased(shown: str) -> str:
    return shown.replace(WHY, "(erased)").replace(REFERENCE, "(erased)")
