"""A merchant's dashboard and the list behind its figures."""

import re

import pytest
from flask import Flask

from portal.gateways.payment import CARDS
from tests import people
from tests.sql import queries
from tests.web import browser_of


@pytest.fixture
def everybody(app: Flask, database: str) -> dict[str, int]:
    with app.app_context():
        return {"amal": people.amal(), "badr": people.badr(), "omar": people.omar(), "sara": people.sara()}


def figures(page: str) -> dict[str, tuple[str, str]]:
    """Label -> (value, address of the list)."""
    pattern = r'<a class="figure-link" href="([^"]+)">([^<]+)</a>.*?<bdi class="money">([^<]+)</bdi>'
    return {label: (value.replace("\u00a0", " "), href) for href, label, value in re.findall(pattern, page, re.DOTALL)}


def test_before_the_first_plan_it_leads_to_it(app: Flask, everybody: dict[str, int]) -> None:
    page = browser_of(app, "amal").get("/dashboard").text
    assert "Make your first plan" in page and 'href="/plans/new"' in page
    assert not figures(page)


def test_the_figures_count_what_their_lists_show(app: Flask, everybody: dict[str, int]) -> None:
    with app.app_context():
        desk = people.a_plan(everybody["amal"], total=1200_00, count=4, first=-70)
        people.a_plan(everybody["amal"], "sara@example.com", total=90_00, count=3, first=9)
        people.a_plan(everybody["badr"], total=5_000, count=1, first=-9)
        people.pay(people.installments_of(desk)[0].id, everybody["omar"])
    amal = browser_of(app, "amal")
    found = figures(amal.get("/dashboard").text)
    assert found == {
        "Collected": ("SAR 300.00", "/installments?status=paid"),
        "Outstanding": ("SAR 990.00", "/installments?status=open"),
        "Overdue": ("SAR 600.00", "/installments?status=late"),
        "Installments paid": ("14.29 %", "/installments"),
    }
    for label, rows in (("Collected", 1), ("Outstanding", 6), ("Overdue", 2), ("Installments paid", 7)):
        page = amal.get(found[label][1])
        assert page.status_code == 200
        assert page.text.count('class="cell-title"') == rows, label


def test_what_is_late_needs_attention_and_leads_to_its_plan(app: Flask, everybody: dict[str, int]) -> None:
    with app.app_context():
        late = people.a_plan(everybody["amal"], total=600_00, count=2, first=-3, description="Oak desk")
        people.a_plan(everybody["amal"], "sara@example.com", description="Fine so far")
    page = browser_of(app, "amal").get("/dashboard").text
    assert "3 days late" in page and f'href="/plans/{late}"' in page and "Oak desk" in page
    assert "Fine so far" not in page


def test_payments_appear_with_what_became_of_them(app: Flask, everybody: dict[str, int]) -> None:
    with app.app_context():
        made = people.a_plan(everybody["amal"], total=600_00, count=6)
        for installment, card in zip(people.installments_of(made), CARDS[:3], strict=False):
            people.pay(installment.id, everybody["omar"], card.token)
    page = browser_of(app, "amal").get("/dashboard").text
    latest = page[page.index("Latest payments") :]
    assert latest.count("Declined") == 2 and latest.count("Paid") == 1
    assert "Nothing is late" in page


def test_each_merchant_sees_only_their_own(app: Flask, everybody: dict[str, int]) -> None:
    with app.app_context():
        people.a_plan(everybody["amal"], description="Amal's secret cake", first=-3)
    badr = browser_of(app, "badr")
    assert "secret cake" not in badr.get("/dashboard").text
    assert "secret cake" not in badr.get("/installments").text


def test_the_dashboard_is_for_merchants(app: Flask, everybody: dict[str, int]) -> None:
    assert browser_of(app, "omar").get("/dashboard").status_code == 403
    assert app.test_client().get("/dashboard").location == "/login?next=/dashboard"


@pytest.mark.parametrize("query", ["status=nothing", "cursor=!!", "cursor=WzFd", "status=%00"])
def test_an_address_that_leads_nowhere_is_told_kindly(app: Flask, everybody: dict[str, int], query: str) -> None:
    page = browser_of(app, "amal").get(f"/installments?{query}")
    assert page.status_code == 400
    assert "does not lead to a list any more" in page.text


def test_the_list_of_installments_has_pages(app: Flask, everybody: dict[str, int]) -> None:
    with app.app_context():
        people.a_plan(everybody["amal"], total=600_00, count=40, interval="weekly")
    omar = browser_of(app, "omar")
    first = omar.get("/installments").text
    after = re.search(r'rel="next" href="([^"]+)"', first)
    assert after
    second = omar.get(after[1].replace("&amp;", "&")).text
    assert first.count('class="cell-title"') == 30 and second.count('class="cell-title"') == 10


def test_more_plans_cost_no_more_queries(app: Flask, everybody: dict[str, int]) -> None:
    amal = browser_of(app, "amal")
    for address in ("/dashboard", "/installments"):
        counts = []
        for plans in (2, 5):
            with app.app_context():
                for number in range(plans):
                    name = f"c{address[1]}{plans}{number}"
                    customer = people.a_customer(name)
                    made = people.a_plan(everybody["amal"], f"{name}@example.com", total=900, count=3, first=-40)
                    people.pay(people.installments_of(made)[0].id, customer)
            with queries(app) as sent:
                assert amal.get(address).status_code == 200
            counts.append(len(sent))
        assert counts[0] == counts[1], sent
