"""A merchant's dashboard, and the list of installments."""

import re
from html import unescape

import pytest
import time_machine
from flask import Flask
from sqlalchemy import text

from portal.extensions import db
from portal.gateways.payment.simulated.cards import CARDS
from tests.fixtures import people
from tests.fixtures.query_log import queries
from tests.web import browser_of

IN_DOLLARS = (
    "INSERT INTO plans (merchant_id, customer_id, description, total, currency, num_installments, interval, "
    "start_date, time_zone, grace_days, state, created_at, updated_at) "
    "VALUES (:amal, :omar, '', 500, 'USD', 1, 'weekly', '2030-01-01', 'UTC', 0, 'active', now(), now())",
    "INSERT INTO installments (plan_id, merchant_id, customer_id, currency, number, due_date, late_on, late_at, "
    "amount, paid, credited, written_off) SELECT max(id), :amal, :omar, 'USD', 1, '2030-01-01', '2030-01-02', "
    "'2030-01-02', 500, 0, 0, 0 FROM plans",
)


@pytest.fixture
def everybody(app: Flask, database: str) -> dict[str, int]:
    with app.app_context():
        return {"amal": people.amal(), "badr": people.badr(), "omar": people.omar(), "sara": people.sara()}


def figures(page: str) -> dict[str, tuple[str, str]]:
    """Label -> (value, address of the list)."""
    pattern = r'<a class="figure-link" href="([^"]+)">([^<]+)</a>.*?<bdi class="money">([^<]+)</bdi>'
    return {label: (plain(value), unescape(href)) for href, label, value in re.findall(pattern, page, re.DOTALL)}


def plain(text: str) -> str:
    return unescape(re.sub(r"<[^>]+>", " ", text)).replace("\u00a0", " ")


def words(page: str) -> str:
    return " ".join(plain(page).split())


def test_before_the_first_plan_the_dashboard_links_to_the_form(app: Flask, everybody: dict[str, int]) -> None:
    page = browser_of(app, "amal").get("/dashboard").text
    assert "Make your first plan" in page and 'href="/plans/new"' in page
    assert not figures(page)


@time_machine.travel("2026-11-23T09:00:00Z")
def test_each_figure_agrees_with_the_list_it_links_to(app: Flask, everybody: dict[str, int]) -> None:
    with app.app_context():
        desk = people.a_plan(everybody["amal"], total=1200_00, count=4, first=-70)
        people.a_plan(everybody["amal"], "sara@example.com", total=90_00, count=3, first=5, interval="weekly")
        people.a_plan(everybody["badr"], total=5_000, count=1, first=-9)
        people.pay(people.installments_of(desk)[0].id, everybody["omar"])
    amal = browser_of(app, "amal")
    page = amal.get("/dashboard").text
    shown = figures(page)
    assert shown == {
        "Collected this month": ("SAR 300.00", "/movements?from=2026-11-01&to=2026-11-30"),
        "Outstanding": ("SAR 990.00", "/installments?status=open"),
        "Overdue": ("SAR 600.00", "/installments?status=late"),
        "Paid of due": ("33.33 %", "/installments?to=2026-11-23"),
        "Due in 7 days": ("SAR 30.00", "/installments?status=open&from=2026-11-23&to=2026-11-30"),
        "Due in 30 days": ("SAR 390.00", "/installments?status=open&from=2026-11-23&to=2026-12-23"),
        "Paid on time": ("0.00 %", "/installments?status=past"),
    }
    ageing = re.search(r"How old is what is owed.*?</table>", page, re.DOTALL)
    assert ageing
    labels, hrefs = re.findall(r'cell-title">([^<]+)<', ageing[0]), re.findall(r'href="([^"]+)"', ageing[0])
    buckets = dict(zip(labels, hrefs, strict=True))
    lists = {label: href for label, (_, href) in shown.items()} | {k: unescape(href) for k, href in buckets.items()}
    counts = (
        ("Collected this month", 1), ("Outstanding", 6), ("Overdue", 2), ("Paid of due", 3), ("Due in 7 days", 1),
        ("Due in 30 days", 4), ("Paid on time", 3), ("Not due", 4), ("1 to 30 days", 1), ("31 to 60 days", 1),
        ("61 to 90 days", 0), ("Over 90 days", 0),
    )  # fmt: skip
    for label, rows in counts:
        response = amal.get(lists[label])
        assert response.status_code == 200
        assert response.text.count('class="cell-title"') == rows, label


