"""Money in and out: the list that the dashboard's figure links to has the figure's own sum."""

import csv
import io
import re
from datetime import UTC, datetime
from html import unescape

import pytest
import time_machine
from flask import Flask

from portal.reports.books import movements
from portal.services.accounts import accounts
from portal.services.accounts.merchant_settings import Settings
from portal.services.payments import manual_payments, refunds
from tests.fixtures import people
from tests.web import browser_of

MARCH_30 = datetime(2026, 3, 30, 9, tzinfo=UTC)


def plain(page: str) -> str:
    return unescape(re.sub(r"<[^>]+>", " ", page)).replace("\u00a0", " ")


def collected(page: str, month: str) -> str:
    """The amount of a month in the table beside the chart."""
    row = re.search(rf'datetime="{month}".*?</tr>', page, re.DOTALL)
    assert row
    return re.findall(r'<bdi class="money">([^<]+)</bdi>', row[0])[1].replace("\u00a0", " ")


def test_a_month_and_its_list_agree_also_after_a_change_of_the_zone(app: Flask, database: str) -> None:
    """At 22:30 UTC on 31 March it is April in Riyadh. Before, a change of the zone moved the payment to March."""
    with time_machine.travel(MARCH_30, tick=False) as now:
        with app.app_context():
            amal, omar = people.amal(), people.omar()
            plan_id = people.a_plan(amal, total=90_00, count=3)
            first, second, _ = people.installments_of(plan_id)
            people.pay(first.id, omar)
            now.move_to(datetime(2026, 3, 31, 22, 30, tzinfo=UTC))
            late = people.pay(second.id, omar)
            now.move_to(datetime(2026, 4, 10, 9, tzinfo=UTC))
            refunds.refund(plan_id, actor=people.owner(amal), amount=10_00, reason="Torn", payment_id=late.id)
            manual_payments.record(
                plan_id, actor=people.owner(amal), amount=5_00, method="cash", received_on=MARCH_30.date()
            )
        browser = browser_of(app, "amal")
        before = browser.get("/dashboard").text
        assert (collected(before, "2026-03"), collected(before, "2026-04")) == ("SAR 35.00", "SAR 20.00")
        with app.app_context():
            accounts.update_merchant(
                people.owner(amal),
                Settings(business_name="Amal", time_zone="America/New_York", grace_days=0, home_currency="SAR"),
            )
        after = browser.get("/dashboard").text
        assert (collected(after, "2026-03"), collected(after, "2026-04")) == ("SAR 35.00", "SAR 20.00")
        march = browser.get("/movements?from=2026-03-01&to=2026-03-31").text
        april = browser.get("/movements?from=2026-04-01&to=2026-04-30").text
    assert "2 entries, together SAR 35.00" in " ".join(plain(march).split())
    assert "2 entries, together SAR 20.00" in " ".join(plain(april).split())
    assert "-SAR 10.00" in plain(april) and "-SAR" not in plain(march)


def test_the_list_is_for_the_business_alone(app: Flask, database: str) -> None:
    with app.app_context():
        amal, omar, _ = people.amal(), people.omar(), people.badr()
        people.pay(people.installments_of(people.a_plan(amal, description="A secret cake"))[0].id, omar)
    assert "secret cake" in browser_of(app, "amal").get("/movements").text
    assert "secret cake" not in browser_of(app, "badr").get("/movements").text
    assert browser_of(app, "omar").get("/movements").status_code == 403
    assert browser_of(app, "amal").get("/movements?from=soon").status_code == 400


def test_a_long_list_is_summed_up_to_a_bound_and_a_month_always(
    app: Flask, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with time_machine.travel(MARCH_30, tick=False):
        with app.app_context():
            amal, omar = people.amal(), people.omar()
            for row in people.installments_of(people.a_plan(amal, total=90_00, count=3)):
                people.pay(row.id, omar)
        browser = browser_of(app, "amal")
        monkeypatch.setattr(movements, "LIMIT", 3)
        assert "3 entries, together SAR 90.00" in " ".join(plain(browser.get("/movements").text).split())
        monkeypatch.setattr(movements, "LIMIT", 2)
        whole = browser.get("/movements").text
        assert "More than 10,000" in plain(whole) and "together" not in plain(whole)
        for days in ("from=2026-01-01&to=2026-03-31", "from=2026-03-01"):
            assert "together" not in plain(browser.get(f"/movements?{days}").text)
        month = browser.get("/movements?from=2026-03-01&to=2026-03-31").text
        assert collected(browser.get("/dashboard").text, "2026-03") == "SAR 90.00"
        assert "3 entries, together SAR 90.00" in " ".join(plain(month).split())


def test_the_list_is_searched_sorted_and_saved_as_a_file(app: Flask, database: str) -> None:
    """By customer, purchase, number and amount; the file has the rows of the page that it was taken from."""
    with time_machine.travel(MARCH_30, tick=False), app.app_context():
        amal, omar, sara = people.amal(), people.omar(), people.a_customer("sara")
        oven = people.a_plan(amal, total=90_00, count=3, description="An oven")
        lamp = people.a_plan(amal, "sara@example.com", total=70_00, count=1, description="A lamp")
        first, second, _ = people.installments_of(oven)
        people.pay(first.id, omar)
        people.pay(second.id, omar)
        people.pay(people.installments_of(lamp)[0].id, sara)
        refunds.refund(oven, actor=people.owner(amal), amount=10_00, reason="Torn")
    browser = browser_of(app, "amal")

    def amounts(query: str) -> list[str]:
        """The amounts of the rows of the page, in their order, and those of its file are the same."""
        page = browser.get(f"/movements?{query}")
        rows = page.text.partition("<tbody")[2]
        shown = [found.replace("\u00a0", " ") for found in re.findall(r'<bdi class="money">([^<]+)</bdi>', rows)]
        saved = browser.get(f"/movements.csv?{query}").data.decode("utf-8-sig")
        kept = [f"{row['currency']} {row['amount']}" for row in csv.DictReader(io.StringIO(saved))]
        assert kept == [amount.replace("-SAR ", "SAR -") for amount in shown]
        assert query == "" or f'href="/movements.csv?{query}"' in unescape(page.text) or not shown
        return shown

    assert sorted(amounts("")) == ["-SAR 10.00", "SAR 30.00", "SAR 30.00", "SAR 70.00"]
    assert amounts("sort=amount") == ["-SAR 10.00", "SAR 30.00", "SAR 30.00", "SAR 70.00"]
    assert amounts("sort=-amount") == ["SAR 70.00", "SAR 30.00", "SAR 30.00", "-SAR 10.00"]
    assert amounts("search=sara") == amounts("search=lamp") == amounts(f"search=%23{lamp}") == ["SAR 70.00"]
    assert amounts("search=10.00") == amounts("kind=refund") == ["-SAR 10.00"]
    assert amounts("search=30.00&sort=date") == ["SAR 30.00", "SAR 30.00"]
    assert amounts("search=nobody") == []
    page = browser.get("/movements?search=oven").text
    assert "3 entries, together SAR 50.00" in " ".join(plain(page).split())
    assert browser.get("/movements?kind=credit").status_code == 400
    assert browser.get("/movements.csv?kind=credit").status_code == 404
    assert browser_of(app, "omar").get("/movements.csv").status_code == 403
