"""A shop comes from a spreadsheet: 200 plans are imported, corrected, and sent. axe finds no fault on the way."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BOTH_IN_TIME, Visit
from tests.browser.test_pages import find_faults
from tests.browser.visitors import RUN

pytestmark = pytest.mark.browser

NAMES = ("عمر حداد", "نادية سالم", "Yusuf Rahman", "سارة خالد", "Łukasz O’Neill; Jr.")
HEADER = "البريد الإلكتروني;اسم العميل;الجوال;المبلغ;عدد الأقساط;تاريخ أول قسط;المنتج;رقم الطلب"


def a_spreadsheet(folder: Path, name: str, count: int, wrong: int | None = None) -> Path:
    """A file as Excel writes it in Europe: a byte order mark, semicolons, decimal commas and quotes."""
    lines = [
        f'{name}-{n}@example.com;"{NAMES[n % 5]}";٠٥٠ ١٢٣ {4000 + n};"1.{n:03d},50";{3 + n % 4};'
        f"{1 + n % 28:02d}/0{1 + n % 9}/2030;أريكة {n};{RUN}-{n}"
        for n in range(count)
    ]
    if wrong is not None:
        lines[wrong] = lines[wrong].replace("@", " at ").replace("/2030", "/30")
    path = folder / "خطط.csv"
    path.write_bytes(("\ufeff" + "\r\n".join([HEADER, *lines, ""])).encode())
    return path


def choose(page: Page, path: Path) -> None:
    page.get_by_label("CSV file").set_input_files(path)
    page.get_by_role("button", name="Go on to the columns").click()


@pytest.mark.long
@BOTH_IN_TIME
def test_a_shop_imports_its_spreadsheet(visit: Visit, tmp_path: Path, scripts: bool) -> None:
    amal = visit(scripts=scripts)
    name = amal.create_account("merchant", "amal")
    page = amal.open("/plans")
    page.get_by_role("link", name="Import a file").click()
    choose(page, a_spreadsheet(tmp_path, name, 200, wrong=120))
    expect(page.get_by_role("heading", level=1)).to_have_text("What is in the columns?")
    for column, field in enumerate(("customer_email", "name", "phone", "total_amount")):
        expect(page.locator(f"#column-{column}")).to_have_value(field)
    amal.press("Check the file")
    expect(page.get_by_role("heading", name="2 problems to correct")).to_be_visible()
    expect(page.locator("main")).to_contain_text("Enter an email address like name@example.com.")
    expect(page.locator("main tbody tr").first).to_contain_text("122")
    if scripts:
        assert find_faults(page) == []

    page.get_by_role("link", name="Import the corrected file").click()
    choose(page, a_spreadsheet(tmp_path, name, 200))
    if scripts:
        assert find_faults(page) == []
    amal.press("Check the file")
    expect(page.locator(".figures")).to_contain_text("SAR\u00a0220,000.00")
    expect(page.locator("main")).to_contain_text("Łukasz O’Neill; Jr.")
    amal.press("Import 200 plans")
    expect(page.get_by_role("heading", level=1)).to_have_text("خطط.csv")
    expect(page.get_by_role("button", name="Send all 200 plans")).to_be_visible()
    if scripts:
        assert find_faults(page) == []

    page.get_by_label(re.compile("^Select line 3, ")).check()
    if scripts:
        expect(page.get_by_role("button", name="Send selected (1)")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Send selected")).click()
    expect(page.get_by_text("1 plan is on its way.")).to_be_visible()
    for _ in range(150):
        page.reload()
        if page.locator(".figure-link").count():
            break
        page.wait_for_timeout(200)
    page.get_by_role("link", name="Plans made").click()
    expect(page.get_by_text("Plans of one import.")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("نادية سالم")

    page.go_back()
    page.get_by_role("link", name="Discard").click()
    amal.press("Discard")
    expect(page.get_by_text("The import is discarded.")).to_be_visible()
