"""Every page, in light and dark and on a phone: nothing for axe to find, nothing wider than the window."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Page

from portal.services import demo
from tests.browser.conftest import Visit
from tests.live import Live

pytestmark = pytest.mark.browser

LOOKS = [("light", 1280), ("dark", 1280), ("light", 390)]

PAGES: dict[str, list[str]] = {
    "": ["/", "/?paid=3", "/login", "/register", "/nothing-here"],
    "amal": [
        "/dashboard",
        "/plans",
        "/plans?status=overdue",
        "/plans?customer=nobody-of-this-name",
        "/plans?status=odd",
        "/plans/new",
        "first plan of /plans?status=active",
        "first plan of /plans?status=overdue",
        "first plan of /plans?status=completed",
        "first plan of /plans?customer=noor",
        "/installments",
        "/installments?status=late",
        "first payment of /dashboard",
        "/settings",
        "/settings/api-keys",
        "/account/password",
        "/home",
    ],
    "omar": [
        "/home",
        "/plans",
        "first plan of /plans?status=active",
        "first plan of /plans?status=overdue",
        "first plan of /plans?status=completed",
        "/installments",
        "first payment of /home",
    ],
}


def follow(page: Page, path: str) -> str:
    """The address that "first plan of /plans" means."""
    found = re.fullmatch(r"first (plan|payment) of (.*)", path)
    if not found:
        return path
    page.goto(found[2])
    link = page.locator(f'main a[href^="/{found[1]}s/"]:not([href="/plans/new"])').first
    return link.get_attribute("href") or ""


def look(page: Page, width: int) -> list[str]:
    """What axe finds on the page, and whether it is wider than its window."""
    found = Axe().run(page)
    faults = [] if not found.violations_count else [found.generate_report()]
    if (over := page.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0:
        faults.append(f"{over} px wider than {width}")
    return [f"{page.url} at {width} px: {fault}" for fault in faults]


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
@pytest.mark.parametrize("name", PAGES)
def test_every_page_can_be_used_by_everybody(visit: Visit, name: str, scheme: str, width: int) -> None:
    visitor = visit(scheme=scheme, width=width)
    page = visitor.page
    if name:
        visitor.sign_in(name, demo.PASSWORD)
    faults: list[str] = []
    for path in PAGES[name]:
        address = follow(page, path)
        assert address, path
        answer = page.goto(address)
        assert answer and answer.status < 500
        assert answer.status < 400 or path in ("/nothing-here", "/plans?status=odd", "/home"), address
        faults += look(page, width)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_so_can_forms_with_mistakes_open_panels_and_answers(visit: Visit, scheme: str, width: int) -> None:
    amal, omar = visit(scheme=scheme, width=width), visit(scheme=scheme, width=width)
    name = omar.register("customer", "omar")
    faults = look(omar.page, width)
    amal.register("merchant", "amal")
    faults += look(amal.page, width)
    faults += look(amal.open("/plans"), width)

    page = amal.open("/plans/new")
    page.get_by_label("Total").fill("many")
    page.get_by_role("button", name="Create plan").click()
    page.locator("[data-error-summary]").wait_for()
    faults += look(page, width)
    page.get_by_label("Customer’s email").fill(f"{name}@example.com")
    page.get_by_label("Total").fill("100")
    page.get_by_label("Number of installments").fill("30")
    page.get_by_text("30 payments").wait_for()
    faults += look(page, width)
    plan = amal.make_plan(f"{name}@example.com")
    amal.make_plan(f"new-{name}@example.com")
    page = amal.page
    faults += look(page, width)
    link = page.get_by_label("Link for the customer").input_value()
    faults += look(visit(scheme=scheme, width=width).open(link), width)

    page = omar.open(plan)
    omar.choose_card(omar.row(1), "card_declined")
    faults += look(page, width)
    omar.row(1).get_by_role("button", name="Pay now").click()
    omar.row(1).get_by_text("Your card was declined").wait_for()
    faults += look(page, width)
    omar.row(2).get_by_role("button", name="Pay now").click()
    page.locator("#plan-summary").get_by_text("1 of 4 paid").wait_for()
    faults += look(page, width)
    omar.choose_card(omar.row(3), "card_lost_charged")
    omar.row(3).get_by_role("button", name="Pay now").click()
    page.locator("#plan-summary").get_by_text("Checking with the bank").wait_for()
    faults += look(page, width)
    assert not faults, "\n".join(faults)


def test_no_page_is_left_out(app: Flask) -> None:
    """A new page without a line above fails here."""
    no_page = {"/healthz", "/readyz", "/example", "/plans/preview", "/installments/<id>/payments"}
    walked = {re.sub(r"\?.*", "", path) for paths in PAGES.values() for path in paths}
    walked |= {"/plans/<id>", "/payments/<id>", "/installments/<id>", "/invitations/<id>", "/operator"}
    for rule in app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or rule.rule.startswith(("/static", "/api", "/auth", "/swagger")):
            continue
        address = re.sub(r"<[^>]+>", "<id>", rule.rule)
        assert address in walked | no_page, f"{rule.endpoint} at {address} is on no list"


def test_a_page_prints_on_a_clean_sheet(browser: Browser, live: Live) -> None:
    page = browser.new_page(base_url=live.url)
    page.goto("/login")
    page.emulate_media(media="print")
    assert not page.locator("button").first.is_visible()
    page.close()
