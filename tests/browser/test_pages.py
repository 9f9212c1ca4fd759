"""Every page, in light and dark and on a phone: nothing for axe to find, nothing wider than the window."""

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
from playwright.sync_api import Browser, Page

from portal.local import demo_data
from portal.local.postgres import Postgres
from portal.local.valkey import Valkey
from tests.browser.conftest import Visit
from tests.fixtures.live import Live
from tests.fixtures.rq_jobs import a_failed_job

pytestmark = pytest.mark.browser

EVERYTHING: Final[dict[str, Any]] = {"reporter": "no-passes", "iframes": False}
COLOURS: Final = EVERYTHING | {"runOnly": ["color-contrast", "link-in-text-block"]}
LOOKS: Final = (("light", 1280, EVERYTHING), ("dark", 1280, COLOURS), ("light", 390, EVERYTHING))
"""Colours, width in px, and what axe looks for: dark changes nothing but colours."""

PAGES: dict[str, list[str]] = {
    "": [
        "/",
        "/?paid=3",
        "/login",
        "/register",
        "/nothing-here",
        "/password-resets/new",
        "/password-resets/sent",
        "/api/docs/",
        "/swagger/",
        "/outbox",
        "/outbox?state=dead",
        "first mail of /outbox?state=kept",
    ],
    "amal": [
        "/dashboard",
        "/plans",
        "/plans?status=overdue",
        "/plans?search=nobody-of-this-name",
        "/plans?status=odd",
        "/plans/new",
        "first plan of /plans?status=active",
        "first plan of /plans?status=overdue",
        "first plan of /plans?status=completed",
        "first plan of /plans?search=noor",
        "/installments",
        "/installments?status=late",
        "/installments?status=open&from=2026-01-01&to=2199-12-31&currency=SAR",
        "first plan of /plans?status=active, then /statement",
        "/customers",
        "/customers?show=overdue",
        "/customers?search=nobody-of-this-name",
        "first customer of /customers",
        "/payments",
        "/payments?state=declined",
        "/payments?from=2026-01-01",
        "/journal",
        "first payment of /dashboard",
        "/settings",
        "/settings/reminders",
        "/settings/api-keys",
        "/account/password",
        "/home",
        *(
            f"first plan of /plans?status=overdue, then {act}"
            for act in ("/record-payment", "/credit", "/refund", "/write-off", "/cancel")
        ),
        "first plan of /plans?status=completed, then /credit",
        "first payment of /dashboard, then /reverse",
    ],
    "omar": [
        "/account/reminders",
        "/home",
        "/plans",
        "first plan of /plans?status=active",
        "first plan of /plans?status=overdue",
        "first plan of /plans?status=completed",
        "/installments",
        "/payments",
        "first plan of /plans?status=overdue, then /statement",
        "first payment of /home",
        "first plan of /plans?status=overdue, then /pay?choice=amount",
        "first plan of /plans?status=completed, then /pay",
        "/payment-methods",
    ],
    "olga": ["/operator", "/operator/checks"],
}


SETTLED: Final = """async () => {
    const drawn = () => new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)));
    const moving = () => document.getAnimations().filter((one) => one.playState === "running");
    for (await drawn(); moving().length; await drawn()) await Promise.allSettled(moving().map((one) => one.finished));
}"""
"""Resolves when the page is drawn as it stays: the colours of fields and links fade over."""

ON_THE_WAY: Final = {
    "/invitations/<id>",
    "/invitations/<id>/pay",
    "/invitations/<id>/payments/<id>",
    "/outbox/<id>/html",
    "/password-resets/<id>",
    "/plans/<id>/pay",
    "/reminders/off/<id>",
}
"""Pages that are met by doing something first."""

FIRST = re.compile(r"first (plan|payment|customer|mail) of ([^\s,]+)(?:, then (\S+))?")


