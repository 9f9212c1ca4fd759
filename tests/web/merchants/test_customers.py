"""A merchant's customers, their payments and receipts, and the statement of a plan."""

import re
from html import unescape
from urllib.parse import quote

import pytest
import time_machine
from flask import Flask

from portal.services.payments import refunds
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from tests import first_in_time
from tests.fixtures import people
from tests.fixtures.business import everything
from tests.fixtures.query_log import queries
from tests.web import HTMX, browser_of


@pytest.fixture
def ids(app: Flask, database: str) -> dict[str, int]:
    with app.app_context():
        return everything()


def plain(text: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).replace("\u00a0", " ").split())


def test_a_merchant_searches_and_filters_customers(app: Flask, ids: dict[str, int]) -> None:
    amal = browser_of(app, "amal")
    page = amal.get("/customers").text
    assert "omar" in page and "nadia@example.com" in page and "Has no account yet" in page
    assert "nadia" not in amal.get("/customers?show=overdue").text
    assert "Nobody matches" in amal.get("/customers?search=zz").text
    fragment = amal.get("/customers?search=om", headers=HTMX)
    assert fragment.text.lstrip().startswith('<div id="customers-list"') and "HX-Request" in fragment.headers["Vary"]
    for query in ("show=odd", "cursor=!!", "show=owing&cursor=WzFd"):
        assert amal.get(f"/customers?{query}").status_code == 400
    assert amal.get("/customers?search=%00").status_code == 200
    assert "No customers yet" in browser_of(app, "badr").get("/customers").text


def test_customers_are_listed_by_the_day_of_their_first_plan(app: Flask, ids: dict[str, int]) -> None:
    amal = browser_of(app, "amal")
    page = plain(amal.get("/customers").text)
    assert "When the first plan was made" in page and "Last 7 days" in page
    since = plain(amal.get("/customers?from=2020-01-01").text)
    assert "Customers whose first plan was made since 1 Jan 2020." in since and "omar" in since
    assert amal.get("/customers.csv?from=2020-01-01").text.count("\n") > 1
    before = amal.get("/customers?from=2020-01-01&to=2020-12-31")
    assert "Nobody matches" in before.text and amal.get("/customers.csv?to=2020-12-31").text.count("\n") == 1
    odd = amal.get("/customers?from=2020-02-01&to=2020-01-01")
    assert odd.status_code == 400 and "The last day lies before the first one." in odd.text


def test_a_merchant_searches_installments(app: Flask, ids: dict[str, int]) -> None:
    amal = browser_of(app, "amal")
    everything = amal.get("/installments").text
    found = amal.get("/installments?search=nadia").text
    assert "Search installments" in found and 'value="nadia"' in found
    assert 0 < found.count('class="cell-title"') < everything.count('class="cell-title"')
    assert amal.get("/installments.csv?search=nadia").text.count("\n") == 1 + found.count('class="cell-title"')
    assert "No installment fits this search." in amal.get("/installments?search=zz").text
    omar = browser_of(app, "omar")
    assert "Search installments" not in omar.get("/installments?search=zz").text


@pytest.mark.parametrize("page", ["payments", "refunds", "movements"])
@pytest.mark.parametrize("typed", first_in_time(["blue lan", "antern", "Blue LANTERN", "#{plan}", "12.34"]))
def test_money_is_found_by_purchase_number_and_amount(app: Flask, ids: dict[str, int], page: str, typed: str) -> None:
    with app.app_context():
        plan = people.a_plan(ids["amal"], total=12_34, count=1, description="Blue lantern")
        people.pay(people.installments_of(plan)[0].id, ids["omar"])
        refunds.refund(plan, actor=people.owner(ids["amal"]), amount=12_34, reason="Cracked")
    amal = browser_of(app, "amal")
    search = quote(typed.format(plan=plan))
    rows = [line for line in amal.get(f"/{page}.csv?search={search}").text.splitlines()[1:] if "lantern" in line]
    assert len(rows) == (2 if page == "movements" else 1), rows
    shown = amal.get(f"/{page}?search={search}").text
    assert "Blue lantern" in shown
    assert "Blue lantern" not in amal.get(f"/{page}?search=lampshade").text


