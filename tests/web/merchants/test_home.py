"""A business's home: what needs attention, the first steps, and the words of changes."""

import re
from html import unescape

import pytest
import time_machine
from flask import Flask

from portal.extensions import db
from portal.models import Invitation, Merchant
from portal.services.agreements import disputes
from portal.services.plans import invitations
from portal.web.merchants.dashboard import compare
from tests.fixtures import people
from tests.web import browser_of
from tests.web.merchants.test_dashboard import plain, words

NOW = "2026-11-23T09:00:00Z"


@pytest.fixture
def everybody(app: Flask, database: str) -> dict[str, int]:
    with app.app_context():
        return {"amal": people.amal(), "badr": people.badr(), "omar": people.omar(), "sara": people.sara()}


def attention(page: str) -> dict[str, str]:
    """Words of what needs attention -> the address of its list."""
    section = page.split('id="attention-title"')[1].split("</section>")[0]
    links = re.findall(r'<div class="row-main"><a href="([^"]+)">(.*?)</a>', section, re.DOTALL)
    return {" ".join(plain(text).split()): unescape(href) for href, text in links}


def opened(plan_id: int) -> None:
    """A browser opened the customer's link of the plan."""
    query = db.select(Invitation.id).where(Invitation.plan_id == plan_id, Invitation.kind == "customer")
    invitations.mark_opened(db.session.scalars(query).one())


@time_machine.travel(NOW)
def test_what_needs_attention_counts_as_its_list_does(app: Flask, everybody: dict[str, int]) -> None:
    amal, omar = everybody["amal"], everybody["omar"]
    with app.app_context():
        with time_machine.travel("2026-11-20T09:00:00Z"):
            unopened = people.a_plan(amal, "new@example.com", count=1, first=30)
            people.a_plan(amal, "second@example.com", count=1, first=30)
        people.a_plan(amal, "fresh@example.com", count=1, first=30)
        late = people.a_plan(amal, total=300_00, count=3, first=-70)
        due = people.a_plan(amal, "sara@example.com", total=80_00, count=2)
        people.pay(people.installments_of(due)[1].id, everybody["sara"], "card_declined")
        with time_machine.travel("2026-11-16T20:59:00Z"):  # the day before in Riyadh
            people.pay(people.installments_of(due)[1].id, everybody["sara"], "card_declined")
        disputed = people.a_plan(amal, total=70_00, count=1, first=5)
        disputes.dispute(disputed, customer_id=omar)
        people.a_plan(everybody["badr"], first=-9)
    browser = browser_of(app, "amal")
    shown = attention(browser.get("/dashboard").text)
    assert shown == {
        "1 plan is disputed": "/plans?status=disputed",
        "3 installments are late": "/installments?status=late",
        "1 payment was declined in the last 7 days": "/payments?state=declined&from=2026-11-17",
        "1 installment is due today": "/installments?status=open&from=2026-11-23&to=2026-11-23",
        "2 customers have not opened the link": "/plans?status=unopened",
    }
    for text, address in shown.items():
        count = int(text.split()[0])
        page = browser.get(address).text
        assert f"{count} in this list" in page and page.count('class="cell-title"') == count, address
    assert "tried since 17 Nov 2026" in browser.get("/payments?state=declined&from=2026-11-17").text
    with app.app_context():
        opened(unopened)
    assert "1 customer has not opened the link" in attention(browser.get("/dashboard").text)
    assert f'href="/plans/{late}"' in browser.get("/dashboard").text
    assert attention(browser_of(app, "badr").get("/dashboard").text).keys() == {"1 installment is late"}


def test_a_customer_has_no_list_of_unopened_links(app: Flask, everybody: dict[str, int]) -> None:
    omar = browser_of(app, "omar")
    assert omar.get("/plans?status=unopened").status_code == 400 and "Link not opened" not in omar.get("/plans").text


def test_a_calm_day_says_so(app: Flask, everybody: dict[str, int]) -> None:
    with app.app_context():
        people.a_plan(everybody["amal"], first=9)
    page = browser_of(app, "amal").get("/dashboard").text
    assert attention(page) == {} and "Nothing is late, due today, declined or disputed." in page


