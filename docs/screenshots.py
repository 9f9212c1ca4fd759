"""Take the screenshots in docs/screenshots/ from a newly started system with the demo data.

Run it with `python docs/screenshots.py` inside the virtual environment; it needs Chromium. With a folder
(`python docs/screenshots.py /tmp/pages ar`) it takes every page of tests/pages/addresses.py and the states that actions
lead to, in light, in dark and on a phone, in English or the language that is named.
"""

import io
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from portal.local import demo_data  # noqa: E402
from tests.browser.test_pages import create_operator, follow  # noqa: E402
from tests.conftest import SWITCHES  # noqa: E402
from tests.fixtures.live import Live  # noqa: E402
from tests.pages.addresses import PAGES  # noqa: E402

SHOTS = ROOT / "docs" / "screenshots"
WIDE = {"width": 1280, "height": 860}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2}
DARK = {"color_scheme": "dark"}
ARABIC = {"locale": "ar"}
COLOURS = 128
"""A palette keeps a picture under 100 KB (tests/house/test_docs.py)."""
MODES: list[tuple[str, Literal["light", "dark"], int]] = [("light", "light", 1280), ("dark", "dark", 1280)]
MODES += [("phone", "light", 390), ("phone-dark", "dark", 390)]


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, Live(Path(folder) / "home") as live, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=SWITCHES)
        if sys.argv[1:]:
            shoot_all(browser, live, Path(sys.argv[1]), "".join(sys.argv[2:]) or "en")
        else:
            shoot_the_best(browser, live)
        browser.close()


def shoot_the_best(browser: Browser, live: Live) -> None:
    SHOTS.mkdir(exist_ok=True)
    with visitor(browser, live.url) as page:
        shoot(page, "home")
    with visitor(browser, live.url, "amal") as page:
        shoot_the_business(page)
    for name, options in (("dark", DARK), ("arabic", ARABIC)):
        with visitor(browser, live.url, "amal", **options) as page:
            page.goto("/dashboard")
            shoot(page, f"dashboard-{name}")
    with visitor(browser, live.url, "omar", **PHONE) as page:
        page.goto("/home")
        shoot(page, "customer-phone")
        page.goto("/plans?status=active")
        page.locator("main td.cell-title a").first.click()
        shoot(page, "plan-phone")
    with visitor(browser, live.url, "omar", **PHONE | ARABIC) as page:
        page.goto("/home")
        shoot(page, "customer-phone-arabic")
    with visitor(browser, live.url, "omar", **PHONE | ARABIC | DARK) as page:
        page.locator("main a[href^='/payments/']").first.click()
        shoot(page, "receipt-phone-arabic")


