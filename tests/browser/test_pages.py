"""Every page in light, in dark and at the width of a phone: axe finds no fault, and the page fits its window."""

import re
import subprocess
import sys
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from axe_playwright_python.base import AXE_SCRIPT, AxeResults
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from portal.local import demo_data
from portal.local.postgres import Postgres
from portal.local.valkey import Valkey
from tests.browser.conftest import Visit
from tests.fixtures.live import Live
from tests.fixtures.valkey.rq_jobs import a_failed_job
from tests.pages.addresses import PAGES

pytestmark = pytest.mark.browser

ALL_RULES: Final[dict[str, Any]] = {"reporter": "no-passes", "iframes": False, "preload": False}
"""Without `preload`, axe fetches neither style sheets nor media, which no rule needs on pages without media."""
COLOURS: Final = ALL_RULES | {"runOnly": ["color-contrast", "link-in-text-block"]}
MODES: Final = (("light", 1280, ALL_RULES), ("dark", 1280, COLOURS), ("light", 390, ALL_RULES))
"""Colour scheme, width in px, and the options of axe. The dark scheme changes colours only."""

SETTLED: Final = """async () => {
    const drawn = () => new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)));
    const running = () => document.getAnimations().filter((animation) => animation.playState === "running");
    for (await drawn(); running().length; await drawn()) {
        await Promise.allSettled(running().map((animation) => animation.finished));
    }
}"""
"""Resolves when all transitions of colours have ended."""

JOURNEY: Final = {
    "/invitations/<id>",
    "/invitations/<id>/pay",
    "/invitations/<id>/payments/<id>",
    "/invitations/<id>/unknown-shop",
    "/outbox/<id>/html",
    "/password-resets/<id>",
    "/plans/<id>/customer-email",
    "/plans/<id>/pay",
    "/reminders/off/<id>",
}
"""Pages that need actions first, which the journey test takes."""

STORIES: Final = {
    "/imports/<id>",
    "/imports/<id>/check",
    "/imports/<id>/columns",
    "/imports/<id>/discard",
    "/imports/<id>/progress",
    "/settings/team/<id>/hand-over",
    "/team-invitations/<id>",
    "/shops/<id>/due/<id>",
    "/shops/<id>/due/<id>/<id>",
    "/account/email/proof",
    "/email-proofs/<id>",
    "/email-undos/<id>",
}
"""Pages that test_import.py, test_team.py, test_story.py and test_email_proofs.py visit."""
STATES: Final = {
    "/invitations/<id>/dispute",
    "/plans/<id>/dispute",
    "/plans/<id>/dispute/answer",
    "/plans/<id>/withdrawal",
}
"""Pages of a state that the demo data does not have, which test_agreements.py visits."""

PARSED: Final = {
    "/account/second-factors/app",
    "/customers/contacts/<id>",
    "/factor-removals/<id>",
    "/login/code",
    "/login/mailed-code",
    "/operator/accounts/<id>/remove-factors",
    "/settings/webhooks/<id>",
    "/plans/<id>/proposal",
    "/invitations/<id>/proposal",
}
"""Pages of second factors, webhooks, imported people and proposals, which the tests of tests/web fetch and parse."""

WRONG: Final = {"/nothing-here", "/plans?status=odd", "/home", "/refunds?sort=-amount&from=2026-02-01&to=2026-01-01"}
"""Addresses that are refused, with a page that says why."""

FOLDERS: Final = {
    "mail": "/outbox",
    "merchant": "/operator/merchants",
    "account": "/operator/accounts",
    "member": "/settings/team",
    "business": "/account/businesses",
    "terms": "/settings/terms",
}
"""The addresses of lists that are not called like their rows."""
FIRST = re.compile(
    r"first (plan|payment|customer|mail|merchant|account|member|business|shop|terms) of ([^\s,]+)(?:, then (\S+))?"
)


def follow(page: Page, path: str) -> str:
    """The address of "first plan of /plans", or the one below it of "first plan of /plans, then /pay"."""
    match = FIRST.fullmatch(path)
    if not match:
        return path
    page.goto(match[2])
    folder = FOLDERS.get(match[1], f"/{match[1]}s")
    link = page.locator(f'main a[href^="{folder}/"]:not([href="/plans/new"])').first
    return (link.get_attribute("href") or "") + (match[3] or "")


def find_faults(page: Page, *, without: tuple[str, ...] = ()) -> list[str]:
    """The faults that axe finds on the page in each of MODES, and a page that is wider than its window.

    Swagger UI is excluded, because its markup and most of its colours are its own. `without`: rules of axe that don't
    apply.
    """
    faults = []
    disabled = {"rules": {rule: {"enabled": False} for rule in without}}
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    for scheme, width, rules in MODES:
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(SETTLED)
        results = AxeResults(page.evaluate("(rules) => axe.run({exclude: ['.swagger-ui']}, rules)", rules | disabled))
        where = f"{page.url} in {scheme} at {width} px"
        if results.violations_count:
            faults.append(f"{where}: {results.generate_report()}")
        if (excess := page.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0:
            faults.append(f"{where}: {excess} px too wide")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})
    return faults


