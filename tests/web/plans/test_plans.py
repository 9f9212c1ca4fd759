"""Plans: creating, listing and a plan's page."""

import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from portal.domain import clock
from portal.extensions import db
from portal.models import Installment, Plan, User
from portal.services.payments import refunds
from tests.fixtures import people
from tests.fixtures.query_log import queries
from tests.web import HTMX, browser_of

KEY = "one-use-key-0123456789"


@pytest.fixture
def ids(app: Flask, database: str) -> dict[str, int]:
    with app.app_context():
        return {"amal": people.amal(), "badr": people.badr(), "omar": people.omar(), "sara": people.sara()}


def plan(app: Flask, merchant: int, *args: str, **more: object) -> int:
    with app.app_context():
        return people.a_plan(merchant, *args, **more)  # type: ignore[arg-type]


def today() -> str:
    return clock.today("Asia/Riyadh").isoformat()


def typed(**more: str) -> dict[str, str]:
    """Amal's form: SAR 1,200 in four months from today, for Omar."""
    return {
        "key": KEY,
        "customer_email": "omar@example.com",
        "total_amount": "1200",
        "num_installments": "4",
        "interval": "monthly",
        "start_date": today(),
        "description": "Oak desk",
        **more,
    }


def create(client: FlaskClient, **more: str) -> TestResponse:
    return client.post("/plans", data=typed(**more))


def count(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(Plan)) or 0


def error_beside(page: str, field: str) -> str:
    match = re.search(rf'id="{field}-error">.*?<span>(.*?)</span>', page, re.DOTALL)
    return match[1] if match else ""


def test_the_form_starts_at_the_merchants_today(app: Flask, ids: dict[str, int]) -> None:
    page = browser_of(app, "amal").get("/plans/new").text
    assert f'value="{today()}"' in page and f'min="{today()}"' in page
    assert "Enter a total to see the schedule." in page
    assert "There is a problem" not in page


def test_creating_a_plan_leads_to_its_page(app: Flask, ids: dict[str, int]) -> None:
    amal = browser_of(app, "amal")
    response = create(amal)
    assert response.status_code == 303
    page = amal.get(response.location).text
    for words in ("Plan created.", "Oak desk", "omar", "SAR\u00a01,200.00", "0 of 4 paid", "Plan made"):
        assert words in page
    assert "Pay SAR" not in page
    with app.app_context():
        rows = db.session.scalars(select(Installment).order_by(Installment.number)).all()
        assert [row.amount for row in rows] == [300_00] * 4


@pytest.mark.parametrize("typed", ["1,200", "1,200.00", "١٬٢٠٠٫٠٠", "١٢٠٠", "۱۲۰۰", "1 200,00", "SAR 1,200.00"])
def test_an_amount_is_read_as_people_write_it(app: Flask, ids: dict[str, int], typed: str) -> None:
    assert create(browser_of(app, "amal"), total_amount=typed).status_code == 303
    with app.app_context():
        assert db.session.scalars(select(Plan.total)).all() == [1200_00]


def test_a_deposit_is_read_as_people_write_it(app: Flask, ids: dict[str, int]) -> None:
    start = clock.today("Asia/Riyadh") + timedelta(days=9)
    later = {"schedule": "deposit", "deposit": "٢٠٠٫٥٠", "start_date": start.isoformat()}
    assert create(browser_of(app, "amal"), **later).status_code == 303
    with app.app_context():
        assert db.session.scalars(select(Installment.amount).order_by(Installment.number)).first() == 200_50


def test_the_same_form_sent_again_creates_no_second_plan(app: Flask, ids: dict[str, int]) -> None:
    amal = browser_of(app, "amal")
    assert create(amal).location == create(amal).location
    assert count(app) == 1


def test_a_used_form_with_other_values_is_refused_with_a_new_key(app: Flask, ids: dict[str, int]) -> None:
    amal = browser_of(app, "amal")
    create(amal)
    response = create(amal, total_amount="900")
    assert response.status_code == 422 and "A plan was already made from this page." in response.text
    fresh = re.search(r'name="key"[^>]*value="([^"]+)"', response.text)
    assert fresh and fresh[1] != KEY
    assert create(amal, total_amount="900", key=fresh[1]).status_code == 303
    assert count(app) == 2


