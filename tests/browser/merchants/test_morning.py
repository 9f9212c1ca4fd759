"""A merchant's morning: late customers are reminded, one is found by phone, cash is recorded, plans are made.

Without JavaScript, too. There, a password has no button that shows it.
"""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.visitors import PASSWORD, Visitor

pytestmark = pytest.mark.browser

BOTH = pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without JavaScript"])


def late_plans(amal: Visitor, name: str, count: int) -> None:
    """Plans of two installments, the first of which was due in 2020, over the API."""
    request = amal.context.request
    token = request.post("/token/", data={"username": name, "password": PASSWORD}).json()["access"]
    for number in range(count):
        made = request.post(
            "/api/plans/",
            headers={"Authorization": f"Bearer {token}"},
            data={
                "customer_email": f"late-{number}-{name}@example.com",
                "total_amount": f"{number + 1}00.00",
                "num_installments": 2,
                "start_date": "2020-01-31",
                "description": f"Oak desk {number}",
            },
        )
        assert made.status == 201, made.text()


@BOTH
def test_a_merchants_morning(visit: Visit, scripts: bool) -> None:
    amal = visit(scripts=scripts)
    name = amal.create_account("merchant", "amal")
    late_plans(amal, name, 10)

    page = amal.open("/dashboard")
    page.get_by_role("link", name="Remind late customers").click()
    if scripts:
        page.get_by_label("Select all on this page").check()
        page.get_by_role("button", name="Remind selected (10)").click()
    else:
        page.get_by_role("button", name="Remind all on this page").click()
    expect(page.get_by_text("10 reminders queued")).to_be_visible()
    expect(page.get_by_text(re.compile("^Reminded today, "))).to_have_count(10)

    page.locator("td.cell-title a").first.click()
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Name").fill("Layla Haddad")
    page.get_by_label("Phone").fill("+966 50 123 4567")
    amal.press("Save")
    expect(page.get_by_role("heading", level=1)).to_have_text("Layla Haddad")

    if scripts:
        page.keyboard.press("Control+k")
        expect(page).to_have_url(re.compile("/search$"))
    else:
        page.get_by_role("link", name="Search").first.click()
    page.get_by_label("Search everything").fill("050 123 4567")
    page.get_by_label("Search everything").press("Enter")
    page.locator("main").get_by_role("link", name="Oak desk 9").click()
    expect(page).to_have_url(re.compile(r"/plans/\d+$"))
    page.get_by_role("link", name="Record a payment").click()
    page.get_by_role("link", name="Next installment, SAR\u00a0500.00").click()
    expect(page.get_by_label("Amount received")).to_have_value("500.00")
    amal.press("Continue")
    page.get_by_role("button", name="Record SAR\u00a0500.00").click()
    expect(page.locator("#plan-summary")).to_contain_text("1 of 2 paid")

    page.get_by_role("link", name="New plan like this").click()
    expect(page.get_by_label("Customer’s email")).to_have_value(f"late-9-{name}@example.com")
    expect(page.get_by_label("Total")).to_have_value("1000.00")
    expect(page.locator("#result-line")).to_contain_text("2 × SAR\u00a0500.00, until")
    amal.press("Create plan for SAR\u00a01,000.00")
    expect(page.locator("main")).to_contain_text("Layla Haddad")

    page = amal.open("/settings/terms")
    page.get_by_label("Name").fill("Quarter down")
    page.get_by_label("Deposit").fill("25")
    amal.press("Add terms")
    page = amal.open("/plans/new")
    page.get_by_label("Total").fill("1000")
    amal.press("Quarter down")
    expect(page.locator("#result-line")).to_contain_text("4 × SAR\u00a0250.00, until")
    expect(page.get_by_label("Total")).to_have_value("1000")
    if scripts:
        page.get_by_label("Total").fill("ten")
        page.get_by_label("Total").press("Tab")
        expect(page.locator("#total_amount-error")).to_have_text("Enter an amount in digits, like 1200.00.")
        page.get_by_label("Total").fill("1000")
        expect(page.locator(".field-error")).to_have_count(0)
    page.goto("/account/password")
    expect(page.locator("[data-reveal]").first).to_be_visible(visible=scripts)


def test_a_press_of_the_button_is_not_lost_to_an_error_that_appears_above_it(visit: Visit) -> None:
    """Leaving a field asks for its error, which would move the button between the press and the release."""
    amal = visit()
    amal.register("merchant", "amal")
    page = amal.open("/plans/new")
    page.get_by_label("Total").fill("many")
    button = page.get_by_role("button", name="Create plan")
    button.scroll_into_view_if_needed()
    box = button.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 2)
    with page.expect_response("**/plans/preview"):
        page.mouse.down()
    page.wait_for_timeout(200)
    page.mouse.up()
    page.locator("[data-error-summary]").wait_for()
