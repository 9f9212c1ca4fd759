"""Take the screenshots in docs/screenshots/ from a newly started system with the demo data.

Run it with `python docs/screenshots.py` inside the virtual environment; it needs Chromium.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from portal.local import demo_data  # noqa: E402
from tests.conftest import SWITCHES  # noqa: E402
from tests.fixtures.live import Live  # noqa: E402

SHOTS = ROOT / "docs" / "screenshots"
WIDE = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}
PASSWORDS = {name: password for _, name, password in demo_data.LOGINS}


def main() -> None:
    SHOTS.mkdir(exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, Live(Path(folder) / "home") as live, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=SWITCHES)
        with visitor(browser, live.url) as page:
            shoot(page, "home")
        with visitor(browser, live.url, "amal") as page:
            page.goto("/dashboard")
            shoot(page, "dashboard")
            page.goto("/plans")
            shoot(page, "plans")
            page.goto("/plans/new")
            page.get_by_label("Customer's email").or_(page.locator("[name=customer_email]")).first.fill(
                "omar@demo.example.com"
            )
            page.locator("[name=total_amount]").fill("1200")
            page.locator("[name=num_installments]").fill("4")
            page.wait_for_timeout(800)
            shoot(page, "new-plan")
        with visitor(browser, live.url, "amal", color_scheme="dark") as page:
            page.goto("/dashboard")
            shoot(page, "dashboard-dark")
        with visitor(browser, live.url, "omar", viewport=PHONE, device_scale_factor=2) as page:
            page.goto("/home")
            shoot(page, "customer-phone")
            page.locator("a[href^='/plans/']").first.click()
            page.wait_for_load_state()
            shoot(page, "plan-phone")
        browser.close()


@contextmanager
def visitor(browser: Browser, url: str, name: str = "", **options: Any) -> Iterator[Page]:
    """A page in a browser context of its own, signed in as `name`."""
    context = browser.new_context(base_url=url, **{"viewport": WIDE, "color_scheme": "light", **options})
    page = context.new_page()
    page.goto("/login" if name else "/")
    if name:
        page.locator("input[autocomplete=username]").fill(name)
        page.locator("input[type=password]").fill(PASSWORDS[name])
        page.locator("main form button[type=submit]").last.click()
        page.wait_for_url(lambda address: "/login" not in address)
    yield page
    context.close()


def shoot(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=SHOTS / f"{name}.png")
    print(f"docs/screenshots/{name}.png")


if __name__ == "__main__":
    main()