def shape(address: str) -> str:
    """The address with placeholders for ids and tokens."""
    return re.sub(r"(?<=/off)/[^/]+|/(?:\d+|[\w-]{40,})(?=/|$)", "/<id>", urlsplit(address).path)


def create_operator(live: Live) -> None:
    """The operator olga, with the password of the demo accounts."""
    command = [
        sys.executable,
        "-m",
        "portal.cli",
        "create-operator",
        "--username",
        "olga",
        "--email",
        "olga@example.com",
    ]
    subprocess.run([*command, "--password", demo_data.PASSWORD], env=live.environ, check=True, capture_output=True)


@pytest.fixture(scope="module")
def an_operator(live: Live) -> None:
    """The operator olga, a failed job and a dead mail in the live system."""
    create_operator(live)
    url = Postgres.running(live.data_dir)
    assert url
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO emails (dedupe_key, kind, to_user_id, state, attempts, last_error, next_try_at, created_at,"
            " ended_at) SELECT 'x:1', 'receipt', id, 'dead', 8, 'killed', now(), now(), now()"
            " FROM users WHERE username = 'omar'"
        )
    with redis.Redis.from_url(Valkey.running(live.data_dir) or "") as valkey:
        a_failed_job(valkey, "settle_payment", 4)


@pytest.mark.long
@pytest.mark.usefixtures("an_operator")
@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_accessible(visit: Visit, name: str) -> None:
    look_at_every_page(visit, name)


@pytest.mark.proof
@pytest.mark.usefixtures("an_operator")
@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_accessible_in_arabic(visit: Visit, name: str) -> None:
    look_at_every_page(visit, name, language="ar")


def look_at_every_page(visit: Visit, name: str, language: str = "en") -> None:
    """Visit the account's pages. The browser asks for the language, because no account of the demo has chosen one."""
    visitor = visit()
    page = visitor.page
    if name:
        visitor.sign_in(name, demo_data.PASSWORD)
    page.context.set_extra_http_headers({"Accept-Language": language})
    faults: list[str] = []
    for path in PAGES[name]:
        address = follow(page, path)
        assert address, path
        response = page.goto(address)
        assert response and response.status < 500
        assert response.status < 400 or path in WRONG, address
        if path in ("/api/docs/", "/swagger/"):
            page.locator(".opblock").first.wait_for()
        faults += find_faults(page)
    assert not faults, "\n".join(faults)


@pytest.mark.long
def test_forms_with_errors_open_panels_and_results_are_accessible(visit: Visit) -> None:
    amal, omar, layla = visit(), visit(), visit()
    faults: list[str] = []
    seen: set[str] = set()

    def check(page: Page) -> None:
        seen.add(shape(page.url))
        faults.extend(find_faults(page))

    name = omar.register("customer", "omar")
    check(omar.page)
    amal.register("merchant", "amal")
    check(amal.page)
    check(amal.open("/plans"))

    page = amal.open("/plans/new")
    page.get_by_label("Total").fill("many")
    page.get_by_role("button", name="Create plan").click()
    page.locator("[data-error-summary]").wait_for()
    check(page)
    page.get_by_label("Customer’s email").fill(f"{name}@example.com")
    page.get_by_label("Total").fill("100")
    page.get_by_label("Number of installments").fill("30")
    page.get_by_text("30 payments").wait_for()
    check(page)
    plan = amal.make_plan(f"{name}@example.com")
    amal.make_plan(f"new-{name}@example.com")
    page = amal.page
    check(page)
    link = page.get_by_label("Pay link", exact=True).input_value()
    expect(page.locator(".qr path").first).to_have_css("fill", "rgb(255, 255, 255)")
    check(layla.open(link))
    layla.page.locator("#pay-next").click()
    layla.page.locator("#pay-now").wait_for()
    check(layla.page)
    layla.page.locator("#pay-now").click()
    layla.page.locator("#receipt").wait_for()
    check(layla.page)
    fresh = amal.make_plan(f"fresh-{name}@example.com")
    amal.page.get_by_role("link", name="Revoke their link").click()
    amal.page.locator("dialog[open]").wait_for()
    check(amal.page)
    check(amal.open(f"{fresh}?ask=renew-pay"))
    check(amal.open(f"{fresh}/customer-email"))
    mailed = layla.mailed_link(f"fresh-{name}@example.com", "/invitations/")
    check(layla.open(mailed))
    check(layla.open(f"{mailed}/unknown-shop"))
    layla.press("I don’t know this shop")
    layla.page.get_by_text("Thank you, we were told").wait_for()
    check(layla.page)
    check(amal.open(fresh))

    page = amal.open(f"{plan}/credit")
    page.get_by_role("button", name="Continue").click()
    page.locator("[data-error-summary]").wait_for()
    check(page)
    page.get_by_label("Amount").fill("10")
    page.get_by_label("Reason").fill("A scratch")
    page.get_by_role("button", name="Continue").click()
    page.locator("dialog[open]").wait_for()
    check(page)
    page.keyboard.press("Escape")
    page.evaluate("document.querySelector('form.form').submit()")  # as without JavaScript: a page of its own
    page.locator("main .confirmation").wait_for()
    check(page)
    check(amal.open(plan))
    page.locator("#plan-acts summary").click()
    check(page)

    page = omar.open(f"{plan}/pay")
    page.get_by_label("Amount", exact=True).fill("9999")
    page.get_by_role("button", name="Pay").click()
    page.locator("[data-error-summary]").wait_for()
    check(page)

    page = omar.open(plan)
    omar.choose_card(omar.row(1), "card_declined")
    check(page)
    omar.row(1).get_by_role("button", name="Pay SAR").click()
    omar.row(1).get_by_text("Your card was declined").wait_for()
    check(page)
    omar.row(2).get_by_role("button", name="Pay SAR").click()
    page.locator("#plan-summary").get_by_text("1 of 4 paid").wait_for()
    check(page)
    omar.choose_card(omar.row(3), "card_lost_charged")
    omar.row(3).get_by_role("button", name="Pay SAR").click()
    page.locator("#plan-summary").get_by_text("Checking with the bank").wait_for()
    check(page)

    page = amal.open(plan)
    if not page.get_by_text("Reminded today").count():  # from 9:00 in Riyadh on the scheduler may be first
        page.get_by_role("button", name="Send a reminder now").click()
    layla.open("/password-resets/new").locator("[name=login]").fill(name)
    layla.press("Mail me a link")
    for text, path in (("is due", "/reminders/off/"), ("password", "/password-resets/")):
        page = layla.open("/outbox?state=kept")
        mail = page.get_by_role("row").filter(has_text=f"{name}@").filter(has_text=text).get_by_role("link")
        for _ in range(100):
            if mail.count():
                break
            page.wait_for_timeout(200)
            page.reload()
        address = f"{mail.first.get_attribute('href')}/html"
        seen.add(shape(address))
        mail_page = page.context.new_page()  # the policy of the original forbids scripts, axe included
        mail_page.set_content(page.request.get(address).text())
        faults += find_faults(mail_page, without=("landmark-one-main", "region"))  # a mail is not a page
        check(layla.open(mail_page.locator(f'a[href*="{path}"]').get_attribute("href") or ""))
    assert not faults, "\n".join(faults)
    assert seen >= JOURNEY