WRONG = [
    ("customer_email", "", "customer_email"),
    ("customer_email", "omar", "customer_email"),
    ("customer_email", "amal@example.com", "customer_email"),
    ("customer_email", "o" * 300 + "@example.com", "customer_email"),
    ("total_amount", "", "total_amount"),
    ("total_amount", "12,00,000", "total_amount"),
    ("total_amount", "1e3", "total_amount"),
    ("total_amount", "-5", "total_amount"),
    ("total_amount", "0", "total_amount"),
    ("total_amount", "1.234", "total_amount"),
    ("total_amount", "NaN", "total_amount"),
    ("total_amount", "٣٠٠٫٥٠٥", "total_amount"),
    ("total_amount", "9" * 50, "total_amount"),
    ("total_amount", "0.03", "total_amount"),
    ("num_installments", "", "num_installments"),
    ("num_installments", "0", "num_installments"),
    ("num_installments", "61", "num_installments"),
    ("num_installments", "2.5", "num_installments"),
    ("num_installments", "9" * 30, "num_installments"),
    ("interval", "daily", "interval"),
    ("interval", "", "interval"),
    ("start_date", "", "start_date"),
    ("start_date", "2020-01-01", "start_date"),
    ("start_date", "2199-12-31", "start_date"),
    ("start_date", "31/12/2030", "start_date"),
    ("start_date", "9999-99-99", "start_date"),
    ("start_date", "20991201", "start_date"),
    ("start_date", "2099-W10-1", "start_date"),
    ("start_date", "２099-12-01", "start_date"),
    ("description", "x" * 201, "description"),
    ("description", "two\nlines", "description"),
    ("description", "nul\x00", "description"),
    ("customer_email", "nul\x00@example.com", "customer_email"),
]


@pytest.mark.parametrize(("field", "value", "beside"), WRONG)
def test_an_error_stands_beside_its_field_and_no_plan_is_created(
    app: Flask, ids: dict[str, int], field: str, value: str, beside: str
) -> None:
    response = create(browser_of(app, "amal"), **{field: value})
    assert response.status_code == 422
    assert error_beside(response.text, beside), "no words beside the field"
    assert 'value="1200"' in response.text or field == "total_amount", "what was typed is kept"
    assert response.text.count("data-error-summary") == 1
    assert count(app) == 0


def test_every_error_is_reported_at_once(app: Flask, ids: dict[str, int]) -> None:
    response = create(
        browser_of(app, "amal"), customer_email="", total_amount="x", num_installments="99", start_date="2001-01-01"
    )
    for field in ("customer_email", "total_amount", "num_installments", "start_date"):
        assert error_beside(response.text, field), field


@pytest.mark.parametrize("key", ["", "short", "x" * 400, "\x00" * 30, "a b" * 8])
def test_a_malformed_key_creates_no_plan_and_keeps_the_values(app: Flask, ids: dict[str, int], key: str) -> None:
    response = create(browser_of(app, "amal"), key=key)
    assert (
        response.status_code == 422
        and "Please send the form again." in response.text
        and 'value="1200"' in response.text
    )
    fresh = re.search(r'name="key"[^>]*value="([^"]+)"', response.text)
    assert fresh and fresh[1] != key
    assert count(app) == 0


def test_an_empty_form_gets_the_form_again(app: Flask, ids: dict[str, int]) -> None:
    amal = browser_of(app, "amal")
    assert amal.post("/plans", data={}).status_code == 422
    assert amal.post("/plans/preview", data={}).status_code == 200
    assert amal.post("/plans/preview", data={}, headers=HTMX).status_code == 200


def test_the_preview_equals_the_saved_schedule(app: Flask, ids: dict[str, int]) -> None:
    amal = browser_of(app, "amal")
    data = typed(total_amount="100", num_installments="3", start_date="2198-01-31")
    shown = amal.post("/plans/preview", data=data, headers=HTMX)
    assert shown.status_code == 200 and "<html" not in shown.text
    rows = re.findall(r'<time datetime="([^"]+)">[^<]+</time></dt><dd><bdi class="money">SAR\u00a0([^<]+)', shown.text)
    assert rows == [("2198-01-31", "33.34"), ("2198-02-28", "33.33"), ("2198-03-31", "33.33")]
    assert "Create plan for SAR\u00a0100.00" in shown.text
    assert "Oak desk" in shown.text
    assert count(app) == 0
    amal.post("/plans", data=data)
    with app.app_context():
        saved = db.session.scalars(select(Installment).order_by(Installment.number))
        assert [(row.due_date.isoformat(), f"{row.amount / 100:.2f}") for row in saved] == rows


def test_an_incomplete_form_previews_hints_without_errors(app: Flask, ids: dict[str, int]) -> None:
    amal = browser_of(app, "amal")
    shown = amal.post("/plans/preview", data=typed(total_amount="", num_installments=""), headers=HTMX).text
    assert "Enter a total to see the schedule." in shown and "Choose 1 to 60 installments." in shown
    assert "error" not in shown.lower()
    assert "Create plan<" in shown


