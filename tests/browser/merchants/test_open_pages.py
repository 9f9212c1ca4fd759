"""Open pages follow what happens, the chart tells its values, and what is printed is a clean sheet."""

import re

import pytest
from playwright.sync_api import Page, Response, expect

from tests.browser.conftest import BOTH_IN_TIME, Visit

pytestmark = pytest.mark.browser

POLL_MS = 8_500
"""A little longer than the interval at which an open page asks whether it is out of date (app.js)."""
HIDE = "(hidden) => Object.defineProperty(document, 'hidden', {get: () => hidden, configurable: true})"
CONTROLS = "button, input, select, textarea, summary, nav, .btn, .search"
"""Things that a sheet of paper has no use for."""


def answer(page: Page) -> int:
    """The status of the answer to the page's next question whether it is out of date."""
    with page.expect_response(re.compile(r"/version\?seen=")) as response:
        page.clock.fast_forward(POLL_MS)
    return response.value.status


@pytest.mark.long
def test_an_open_home_or_plan_page_follows_a_payment(visit: Visit) -> None:
    """No question is asked while the tab is hidden or a menu is open."""
    amal, omar = visit(), visit()
    name = omar.create_account("customer", "omar")
    amal.create_account("merchant", "amal")
    plan = amal.create_plan(f"{name}@example.com")
    asked: list[str] = []

    def note(response: Response) -> None:
        if "/version?" in response.url:
            asked.append(response.url)

    page = amal.open("/plans")  # tells what was done, with the focus, which an open page does not take away
    page.on("response", note)
    page.clock.install()
    shown = {"/dashboard": page.locator(".figure").first, plan: page.locator("#plan-summary")}
    for path, texts in (("/dashboard", ("SAR\u00a00.00", "SAR\u00a0300.00")), (plan, ("1 of 4 paid", "2 of 4 paid"))):
        page.goto(path)
        expect(shown[path]).to_contain_text(texts[0])
        assert 204 in (answer(page), answer(page))  # the number of the plan's event, which comes later, is news once
        omar.open(plan).locator("#pay-next").click()
        expect(omar.page.locator("#plan-summary")).to_contain_text("SAR\u00a0300.00 paid")
        assert answer(page) == 200
        expect(shown[path]).to_contain_text(texts[1])

    def asks_nothing() -> None:
        before = len(asked)
        for _ in range(3):
            page.clock.fast_forward(POLL_MS)
        page.request.get("/healthz")
        assert len(asked) == before

    page.locator("#plan-acts summary").click()
    asks_nothing()
    page.locator("#plan-acts summary").click()
    page.evaluate(HIDE, True)
    asks_nothing()
    page.evaluate(HIDE, False)
    assert answer(page) == 204


@pytest.mark.long
def test_the_chart_tells_its_values_on_hover_and_focus(visit: Visit) -> None:
    omar, amal = visit(), visit()
    name = omar.create_account("customer", "omar")
    amal.create_account("merchant", "amal")
    omar.open(amal.create_plan(f"{name}@example.com")).locator("#pay-next").click()
    expect(omar.page.locator("#plan-summary")).to_contain_text("1 of 4 paid")
    page = amal.open("/dashboard")
    months, words = page.locator(".chart-bars a"), page.locator(".chart-words")
    expect(months).to_have_count(6)
    expect(words.last).to_have_css("opacity", "0")
    months.last.hover()
    expect(words.last).to_have_css("opacity", "1")
    expect(words.last).to_contain_text("SAR\u00a0300.00 expected, SAR\u00a0300.00 collected")
    page.mouse.move(0, 0)
    expect(words.last).to_have_css("opacity", "0")
    months.nth(4).focus()
    page.keyboard.press("Tab")
    expect(months.last).to_be_focused()
    expect(words.last).to_have_css("opacity", "1")
    expect(words.nth(4)).to_have_css("opacity", "0")
    page.get_by_role("link", name="12 months").click()
    expect(months).to_have_count(12)


@BOTH_IN_TIME
@pytest.mark.long
def test_lists_receipts_and_statements_print_as_clean_sheets(visit: Visit, scripts: bool) -> None:
    omar, amal = visit(), visit(scripts=scripts)
    name = omar.create_account("customer", "omar")
    amal.create_account("merchant", "amal")
    plan = amal.create_plan(f"{name}@example.com")
    omar.open(plan).locator("#pay-next").click()
    expect(omar.page.locator("#plan-summary")).to_contain_text("1 of 4 paid")
    page = amal.page
    page.set_viewport_size({"width": 720, "height": 1000})  # A4 without its margins
    page.emulate_media(media="print")
    customer = amal.open("/customers").locator("td.cell-title a").get_attribute("href") or ""
    receipt = amal.open("/payments").locator("td a[href^='/payments/']").first.get_attribute("href") or ""
    for path in ("/plans", "/customers", "/installments", "/payments", receipt, f"{plan}/statement",
                 f"{customer}/statement"):  # fmt: skip
        page.goto(path)
        assert [control for control in page.locator(CONTROLS).all() if control.is_visible()] == [], path
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator("main")).to_contain_text("SAR\u00a0300.00" if "/" in path[1:] else "SAR")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        if path != receipt:
            expect(page.locator("thead").first).to_have_css("display", "table-header-group")