def shoot_all(browser: Browser, live: Live, folder: Path, language: str) -> None:
    """Every page of PAGES, then the states, in each of MODES. Existing files of the same names are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    create_operator(live)

    def take(page: Page, name: str) -> None:
        page.wait_for_load_state("networkidle")
        for mode, scheme, width in MODES:
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 860 if width > 400 else 844})
            whole = "/api/docs" not in page.url and "/swagger" not in page.url
            page.screenshot(path=folder / f"{name}--{mode}.png", full_page=whole)
        page.set_viewport_size(WIDE)
        print(name)

    for account, paths in PAGES.items():
        with visitor(browser, live.url, account, locale=language) as page:
            page.context.request.get(live.outbox_link() or "/")
            for number, path in enumerate(paths):
                page.goto(follow(page, path))
                words = re.sub("[^a-z0-9]+", "-", path.lower()).strip("-")
                take(page, f"{account or 'anyone'}-{number:02d}-{words}"[:90])
    for account, name, prepare in STATES:
        with visitor(browser, live.url, account, locale=language) as page:
            prepare(page)
            take(page, f"state-{account}-{name}")


def mistakes(page: Page) -> None:
    page.goto("/plans/new")
    page.locator("[name=customer_email]").fill("nobody")
    page.locator("[name=total_amount]").fill("many")
    page.locator("#new-plan-form [type=submit], main form [type=submit]").last.click()
    page.locator("[data-error-summary]").wait_for()


def long_plan(page: Page) -> None:
    page.goto("/plans/new")
    page.locator("[name=customer_email]").fill("om")
    page.locator("[name=total_amount]").fill("1200")
    with page.expect_response("**/plans/preview"):
        page.locator("[name=num_installments]").fill("24")
    page.locator("#result-line .money").wait_for()


def refund_dialog(page: Page) -> None:
    page.goto(follow(page, "first plan of /plans?status=completed, then /refund"))
    page.locator("[name=amount]").fill("30")
    page.locator("[name=reason]").fill("One leg is short")
    page.locator("main form.form [type=submit]").last.click()
    page.locator("dialog[open]").wait_for()


def plan_menu(page: Page) -> None:
    page.goto(follow(page, "first plan of /plans?status=overdue"))
    page.locator("#plan-acts summary").click()


def pay_all_due(page: Page) -> None:
    page.goto("/home")
    page.locator("main a[href*='/due']").first.click()


def paid_all_due(page: Page) -> None:
    pay_all_due(page)
    page.locator("#pay-now").click()


def signed_out(page: Page) -> None:
    """The sign-in page after another tab of the browser signed out."""
    page.goto(follow(page, "first plan of /plans?status=active, then /pay"))
    other = page.context.new_page()
    other.goto("/home")
    other.locator("form[action$='/logout'] button").first.evaluate("button => button.click()")
    other.wait_for_url(re.compile("/login|/$"))
    other.close()
    page.locator("#pay-now").click()
    page.wait_for_url(re.compile("/login"))


STATES: list[tuple[str, str, Callable[[Page], None]]] = [
    ("amal", "new-plan-mistakes", mistakes),
    ("amal", "new-plan-long", long_plan),
    ("amal", "plan-menu", plan_menu),
    ("amal", "refund-dialog", refund_dialog),
    ("omar", "pay-all-due", pay_all_due),
    ("omar", "paid-all-due", paid_all_due),
    ("omar", "signed-out", signed_out),
]
"""Account, name, and the steps that lead to a state without an address of its own."""


def shoot_the_business(page: Page) -> None:
    page.goto("/dashboard")
    shoot(page, "dashboard")
    page.goto("/plans")
    shoot(page, "plans")
    page.locator("main tr.tr-late td.cell-title a").first.click()
    shoot(page, "plan")
    page.goto("/plans/new")
    page.locator("[name=customer_email]").fill("omar@demo.example.com")
    page.locator("[name=total_amount]").fill("1200")
    with page.expect_response("**/plans/preview"):
        page.locator("[name=num_installments]").fill("4")
    page.locator("#result-line .money").wait_for()
    shoot(page, "new-plan")
    page.goto("/customers?show=overdue")
    page.get_by_role("checkbox").first.check()
    shoot(page, "late-customers")


@contextmanager
def visitor(browser: Browser, url: str, name: str = "", **options: Any) -> Iterator[Page]:
    """A page in a browser context of its own, signed in as `name`."""
    defaults: dict[str, Any] = {"viewport": WIDE, "color_scheme": "light", "reduced_motion": "reduce"}
    context = browser.new_context(base_url=url, **defaults | options)
    page = context.new_page()
    page.goto("/login" if name else "/")
    if name:
        page.locator("input[autocomplete=username]").fill(name)
        page.locator("input[type=password]").fill(demo_data.PASSWORD)
        page.locator("main form:has([type=password]) button[type=submit]").click()
        page.wait_for_url(re.compile("/(dashboard|home|operator)$"))
    yield page
    context.close()


def shoot(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    picture = Image.open(io.BytesIO(page.screenshot()))
    picture.convert("RGB").quantize(COLOURS).save(SHOTS / f"{name}.png", optimize=True)
    print(f"docs/screenshots/{name}.png")


if __name__ == "__main__":
    main()