def test_without_javascript_the_preview_is_on_the_forms_page(app: Flask, ids: dict[str, int]) -> None:
    amal = browser_of(app, "amal")
    page = amal.post("/plans/preview", data=typed()).text
    assert "<html" in page and "Create plan for SAR\u00a01,200.00" in page and 'value="1200"' in page
    assert amal.get("/plans/preview").location == "/plans/new"


def test_the_preview_uses_the_merchants_currency(app: Flask, ids: dict[str, int]) -> None:
    badr = browser_of(app, "badr")
    shown = badr.post("/plans/preview", data=typed(total_amount="10.001", num_installments="2"), headers=HTMX).text
    assert "KWD\u00a05.001" in shown and "KWD\u00a05.000" in shown


def test_the_page_of_an_unknown_customers_plan_shows_the_pay_link_and_not_the_customers(
    app: Flask, ids: dict[str, int]
) -> None:
    amal = browser_of(app, "amal")
    created = create(amal, customer_email="layla@example.com")
    plan_id = int(created.location.rpartition("/")[2])
    with app.app_context():
        pay_link, mailed = people.token_of(plan_id, "pay"), people.token_of(plan_id) or ""
    link = r"http://localhost(/invitations/[\w-]+)"
    for _ in range(2):
        page = amal.get(created.location).text
        assert set(re.findall(link, page)) == {f"/invitations/{pay_link}"} and mailed not in page
    first = re.search(link, page)
    assert first
    assert app.test_client().get(first[1]).status_code == 200

    assert amal.post(f"{created.location}/invitation").location == created.location
    second = re.search(link, amal.get(created.location).text)
    assert second and second[1] != first[1]
    assert app.test_client().get(first[1]).status_code == 404
    assert app.test_client().get(second[1]).status_code == 200

    assert amal.post(f"{created.location}/invitation/revoke").location == created.location
    page = amal.get(created.location).text
    assert "There is no pay link that works" in page and "Pay link revoked" in page
    assert app.test_client().get(second[1]).status_code == 404


def test_only_the_plans_merchant_renews_and_revokes_the_link(app: Flask, ids: dict[str, int]) -> None:
    plan_id = plan(app, ids["amal"], "layla@example.com")
    for end in ("", "/revoke", "/mail", "/mail/revoke"):
        path = f"/plans/{plan_id}/invitation{end}"
        assert browser_of(app, "badr").post(path).status_code == 404
        assert browser_of(app, "omar").post(path).status_code == 403
    claimed = plan(app, ids["amal"])
    for end in ("", "/mail"):
        response = browser_of(app, "amal").post(f"/plans/{claimed}/invitation{end}", follow_redirects=True)
        assert response.status_code == 200 and "has an account already" in response.text


def test_a_plan_is_visible_to_its_merchant_and_customer_only(app: Flask, ids: dict[str, int]) -> None:
    plan_id = plan(app, ids["amal"])
    assert browser_of(app, "amal").get(f"/plans/{plan_id}").status_code == 200
    assert browser_of(app, "omar").get(f"/plans/{plan_id}").status_code == 200
    for stranger in ("badr", "sara"):
        assert browser_of(app, stranger).get(f"/plans/{plan_id}").status_code == 404
    assert app.test_client().get(f"/plans/{plan_id}").location == f"/login?next=/plans/{plan_id}"


@pytest.mark.parametrize("number", ["0", "999999", str(2**63), "9" * 30, "-1", "one", "1.5", "%00"])
def test_an_unknown_or_malformed_id_is_a_404(app: Flask, ids: dict[str, int], number: str) -> None:
    assert browser_of(app, "amal").get(f"/plans/{number}").status_code == 404


def test_the_page_names_every_state_in_words(app: Flask, ids: dict[str, int]) -> None:
    plan_id = plan(app, ids["amal"], total=900_00, count=5, first=-13, interval="weekly")
    with app.app_context():
        people.pay(people.installments_of(plan_id)[0].id, ids["omar"])
    for name in ("omar", "amal"):
        page = browser_of(app, name).get(f"/plans/{plan_id}").text
        for words in (
            "Overdue",
            "1 of 5 paid",
            "6 days late",
            ">Open<",
            ">Paid<",
            "SAR\u00a0180.00 paid for installment 1",
        ):
            assert words in page, words
    due = plan(app, ids["amal"], count=1)
    assert "Due today" in browser_of(app, "omar").get(f"/plans/{due}").text


def test_markup_in_a_description_is_escaped(app: Flask, ids: dict[str, int]) -> None:
    plan_id = plan(app, ids["amal"], description="<script>alert(1)</script>")
    for name, path in (("omar", f"/plans/{plan_id}"), ("amal", "/plans"), ("omar", "/home"), ("amal", "/dashboard")):
        assert "<script>alert" not in browser_of(app, name).get(path).text


