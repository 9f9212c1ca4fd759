"""Take the screenshots in docs/screenshots/ from a newly started system with the demo data.

Run it with `python docs/screenshots.py` inside the virtual environment; it needs Chromium.
"""

import io
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from portal.local import demo_data  # noqa: E402
from tests.conftest import SWITCHES  # noqa: E402
from tests.fixtures.live import Live  # noqa: E402

SHOTS = ROOT / "docs" / "screenshots"
WIDE = {"width": 1280, "height": 860}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2}
DARK = {"color_scheme": "dark"}
ARABIC = {"locale": "ar"}
PASSWORDS = {name: password for _, name, password in demo_data.LOGINS}
COLOURS = 128
"""A palette keeps a picture under 100 KB (tests/house/test_docs.py)."""


def main() -> None:
    SHOTS.mkdir(exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, Live(Path(folder) / "home") as live, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=SWITCHES)
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
        browser.close()


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
        page.locator("input[type=password]").fill(PASSWORDS[name])
        page.locator("main form:has([type=password]) button[type=submit]").click()
        page.wait_for_url(re.compile("/(dashboard|home)$"))
    yield page
    context.close()


def shoot(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    picture = Image.open(io.BytesIO(page.screenshot()))
    picture.convert("RGB").quantize(COLOURS).save(SHOTS / f"{name}.png", optimize=True)
    print(f"docs/screenshots/{name}.png")


if __name__ == "__main__":
    main()
