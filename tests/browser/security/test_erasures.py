"""A customer who wants to be forgotten: the reason to wait, the file of their data, and the erasure."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import BOTH_IN_TIME, Visit
from tests.browser.visitors import PASSWORD

pytestmark = pytest.mark.browser


@BOTH_IN_TIME
@pytest.mark.long
def test_a_customer_pays_takes_their_data_and_is_erased(visit: Visit, scripts: bool) -> None:
    amal, omar = visit(scripts=scripts), visit(scripts=scripts)
    name = omar.register("customer", "omar")
    amal.create_account("merchant", "amal")
    plan = amal.create_plan(f"{name}@example.com", count="1")

    page = omar.open("/account/erasure")
    expect(page.locator("main")).to_contain_text("Not yet")
    expect(page.locator("main")).to_contain_text("You have 1 open plan.")
    expect(page.locator("main form[method=post]")).to_have_count(0)
    omar.open(plan)
    omar.row(1).get_by_role("button", name="Pay SAR").click()
    expect(omar.row(1)).to_contain_text("Paid")

    page = omar.open("/account")
    page.locator("main").get_by_role("link", name="Your data").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your data")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download your data").click()
    data = json.loads(Path(download.value.path()).read_text())
    assert f"{name}@example.com" in json.dumps(data) and "Oak desk" in json.dumps(data)
    page.locator("main a[href$='/account/erasure']").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Erase your data?")
    page.get_by_label("Password").fill("not my password")
    omar.press("Erase my data")
    expect(page.locator("main")).to_contain_text("This is not your current password.")
    page.get_by_label("Password").fill(PASSWORD)
    omar.press("Erase my data")
    expect(page.locator("body")).to_contain_text("Your data is erased, and your account is closed.")

    page = omar.open("/login")
    page.locator("[name=login]").fill(name)
    page.locator("[name=password]").fill(PASSWORD)
    omar.press("Sign in")
    expect(page).to_have_url(re.compile("/login$"))
    page = amal.open(plan)
    expect(page.locator("main")).to_contain_text("Erased customer")
    expect(page.locator("main")).to_contain_text("Oak desk")
    expect(page.locator("body")).not_to_contain_text(name)
    assert omar.register("customer", "omar") != name