def test_the_list_is_filtered_searched_and_paged(app: Flask, ids: dict[str, int]) -> None:
    with app.app_context():
        for number in range(23):
            people.a_plan(ids["amal"], total=300, description=f"Order {number:02}")
        people.a_plan(ids["amal"], "Layla@example.com", description="For Layla", first=-3)
    amal = browser_of(app, "amal")
    first = amal.get("/plans").text
    assert first.count('class="cell-title"') == 20 and "For Layla" in first
    after = re.search(r'rel="next" href="([^"]+)"', first)
    assert after
    rest = amal.get(after[1].replace("&amp;", "&")).text
    assert rest.count('class="cell-title"') == 4 and "Order 00" in rest and "Previous" in rest
    assert "For Layla" in amal.get("/plans?status=overdue").text
    assert "Order" not in amal.get("/plans?status=overdue").text.split("plans-list")[1]
    assert "For Layla" in amal.get("/plans?search=LAY").text
    assert amal.get("/plans?search=om").text.count('class="cell-title"') == 20
    assert amal.get("/plans?search=mar@").text.count('class="cell-title"') == 20
    assert "Nothing matches" in amal.get("/plans?search=ma").text
    assert "Nothing matches" in amal.get("/plans?status=completed").text
    assert "Nothing matches" in amal.get("/plans?search=%25").text
    fragment = amal.get("/plans?search=lay", headers=HTMX)
    assert fragment.text.lstrip().startswith('<div id="plans-list"') and "HX-Request" in fragment.headers["Vary"]


@pytest.mark.parametrize(
    "query", ["status=gone", "cursor=!!", "cursor=WzFd_", "cursor=WyJ4Il0", "status=%00", "cursor=%00"]
)
def test_an_invalid_filter_or_cursor_gets_a_400_page(app: Flask, ids: dict[str, int], query: str) -> None:
    page = browser_of(app, "amal").get(f"/plans?{query}")
    assert page.status_code == 400 and "does not lead to a list any more" in page.text


@pytest.mark.parametrize("query", ["search=%00", "search=a%00b", "search=%ED%A0%80", "search=" + "x" * 3000, "x=1"])
def test_unusual_searches_get_a_list(app: Flask, ids: dict[str, int], query: str) -> None:
    assert browser_of(app, "amal").get(f"/plans?{query}").status_code == 200


def test_an_empty_list_names_the_next_step(app: Flask, ids: dict[str, int]) -> None:
    assert "Make your first plan" in browser_of(app, "amal").get("/plans").text
    sara = browser_of(app, "sara").get("/plans").text
    assert "No plans yet" in sara and "/plans/new" not in sara


def test_customers_neither_create_plans_nor_search(app: Flask, ids: dict[str, int]) -> None:
    plan_id = plan(app, ids["amal"])
    omar = browser_of(app, "omar")
    for response in (omar.get("/plans/new"), create(omar), omar.post("/plans/preview", data=typed())):
        assert response.status_code == 403
    assert f"/plans/{plan_id}" in omar.get("/plans?search=sara").text
    assert "Search plans" not in omar.get("/plans").text
    assert count(app) == 1


def test_the_number_of_queries_is_independent_of_rows(app: Flask, ids: dict[str, int]) -> None:
    amal, omar = browser_of(app, "amal"), browser_of(app, "omar")
    small, large = (plan(app, ids["amal"], total=60_00, count=size, first=-2) for size in (2, 30))
    with app.app_context():
        for row in people.installments_of(small)[:1] + people.installments_of(large)[:12]:
            people.pay(row.id, ids["omar"])
        for plan_id in (small, large):
            refunds.refund(plan_id, actor=people.owner(ids["amal"]), amount=10_00, reason="It came late")
    for client in (amal, omar):
        counts = []
        for plan_id in (small, large):
            with queries(app) as sent:
                assert client.get(f"/plans/{plan_id}").status_code == 200
            counts.append(len(sent))
        assert counts[0] == counts[1], sent
    counts = []
    for more in (1, 9):
        with app.app_context():
            for number in range(more):
                people.a_plan(ids["amal"], f"new{more}-{number}@example.com")
        with queries(app) as sent:
            amal.get("/plans")
        counts.append(len(sent))
    assert counts[0] == counts[1], sent


def test_the_first_due_date_is_checked_in_the_merchants_time_zone(app: Flask, ids: dict[str, int]) -> None:
    yesterday = (clock.today("Asia/Riyadh") - timedelta(days=1)).isoformat()
    response = create(browser_of(app, "amal"), start_date=yesterday)
    assert "today or later" in error_beside(response.text, "start_date")


def test_a_refused_plan_creates_no_invited_customer(app: Flask, ids: dict[str, int]) -> None:
    create(browser_of(app, "amal"), customer_email="layla@example.com", total_amount="x")
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(User).where(User.email == "layla@example.com")) == 0
