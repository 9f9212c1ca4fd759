"""The search over everything of a business."""

import pytest
from flask import Flask

from tests.fixtures import people
from tests.fixtures.business import everything
from tests.fixtures.query_log import queries
from tests.web import browser_of


@pytest.fixture
def ids(app: Flask, database: str) -> dict[str, int]:
    with app.app_context():
        return everything()


def test_a_part_of_a_name_leads_to_customer_plans_and_payments(app: Flask, ids: dict[str, int]) -> None:
    amal = browser_of(app, "amal")
    page = amal.get("/search?search=mar").text
    assert f'href="/customers/{ids["omar"]}"' in page and 'href="/plans/' in page and 'href="/payments/' in page
    assert 'href="/plans?search=mar"' in page and "nadia" not in page
    assert "Nothing matches" in amal.get("/search?search=zzzz").text
    assert "Ctrl+K" in amal.get("/search").text and amal.get("/search?search=%00").status_code == 200


def test_pages_are_found_by_name_for_members_who_may_open_them(app: Flask, ids: dict[str, int]) -> None:
    assert 'href="/settings/reminders"' in browser_of(app, "amal").get("/search?search=remind").text
    for typed, address in (("webh", "/settings/webhooks"), ("money in", "/movements"), ("refunds", "/refunds")):
        assert f'href="{address}"' in browser_of(app, "amal").get(f"/search?search={typed}").text
    with app.app_context():
        people.a_member("vera", ids["amal"], "viewer")
    vera = browser_of(app, "vera")
    vera.post("/account/hat", data={"merchant": str(ids["amal"])})
    page = vera.get("/search?search=s").text
    assert 'href="/settings/reminders"' not in page and 'href="/customers"' in page


def test_another_business_finds_nothing_of_this_one(app: Flask, ids: dict[str, int]) -> None:
    page = browser_of(app, "badr").get("/search?search=omar").text
    assert "Nothing matches" in page and f"/customers/{ids['omar']}" not in page


def test_the_search_costs_the_same_for_any_number_of_plans(app: Flask, ids: dict[str, int]) -> None:
    amal, counts = browser_of(app, "amal"), []
    for _ in range(2):
        with queries(app) as sent:
            amal.get("/search?search=omar")
        counts.append(len(sent))
        with app.app_context():
            for _ in range(4):
                people.a_plan(ids["amal"], "omar@example.com")
    assert counts[0] == counts[1]


def test_lists_say_how_many_and_how_much_and_lead_back(app: Flask, ids: dict[str, int]) -> None:
    amal = browser_of(app, "amal")
    for path in ("/plans", "/payments", "/installments", "/installments?status=late"):
        assert 'class="muted small list-tally" role="status"' in amal.get(path).text
    this_month = amal.get("/payments").text.split('aria-label="Usual days"')[1].split("</nav>")[0]
    assert "This month" in this_month and "from=" in this_month
    with app.app_context():
        for _ in range(25):
            people.a_plan(ids["amal"])
    second = amal.get("/plans").text.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    page = amal.get(second).text
    back = page.split('rel="prev" href="')[1].split('"')[0].replace("&amp;", "&")
    assert "cursor=~" in back and "Previous" in page and amal.get(back).status_code == 200