def follow(page: Page, path: str) -> str:
    """The address that "first plan of /plans" means, or the one below it that "..., then /pay" means."""
    found = FIRST.fullmatch(path)
    if not found:
        return path
    page.goto(found[2])
    folder = "outbox" if found[1] == "mail" else f"{found[1]}s"
    link = page.locator(f'main a[href^="/{folder}/"]:not([href="/plans/new"])').first
    return (link.get_attribute("href") or "") + (found[3] or "")


def look(page: Page, *, without: tuple[str, ...] = ()) -> list[str]:
    """What axe finds on the page as it is, in each of LOOKS, and whether it is wider than its window.

    Swagger UI is taken as it comes: its markup and most of its colours are not ours. `without`: rules of axe that don't
    apply.
    """
    faults = []
    less = {"rules": {rule: {"enabled": False} for rule in without}}
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    for scheme, width, rules in LOOKS:
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(SETTLED)
        found = AxeResults(page.evaluate("(rules) => axe.run({exclude: ['.swagger-ui']}, rules)", rules | less))
        where = f"{page.url} in {scheme} at {width} px"
        if found.violations_count:
            faults.append(f"{where}: {found.generate_report()}")
        if (over := page.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0:
            faults.append(f"{where}: {over} px too wide")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})
    return faults


def shape(address: str) -> str:
    """The address without what differs from one object to the next."""
    return re.sub(r"(?<=/off)/[^/]+|/(?:\d+|[\w-]{40,})(?=/|$)", "/<id>", urlsplit(address).path)


@pytest.fixture(scope="module")
def an_operator(live: Live) -> None:
    """Olga looks after the live system, in which a job has failed and a mail was given up."""
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
    url = Postgres.running(live.home)
    assert url
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO emails (dedupe_key, kind, to_user_id, state, attempts, last_error, next_try_at, created_at,"
            " ended_at) SELECT 'x:1', 'receipt', id, 'dead', 8, 'No such mailbox', now(), now(), now()"
            " FROM users WHERE username = 'omar'"
        )
    with redis.Redis.from_url(Valkey.running(live.home) or "") as valkey:
        a_failed_job(valkey, "settle_payment", 4)


@pytest.mark.usefixtures("an_operator")
@pytest.mark.parametrize("name", PAGES)
def test_every_page_can_be_used_by_everybody(visit: Visit, name: str) -> None:
    visitor = visit()
    page = visitor.page
    if name:
        visitor.sign_in(name, demo_data.PASSWORD)
    faults: list[str] = []
    for path in PAGES[name]:
        address = follow(page, path)
        assert address, path
        answer = page.goto(address)
        assert answer and answer.status < 500
        assert answer.status < 400 or path in ("/nothing-here", "/plans?status=odd", "/home"), address
        if path in ("/api/docs/", "/swagger/"):
            page.locator(".opblock").first.wait_for()
        faults += look(page)
    assert not faults, "\n".join(faults)