def test_the_chart_shows_six_or_twelve_months(app: Flask, everybody: dict[str, int]) -> None:
    with app.app_context():
        people.a_plan(everybody["amal"], first=-300, count=1)
    amal = browser_of(app, "amal")
    for query, months in (("", 6), ("?months=12", 12), ("?months=6", 6), ("?months=999", 6), ("?months=x", 6)):
        page = amal.get(f"/dashboard{query}").text
        table = page.split("Collected against expected by month")[1].split("</table>")[0]
        assert table.count("<time") == months
        chosen = re.search(r'href="([^"]+)"\s+aria-current="true"', page.split('id="months-title"')[1])
        assert chosen and chosen[1] == f"/dashboard{'?months=12' if months == 12 else ''}#months-title"
    assert "SAR 100.00 expected" in words(amal.get("/dashboard?months=12").text)


def steps(page: str) -> str:
    return words(page.split('id="first-steps"')[1].split("</section>")[0]) if 'id="first-steps"' in page else ""


def test_the_first_steps_are_ticked_by_what_happened(app: Flask, everybody: dict[str, int]) -> None:
    amal = browser_of(app, "amal")
    page = amal.get("/dashboard").text
    assert "0 of 3 done" in steps(page) and 'href="/plans/new"' in page and "Make your first plan" in page
    with app.app_context():
        plan = people.a_plan(everybody["amal"], "new@example.com", first=9)
    page = amal.get("/dashboard").text
    assert "1 of 3 done" in steps(page) and f'href="/plans/{plan}"' in page.split('id="first-steps"')[1]
    with app.app_context():
        opened(plan)
    assert "2 of 3 done" in steps(amal.get("/dashboard").text)
    sent = {"address": "", "tax_number": "", "email": "shop@example.com", "phone": ""}
    assert amal.post("/settings/letterhead", data=sent).status_code == 303
    assert steps(amal.get("/dashboard").text) == ""
    assert "0 of 3 done" in steps(browser_of(app, "badr").get("/dashboard").text)


def test_the_first_steps_can_be_hidden_for_good_by_those_who_may(app: Flask, everybody: dict[str, int]) -> None:
    with app.app_context():
        people.a_member("vera", everybody["amal"], "viewer")
    amal = browser_of(app, "amal")
    assert steps(browser_of(app, "vera").get("/dashboard").text) == ""
    for _ in range(2):
        assert amal.post("/dashboard/first-steps").status_code == 303
    assert steps(amal.get("/dashboard").text) == ""
    with app.app_context():
        hidden = [row.id for row in db.session.scalars(db.select(Merchant)) if row.first_steps_hidden_at]
    assert hidden == [everybody["amal"]]


@pytest.mark.parametrize(
    ("now", "before", "kind", "told"),
    [
        (112, 100, "percent", "+12"),
        (88, 100, "percent", "\u221212"),
        (1005, 1000, "percent", "+1"),
        (1004, 1000, "more", "SAR 0.04"),
        (999, 100, "percent", "+899"),
        (1100, 100, "more", "SAR 10.00"),
        (0, 300_00, "less", "SAR 300.00"),
        (300_00, 0, "more", "SAR 300.00"),
        (-50, 100, "less", "SAR 1.50"),
        (100, -50, "more", "SAR 1.50"),
        (0, 0, "same", ""),
        (-7, -7, "same", ""),
    ],
)
def test_a_change_is_told_in_percent_where_they_mean_something(now: int, before: int, kind: str, told: str) -> None:
    change = compare(now, before, "SAR", "27 Oct", 1)
    assert (change.kind, (change.percent or change.text).replace("\u00a0", " ")) == (kind, told)


@time_machine.travel(NOW)
def test_a_percentage_reads_right_in_arabic(app: Flask, everybody: dict[str, int], arabic: None) -> None:
    with app.app_context(), time_machine.travel("2026-10-20T09:00:00Z"):
        people.a_plan(everybody["amal"], total=1000_00, count=1, first=60)
    with app.app_context():
        people.a_plan(everybody["amal"], total=120_00, count=1, first=60)
        assert db.session.scalar(db.select(db.func.count(Invitation.id))) == 0
    page = browser_of(app, "amal").get("/dashboard", headers={"Accept-Language": "ar"}).text
    assert '<bdi class="nowrap">\u2068+12\u2069%</bdi>' in page