@time_machine.travel("2026-11-23T09:00:00Z", tick=False)
def test_each_figure_shows_its_change(app: Flask, everybody: dict[str, int]) -> None:
    with app.app_context(), time_machine.travel("2026-10-20T09:00:00Z"):
        desk = people.a_plan(everybody["amal"], total=1200_00, count=4, first=0)
        people.pay(people.installments_of(desk)[0].id, everybody["omar"])
    with app.app_context():
        people.a_plan(everybody["amal"], total=100_00, count=2)
    page = plain(browser_of(app, "amal").get("/dashboard").text)
    assert "SAR 300.00 less than from 1 to 23 Oct" in words(page)
    assert "+11 % against 1 Nov" in words(page)
    assert "1 more than on 1 Nov" in words(page)


def test_each_other_currency_has_its_own_row_and_lists(app: Flask, everybody: dict[str, int]) -> None:
    with app.app_context():
        people.a_plan(everybody["amal"], total=90_00, count=3)
        with db.engine.begin() as connection:
            for statement in IN_DOLLARS:
                connection.execute(text(statement), everybody)
    amal = browser_of(app, "amal")
    page = amal.get("/dashboard").text
    assert "Other currencies" in page and "USD 5.00" in plain(page)
    assert figures(page)["Outstanding"] == ("SAR 90.00", "/installments?status=open&currency=SAR")
    assert amal.get("/installments?status=open&currency=USD").text.count('class="cell-title"') == 1
    assert "in USD" in amal.get("/installments?status=open&currency=USD").text


def test_the_chart_and_the_table_beside_it_have_the_same_figures(app: Flask, everybody: dict[str, int]) -> None:
    """Each month of the chart is a link with its figures, and the table has the same ones."""
    with app.app_context():
        plan_id = people.a_plan(everybody["amal"], total=90_00, count=1)
        people.pay(people.installments_of(plan_id)[0].id, everybody["omar"])
    page = browser_of(app, "amal").get("/dashboard").text
    drawing = page[page.index('<div class="chart">') : page.index("Collected against expected by")]
    assert drawing.count('class="chart-full" x="52%"') == 6
    assert drawing.count('height="90.0%"') == 2
    assert "style=" not in drawing
    assert words(drawing).count("SAR 90.00 expected, SAR 90.00 collected") == 1
    assert words(drawing).count("SAR 0.00 expected, SAR 0.00 collected") == 5
    assert drawing.count('href="/movements?from=') == 6
    table = re.search(r"Collected against expected by month, in SAR.*?</table>", page, re.DOTALL)
    assert table and plain(table[0]).count("SAR 90.00") == 2


def test_overdue_plans_are_listed_with_a_link(app: Flask, everybody: dict[str, int]) -> None:
    with app.app_context():
        late = people.a_plan(everybody["amal"], total=600_00, count=2, first=-3, description="Oak desk")
        people.a_plan(everybody["amal"], "sara@example.com", description="Fine so far")
    page = browser_of(app, "amal").get("/dashboard").text
    assert "3 days late" in page and f'href="/plans/{late}"' in page and "Oak desk" in page
    assert "Fine so far" not in page


def test_the_latest_payments_are_listed_with_their_states(app: Flask, everybody: dict[str, int]) -> None:
    with app.app_context():
        plan_id = people.a_plan(everybody["amal"], total=600_00, count=6)
        for installment, card in zip(people.installments_of(plan_id), CARDS[:3], strict=False):
            people.pay(installment.id, everybody["omar"], card.token)
    page = browser_of(app, "amal").get("/dashboard").text
    latest = page[page.index("Latest payments") :]
    assert latest.count("Declined") == 2 and latest.count(">Paid<") == 1
    assert "Nothing is late" in page


def test_each_merchant_sees_only_their_own_plans(app: Flask, everybody: dict[str, int]) -> None:
    with app.app_context():
        people.a_plan(everybody["amal"], description="Amal's secret cake", first=-3)
    badr = browser_of(app, "badr")
    assert "secret cake" not in badr.get("/dashboard").text
    assert "secret cake" not in badr.get("/installments").text


def test_the_dashboard_is_for_merchants(app: Flask, everybody: dict[str, int]) -> None:
    assert browser_of(app, "omar").get("/dashboard").status_code == 403
    assert app.test_client().get("/dashboard").location == "/login?next=/dashboard"


@pytest.mark.parametrize("query", ["status=nothing", "cursor=!!", "cursor=WzFd", "status=%00"])
def test_an_invalid_address_of_a_list_is_400_with_an_explanation(
    app: Flask, everybody: dict[str, int], query: str
) -> None:
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
                    plan_id = people.a_plan(everybody["amal"], f"{name}@example.com", total=900, count=3, first=-40)
                    people.pay(people.installments_of(plan_id)[0].id, customer)
            with queries(app) as sent:
                assert amal.get(address).status_code == 200
            counts.append(len(sent))
        assert counts[0] == counts[1], sent
