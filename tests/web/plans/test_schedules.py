"""The form of a new plan with a deposit, or with days and amounts of its own."""

import re
from datetime import timedelta

import pytest

from portal.domain import clock
from portal.extensions import db
from portal.models import Plan
from tests.fixtures import people
from tests.web import HTMX, browser_of

KEY = "one-use-key-0123456789"


@pytest.fixture
def amal(app, database):
    with app.app_context():
        people.amal()
        people.omar()
    return browser_of(app, "amal")


def day(away):
    return (clock.today("Asia/Riyadh") + timedelta(days=away)).isoformat()


def typed(*rows, **more):
    lines = {}
    for place, (amount, due) in enumerate(rows):
        lines |= {f"rows-{place}_amount": amount, f"rows-{place}_due_date": due}
    return {"key": KEY, "customer_email": "omar@example.com", "total_amount": "100", **lines, **more}


def schedule_of(app, address):
    with app.app_context():
        plan = db.session.get_one(Plan, int(address.rpartition("/")[2]))
        return [(row.due_date.isoformat(), row.amount) for row in plan.installments]


def test_a_deposit_is_previewed_and_saved(app, amal):
    form = typed(schedule="deposit", deposit="40", num_installments="2", start_date=day(30), interval="weekly")
    shown = amal.post("/plans/preview", data=form, headers=HTMX).text
    assert shown.count("<dt>") == 3 and "Deposit" in shown and "40.00" in shown
    made = amal.post("/plans", data=form)
    assert schedule_of(app, made.location) == [(day(0), 4000), (day(30), 3000), (day(37), 3000)]
    page = amal.get(made.location).text
    assert "Deposit" in page and "3 payments, every week" in page


def test_own_days_and_amounts_are_previewed_and_saved(app, amal):
    form = typed(("25", day(0)), ("", ""), ("75.00", day(45)), schedule="own")
    shown = amal.post("/plans/preview", data=form, headers=HTMX).text
    assert shown.count("<dt>") == 2
    made = amal.post("/plans", data=form)
    assert schedule_of(app, made.location) == [(day(0), 2500), (day(45), 7500)]
    assert "2 payments, on agreed days" in amal.get(made.location).text


def test_errors_stand_beside_the_rows_and_the_typed_text_stays(app, amal):
    form = typed(("25", day(3)), ("x", "soon"), ("", ""), ("75", day(3)), schedule="own")
    response = amal.post("/plans", data=form)
    page = response.text
    assert response.status_code == 422
    wrong = re.findall(r'id="(rows-\d_\w+)-error"', page)
    assert wrong == ["rows-1_amount", "rows-1_due_date"]
    assert 'value="x"' in page and 'value="soon"' in page and 'value="75"' in page
    assert 'href="#rows-1_amount"' in page
    sums = amal.post("/plans", data=typed(("25", day(3)), ("74", day(4)), schedule="own"))
    assert "These amounts sum to SAR 99.00, and the total is SAR 100.00." in sums.text.replace("\u00a0", " ")
    assert 'href="#rows"' in sums.text
    deposit = amal.post("/plans", data=typed(schedule="deposit", deposit="no", num_installments="2", start_date=day(1)))
    assert 'id="deposit-error"' in deposit.text
    with app.app_context():
        assert db.session.query(Plan).count() == 0


def test_more_rows_come_without_javascript(amal):
    page = amal.get("/plans/new").text
    assert page.count("_due_date-field") == 4
    more = amal.post("/plans/preview", data=typed(("25", day(3)), schedule="own", more_rows="1")).text
    assert more.count("_due_date-field") == 8
    assert 'value="25"' in more
