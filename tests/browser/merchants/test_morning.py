"""A merchant's morning: late customers are reminded, one is found by phone, cash is recorded, plans are made.

Without JavaScript, too. There, a password has no button that shows it.
"""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import BOTH_IN_TIME, Visit
from tests.browser.visitors import PASSWORD, Visitor
from tests.fixtures.live import Live
from tests.pages.words import words

pytestmark = pytest.mark.browser


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


@pytest.mark.long
@BOTH_IN_TIME
@pytest.mark.parametrize(
    "language", ["en", pytest.param("ar", marks=pytest.mark.proof)], ids=["in English", "in Arabic"]
)
def test_a_merchants_morning(visit: Visit, scripts: bool, language: str) -> None:
    amal = visit(scripts=scripts)
    amal.context.set_extra_http_headers({"Accept-Language": language})
    say = words(language)
    name = amal.create_account("merchant", "amal")
    late_plans(amal, name, 10)

    page = amal.open("/dashboard")
    expect(page.locator("html")).to_have_attribute("lang", language)
    page.get_by_role("link", name=say("Remind late customers")).click()
    if scripts:
        page.get_by_label(say("Select all on this page")).check()
        page.get_by_role("button", name=say("Remind selected (%(count)s)", count="10")).click()
    else:
        page.get_by_role("button", name=say("Remind all on this page")).click()
    queued = say("%(num)s reminder queued", "%(num)s reminders queued", num=10)
    expect(page.get_by_text(queued)).to_be_visible()
    if scripts:
        assert amal.clicks() <= 4
    reminded = say("Reminded today, %(time)s", time="")
    expect(page.get_by_text(re.compile("^" + getattr(reminded, "pattern", reminded)))).to_have_count(10)

    page.locator("td.cell-title a").first.click()
    page.get_by_role("link", name=say("Edit"), exact=True).click()
    page.get_by_label(say("Name")).fill("Layla Haddad")
    page.get_by_label(say("Phone")).fill("+966 50 123 4567")
    amal.press(say("Save"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Layla Haddad")

    if scripts:
        page.keyboard.press("Control+k")
        expect(page).to_have_url(re.compile("/search$"))
    else:
        page.get_by_role("link", name=say("Search")).first.click()
    page.get_by_label(say("Search everything")).fill("050 123 4567")
    page.get_by_label(say("Search everything")).press("Enter")
    page.locator("main").get_by_role("link", name="Oak desk 9").click()
    expect(page).to_have_url(re.compile(r"/plans/\d+$"))
    page.get_by_role("link", name=say("Record a payment")).click()
    page.get_by_role("link", name=say("Next installment, %(amount)s", amount="SAR\u00a0500.00")).click()
    expect(page.get_by_label(say("Amount received"))).to_have_value("500.00")
    amal.press(say("Continue"))
    page.get_by_role("button", name=say("Record %(amount)s", amount="SAR\u00a0500.00")).click()
    expect(page.locator("#plan-summary")).to_contain_text(say("%(paid)s of %(total)s paid", paid=1, total=2))

    plan = page.url
    if scripts:
        amal.clicks()
    page.locator("main").get_by_role("link", name="Layla Haddad").click()
    expect(page).to_have_url(re.compile(r"/customers/\d+$"))
    if scripts:
        assert amal.clicks() == 1
    page.goto(plan)
    page.get_by_role("link", name=say("New plan like this")).click()
    expect(page.get_by_label(say("Customer’s email"))).to_have_value(f"late-9-{name}@example.com")
    expect(page.get_by_label(say("Total"), exact=True)).to_have_value("1000.00")
    until = say("%(count)s × %(amount)s, until %(date)s", count=2, amount="SAR\u00a0500.00", date="")
    expect(page.locator("#result-line")).to_contain_text(until)
    amal.press(say("Create plan for %(amount)s", amount="SAR\u00a01,000.00"))
    expect(page.locator("main")).to_contain_text("Layla Haddad")

    page = amal.open("/settings/terms")
    page.get_by_label(say("Name")).fill("Quarter down")
    page.get_by_label(say("Deposit")).fill("25")
    amal.press(say("Add terms"))
    page = amal.open("/plans/new")
    page.get_by_label(say("Total"), exact=True).fill("1000")
    amal.press("Quarter down")
    until = say("%(count)s × %(amount)s, until %(date)s", count=4, amount="SAR\u00a0250.00", date="")
    expect(page.locator("#result-line")).to_contain_text(until)
    expect(page.get_by_label(say("Total"), exact=True)).to_have_value("1000")
    if scripts:
        page.get_by_label(say("Total"), exact=True).fill("ten")
        page.get_by_label(say("Total"), exact=True).press("Tab")
        fault = say("Enter an amount in digits, like %(example)s.", example="1200.00")
        expect(page.locator("#total_amount-error")).to_have_text(fault)
        page.get_by_label(say("Total"), exact=True).fill("1000")
        expect(page.locator(".field-error")).to_have_count(0)
    page.goto("/account/password")
    expect(page.locator("[data-reveal]").first).to_be_visible(visible=scripts)


def test_a_press_of_the_button_is_not_lost_to_an_error_that_appears_above_it(visit: Visit) -> None:
    """Leaving a field asks for its error, which would move the button between the press and the release.

    So would a preview that came just before the press, and settles after it.
    """
    amal = visit()
    amal.register("merchant", "amal")
    for settles_after in (20, 600):
        page = amal.open("/plans/new")
        page.evaluate("delay => { htmx.config.defaultSettleDelay = delay; }", settles_after)
        with page.expect_response("**/plans/preview"):
            page.get_by_label("Total").fill("many")
        button = page.get_by_role("button", name="Create plan")
        button.scroll_into_view_if_needed()
        box = button.bounding_box()
        assert box
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 2)
        with page.expect_response("**/plans/preview"):
            page.mouse.down()
        page.wait_for_timeout(200 + settles_after)
        page.mouse.up()
        page.locator("[data-error-summary]").wait_for()


def test_the_browsers_time_zone_suggests_the_zone_and_the_currency(browser: Browser, live: Live) -> None:
    """In a browser in American English, too. The choice of a person stays."""
    context = browser.new_context(base_url=live.url, timezone_id="Asia/Kuwait", locale="en-US")
    page = context.new_page()
    page.goto("/register")
    expect(page.locator("[name=time_zone]")).to_have_value("Asia/Kuwait")
    expect(page.locator("[name=home_currency]")).to_have_value("KWD")
    page.locator("[name=home_currency]").select_option("AED")
    page.get_by_role("button", name="Register").click()
    page.locator("[data-error-summary]").wait_for()
    expect(page.locator("[name=home_currency]")).to_have_value("AED")
    expect(page.locator("[name=time_zone]")).to_have_value("Asia/Kuwait")
    context.close()