def test_a_customers_page_shows_only_plans_with_this_merchant(app: Flask, ids: dict[str, int]) -> None:
    with app.app_context():
        people.a_plan(ids["badr"], "omar@example.com", description="Badr's secret cable")
    amal = browser_of(app, "amal")
    page = amal.get(f"/customers/{ids['omar']}").text
    assert "secret cable" not in page and "omar@example.com" in page
    assert f'href="/plans/{ids["bounced_plan"]}"' in page and "Bounced" in page
    assert amal.get(f"/customers/{ids['badr']}").status_code == 404
    assert amal.get(f"/customers/{2**70}").status_code == 404
    assert amal.get(f"/customers/{ids['omar']}?cursor=!!").status_code == 400


def test_a_customers_page_is_the_hub_of_what_a_merchant_does_with_them(app: Flask, ids: dict[str, int]) -> None:
    amal, omar = browser_of(app, "amal"), ids["omar"]
    assert f'href="/customers/{omar}"' in amal.get(f"/plans/{ids['plan']}").text
    page = amal.get(f"/customers/{omar}").text
    for link in (f"/plans/new?customer={omar}", f"/customers/{omar}/edit", f"/payments?customer={omar}"):
        assert f'href="{link}"' in page
    assert 'value="omar@example.com"' in amal.get(f"/plans/new?customer={omar}").text
    again = amal.get(f"/plans/new?plan={ids['plan']}").text
    assert (
        'value="omar@example.com"' in again
        and f'href="/plans/new?plan={ids["plan"]}"' in amal.get(f"/plans/{ids['plan']}").text
    )
    for query in ("customer=0x1", f"customer={ids['badr']}", "plan=999999"):
        assert amal.get(f"/plans/new?{query}").status_code == 404
    for page in ("plans", "payments", "installments"):
        shown = amal.get(f"/{page}?customer={omar}")
        assert shown.status_code == 200 and "of one customer" in shown.text and "nadia" not in shown.text
        assert amal.get(f"/{page}?customer=x").status_code == 400


def test_a_merchant_writes_down_name_phone_and_note(app: Flask, ids: dict[str, int]) -> None:
    amal, omar = browser_of(app, "amal"), ids["omar"]
    wrong = amal.post(f"/customers/{omar}", data={"name": "Omar Haddad", "phone": "later", "note": "Rings twice"})
    assert wrong.status_code == 422 and "Enter a phone number" in wrong.text and 'value="Omar Haddad"' in wrong.text
    saved = amal.post(f"/customers/{omar}", data={"name": "Omar Haddad", "phone": "050 1234", "note": "Rings twice"})
    assert (saved.status_code, saved.location) == (303, f"/customers/{omar}")
    hub = amal.get(saved.location).text
    assert "Omar Haddad" in hub and 'href="tel:0501234"' in hub and "Rings twice" in hub
    for address in ("/customers", "/plans", "/payments", "/installments", f"/plans/{ids['plan']}", "/dashboard"):
        assert "Omar Haddad" in amal.get(address).text
    assert "details changed" not in browser_of(app, "omar").get("/plans").text
    theirs = [browser_of(app, "omar").get(f"/plans/{ids[name]}").text for name in ("plan", "bounced_plan", "lost_plan")]
    assert not any("details changed" in page or "Rings twice" in page for page in theirs)
    with app.app_context():
        people.a_plan(ids["badr"], "omar@example.com")
    badr = browser_of(app, "badr")
    for address in ("/customers", f"/customers/{omar}", "/plans", f"/customers/{omar}/edit"):
        page = badr.get(address).text
        assert "omar" in page and "Haddad" not in page and "Rings" not in page and "0501234" not in page


def test_payments_are_listed_with_their_states(app: Flask, ids: dict[str, int]) -> None:
    amal = browser_of(app, "amal")
    page = amal.get("/payments").text
    assert page.count('class="cell-title"') == 10
    for state, words in (
        ("declined", "Declined"),
        ("reversed", "Bounced"),
        ("voided", "Voided"),
        ("in_flight", "Checking"),
    ):
        shown = amal.get(f"/payments?state={state}").text
        assert shown.count('class="cell-title"') == 1 and f"<span>{words}</span>" in shown
    assert re.search("<span>(Partly refunded|Refunding)</span>", amal.get("/payments?state=refunded").text)
    assert "Nothing here" in amal.get("/payments?from=2001-01-01&to=2001-01-31").text
    for query in ("state=odd", "cursor=!!", "from=2026-13-01", "to=x", "currency=XXX"):
        assert amal.get(f"/payments?{query}").status_code == 400
    assert "No payments yet" in browser_of(app, "badr").get("/payments").text