def test_every_page_is_listed(app: Flask) -> None:
    """A new page must be in PAGES or JOURNEY, whose pages the tests above visit."""
    excluded = {"/healthz", "/readyz", "/example", "/plans/preview", "/installments/<id>/payments"}
    excluded |= {"/account/data/file", "/calendar/<id>", "/plans/<id>/calendar.ics"}
    excluded |= {"/installments/<id>"}  # redirects to the plan's page
    excluded |= {"/notices/off/<id>"}  # the page of /reminders/off/<id> with other words
    excluded |= {"/outbox/open/<id>"}  # redirects to the outbox
    excluded |= {"/robots.txt", "/favicon.ico", "/apple-touch-icon.png"}
    excluded |= {"/operator/refunds/<id>/withhold"}  # the page of every decision of an operator
    excluded |= {f"/{name}.csv" for name in ("plans", "customers", "payments", "refunds", "installments", "journal")}
    excluded |= {"/customers/contacts.csv", "/movements.csv"}
    excluded |= {"/outstanding.csv", "/plans/<id>/logo", "/invitations/<id>/logo", "/settings/letterhead/logo"}
    excluded |= {"/journal.hledger", "/journal.beancount"}
    excluded |= {f"/{plan}/<id>/statement.pdf" for plan in ("plans", "customers")}
    excluded |= {"/payments/<id>/receipt.pdf", "/invitations/<id>/payments/<id>/receipt.pdf"}
    excluded |= {"/dashboard/version", "/plans/<id>/version", "/plans/customers"}  # what scripts ask for
    excluded |= {"/settings/books/accounts/<id>"}  # listed by the name of an account
    behind = {"business": "/leave"}
    listed = {
        FIRST.sub(
            lambda match: FOLDERS.get(match[1], f"/{match[1]}s") + "/<id>" + (match[3] or behind.get(match[1], "")),
            path,
        )
        for paths in PAGES.values()
        for path in paths
    }
    visited = {shape(path) for path in listed} | JOURNEY | STORIES | STATES | PARSED
    missing = set()
    for rule in app.url_map.iter_rules():
        address = re.sub(r"<[^>]+>", "<id>", rule.rule)
        api = rule.rule.startswith(("/static", "/api/", "/auth/"))
        if "GET" in (rule.methods or ()) and not api and address not in visited | excluded:
            missing.add(address)
    assert missing == set()
    assert {"/api/docs/", "/swagger/"} <= visited


def test_a_printed_page_has_no_buttons(browser: Browser, live: Live) -> None:
    page = browser.new_page(base_url=live.url)
    page.goto("/login")
    page.emulate_media(media="print")
    assert not page.locator("button").first.is_visible()
    page.close()