def test_so_can_forms_with_mistakes_open_panels_and_answers(visit: Visit) -> None:
    amal, omar, layla = visit(), visit(), visit()
    faults: list[str] = []
    seen: set[str] = set()

    def see(page: Page) -> None:
        seen.add(shape(page.url))
        faults.extend(look(page))

    name = omar.register("customer", "omar")
    see(omar.page)
    amal.register("merchant", "amal")
    see(amal.page)
    see(amal.open("/plans"))

    page = amal.open("/plans/new")
    page.get_by_label("Total").fill("many")
    page.get_by_role("button", name="Create plan").click()
    page.locator("[data-error-summary]").wait_for()
    see(page)
    page.get_by_label("Customer’s email").fill(f"{name}@example.com")
    page.get_by_label("Total").fill("100")
    page.get_by_label("Number of installments").fill("30")
    page.get_by_text("30 payments").wait_for()
    see(page)
    plan = amal.make_plan(f"{name}@example.com")
    amal.make_plan(f"new-{name}@example.com")
    page = amal.page
    see(page)
    link = page.get_by_label("Link for the customer").input_value()
    see(layla.open(link))
    layla.page.locator("#pay-next").click()
    layla.page.locator("#pay-now").wait_for()
    see(layla.page)
    layla.page.locator("#pay-now").click()
    layla.page.locator("#receipt").wait_for()
    see(layla.page)

    page = amal.open(f"{plan}/credit")
    page.get_by_role("button", name="Continue").click()
    page.locator("[data-error-summary]").wait_for()
    see(page)
    page.get_by_label("Amount").fill("10")
    page.get_by_label("Reason").fill("A scratch")
    page.get_by_role("button", name="Continue").click()
    page.locator("dialog[open]").wait_for()
    see(page)
    page.keyboard.press("Escape")
    page.evaluate("document.querySelector('form.form').submit()")  # as without JavaScript: a page of its own
    page.locator("main .confirmation").wait_for()
    see(page)
    see(amal.open(plan))
    page.locator("#plan-acts summary").click()
    see(page)

    page = omar.open(f"{plan}/pay")
    page.get_by_label("Amount", exact=True).fill("9999")
    page.get_by_role("button", name="Pay").click()
    page.locator("[data-error-summary]").wait_for()
    see(page)

    page = omar.open(plan)
    omar.choose_card(omar.row(1), "card_declined")
    see(page)
    omar.row(1).get_by_role("button", name="Pay now").click()
    omar.row(1).get_by_text("Your card was declined").wait_for()
    see(page)
    omar.row(2).get_by_role("button", name="Pay now").click()
    page.locator("#plan-summary").get_by_text("1 of 4 paid").wait_for()
    see(page)
    omar.choose_card(omar.row(3), "card_lost_charged")
    omar.row(3).get_by_role("button", name="Pay now").click()
    page.locator("#plan-summary").get_by_text("Checking with the bank").wait_for()
    see(page)

    amal.open(plan).get_by_role("button", name="Send a reminder now").click()
    layla.open("/password-resets/new").locator("[name=login]").fill(name)
    layla.press("Mail me a link")
    for told, led in (("is due", "/reminders/off/"), ("password", "/password-resets/")):
        page = layla.open("/outbox?state=kept")
        mail = page.get_by_role("row").filter(has_text=f"{name}@").filter(has_text=told).get_by_role("link")
        for _ in range(100):
            if mail.count():
                break
            page.wait_for_timeout(200)
            page.reload()
        address = f"{mail.first.get_attribute('href')}/html"
        seen.add(shape(address))
        paper = page.context.new_page()  # where it comes from nothing may run in it, axe neither
        paper.set_content(page.request.get(address).text())
        faults += look(paper, without=("landmark-one-main", "region"))  # a mail is not a page
        see(layla.open(paper.locator(f'a[href*="{led}"]').get_attribute("href") or ""))
    assert not faults, "\n".join(faults)
    assert seen >= ON_THE_WAY


def test_no_page_is_left_out(app: Flask) -> None:
    """A new page that is on neither list fails here; both tests above visit all of theirs."""
    no_page = {"/healthz", "/readyz", "/example", "/plans/preview", "/installments/<id>/payments"}
    no_page |= {"/installments/<id>"}  # leads to the plan's
    no_page |= {f"/{name}.csv" for name in ("plans", "customers", "payments", "installments", "journal")}
    folders = {"mail": "/outbox"}
    listed = {
        FIRST.sub(lambda found: folders.get(found[1], f"/{found[1]}s") + f"/<id>{found[3] or ''}", path)
        for paths in PAGES.values()
        for path in paths
    }
    walked = {shape(path) for path in listed} | ON_THE_WAY
    left_out = set()
    for rule in app.url_map.iter_rules():
        address = re.sub(r"<[^>]+>", "<id>", rule.rule)
        api = rule.rule.startswith(("/static", "/api/", "/auth/"))
        if "GET" in (rule.methods or ()) and not api and address not in walked | no_page:
            left_out.add(address)
    assert left_out == set()
    assert {"/api/docs/", "/swagger/"} <= walked


def test_a_page_prints_on_a_clean_sheet(browser: Browser, live: Live) -> None:
    page = browser.new_page(base_url=live.url)
    page.goto("/login")
    page.emulate_media(media="print")
    assert not page.locator("button").first.is_visible()
    page.close()
