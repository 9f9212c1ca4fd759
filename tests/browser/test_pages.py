"""Every page, in light and dark and on a phone: nothing for axe to find, nothing wider than the window."""

import re
import subprocess
import sys

import psycopg
import pytest
import redis
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Page

from portal.embedded import Postgres, Valkey
from portal.services import demo
from tests.browser.conftest import Visit
from tests.live import Live
from tests.rq_rooms import a_failed_job

pytestmark = pytest.mark.browser

LOOKS = [("light", 1280), ("dark", 1280), ("light", 390)]

PAGES: dict[str, list[str]] = {
    "": [
        "/",
        "/?paid=3",
        "/login",
        "/register",
        "/nothing-here",
        "/password-resets/new",
        "/password-resets/sent",
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


def look(page: Page, width: int) -> list[str]:
    """What axe finds on the page, and whether it is wider than its window."""
    found = Axe().run(page)
    faults = [] if not found.violations_count else [found.generate_report()]
    if (over := page.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0:
        faults.append(f"{over} px wider than {width}")
    return [f"{page.url} at {width} px: {fault}" for fault in faults]


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
    subprocess.run([*command, "--password", demo.PASSWORD], env=live.environ, check=True, capture_output=True)
    url = Postgres.running(live.home)
    assert url
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO outbox (dedupe_key, kind, to_user_id, state, attempts, last_error, next_try_at, created_at,"
            " ended_at) SELECT 'x:1', 'receipt', id, 'dead', 8, 'No such mailbox', now(), now(), now()"
            " FROM users WHERE username = 'omar'"
        )
    with redis.Redis.from_url(Valkey.running(live.home) or "") as valkey:
        a_failed_job(valkey, "settle_payment", 4)


@pytest.mark.usefixtures("an_operator")
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
    layla = visit(scheme=scheme, width=width)
    faults += look(layla.open(link), width)
    layla.page.locator("#pay-next").click()
    layla.page.locator("#pay-now").wait_for()
    faults += look(layla.page, width)
    layla.page.locator("#pay-now").click()
    layla.page.locator("#receipt").wait_for()
    faults += look(layla.page, width)

    page = amal.open(f"{plan}/credit")
    page.get_by_role("button", name="Continue").click()
    page.locator("[data-error-summary]").wait_for()
    faults += look(page, width)
    page.get_by_label("Amount").fill("10")
    page.get_by_label("Reason").fill("A scratch")
    page.get_by_role("button", name="Continue").click()
    page.locator("dialog[open]").wait_for()
    faults += look(page, width)
    faults += look(amal.open(plan), width)
    page.locator("#plan-acts summary").click()
    faults += look(page, width)

    page = omar.open(f"{plan}/pay")
    page.get_by_label("Amount", exact=True).fill("9999")
    page.get_by_role("button", name="Pay").click()
    page.locator("[data-error-summary]").wait_for()
    faults += look(page, width)

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
    no_page |= {f"/{name}.csv" for name in ("plans", "customers", "payments", "installments", "journal")}
    listed = [FIRST.sub(r"/\1s/<id>\3", path) for paths in PAGES.values() for path in paths]
    walked = {re.sub(r"\?.*", "", path) for path in listed}
    walked |= {
        "/plans/<id>",
        "/payments/<id>",
        "/installments/<id>",
        "/invitations/<id>",
        "/reminders/off/<id>",
        "/invitations/<id>/pay",
        "/password-resets/<id>",
        "/outbox/<id>",
        "/outbox/<id>/html",
        "/invitations/<id>/payments/<id>",
    }
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