def test_payments_of_a_month_are_those_received_in_it_in_local_time(app: Flask, database: str) -> None:
    with time_machine.travel("2026-03-31T20:30:00Z", tick=False) as now:
        with app.app_context():
            merchant, omar = people.amal(), people.omar()
            rows = people.installments_of(people.a_plan(merchant, total=90_00, count=3))
            people.pay(rows[0].id, omar)
            now.shift(3600)  # April has begun in Riyadh
            people.pay(rows[1].id, omar)
            people.pay(rows[2].id, omar, "card_declined")
        amal = browser_of(app, "amal")
        march = amal.get("/payments?from=2026-03-01&to=2026-03-31").text
        april = amal.get("/payments?from=2026-04-01&to=2026-04-30").text
        assert march.count('class="cell-title"') == april.count('class="cell-title"') == 1
        assert "installment 1" in march and "installment 2" in april
        assert "received from 1 Apr 2026 to 30 Apr 2026" in april


def test_a_customer_sees_receipts_of_all_merchants(app: Flask, ids: dict[str, int]) -> None:
    omar = browser_of(app, "omar")
    page = omar.get("/payments").text
    assert "Receipts" in page and "Bakery" in page and "Journal" not in page
    with app.app_context():
        people.sara()
    assert "No receipts yet" in browser_of(app, "sara").get("/payments").text


def test_the_list_of_payments_has_pages(app: Flask, database: str) -> None:
    with app.app_context():
        merchant, omar = people.amal(), people.omar()
        for row in people.installments_of(people.a_plan(merchant, total=3500, count=35, interval="weekly")):
            people.pay(row.id, omar)
    amal = browser_of(app, "amal")
    for query in ("", "?from=2000-01-01"):
        first = amal.get(f"/payments{query}").text
        after = re.search(r'rel="next" href="([^"]+)"', first)
        assert after
        second = amal.get(unescape(after[1])).text
        assert first.count('class="cell-title"') == 30 and second.count('class="cell-title"') == 5


def test_a_statement_is_the_same_for_merchant_and_customer(app: Flask, ids: dict[str, int]) -> None:
    for name in ("amal", "omar"):
        page = plain(browser_of(app, name).get(f"/plans/{ids['lost_plan']}/statement").text)
        assert "Written off Moved away" in page
        assert "Payment, bank transfer" in page.replace("Transfer", "transfer").replace("Bank", "bank")
        assert "SAR 20.00" in page and "-SAR 60.00" in page
    page = plain(browser_of(app, "omar").get(f"/plans/{ids['bounced_plan']}/statement").text)
    assert "Payment taken back by the bank" in page


def test_more_rows_cost_no_more_queries(app: Flask, ids: dict[str, int]) -> None:
    amal = browser_of(app, "amal")
    addresses = ("/customers", "/customers?show=owing", f"/customers/{ids['omar']}", "/payments", "/plans?search=o")
    addresses += ("/installments?sort=-amount", "/refunds", "/movements", "/plans?sort=due", "/customers?show=overdue")
    before = {}
    for address in addresses:
        with queries(app) as sent:
            assert amal.get(address).status_code == 200
        before[address] = len(sent)
    with app.app_context():
        for number in range(4):
            plan_id = people.a_plan(ids["amal"], total=900, count=3)
            people.pay(people.installments_of(plan_id)[0].id, ids["omar"])
            refunds.refund(plan_id, actor=people.owner(ids["amal"]), amount=1_00, reason="It came late")
            new = NewPlan(f"more{number}@example.com", 1000, 1, people.today_of(ids["amal"]))
            plans.open_plan(people.owner(ids["amal"]), new)
    for address in addresses:
        with queries(app) as sent:
            assert amal.get(address).status_code == 200
        assert len(sent) == before[address] <= 11, address
