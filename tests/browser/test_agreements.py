"""The pages of disputes and withdrawal: axe finds no fault, and they fit a phone."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.test_pages import find_faults

pytestmark = pytest.mark.browser


@pytest.mark.long
def test_the_pages_of_a_dispute_and_a_withdrawal_are_accessible(visit: Visit) -> None:
    amal, omar, layla = visit(), visit(), visit()
    name = omar.create_account("customer", "omar")
    amal.create_account("merchant", "amal")
    page = amal.open("/settings")
    page.get_by_label("Days to withdraw").fill("14")
    amal.press("Save settings")
    withdrawn, disputed = (amal.create_plan(f"{name}@example.com") for _ in range(2))

    page = omar.open(f"{withdrawn}/withdrawal")
    faults = find_faults(page)
    page.locator("main form").get_by_role("button").click()
    expect(page.locator("main")).to_contain_text("This plan was cancelled")
    page = omar.open(f"{disputed}/dispute")
    faults += find_faults(page)
    page.get_by_role("button", name="Yes, it is not mine").click()
    expect(page.locator("#plan-agreement")).to_contain_text("You said that this plan is not yours")
    faults += find_faults(page)
    page = amal.open(f"{disputed}/dispute/answer")
    faults += find_faults(page)
    page.get_by_label("Your answer").fill("You bought it on Friday")
    amal.press("Send the answer")
    faults += find_faults(page)

    email = f"layla-{name}@example.com"
    amal.create_plan(email)
    link = re.sub(r"^https?://[^/]+", "", layla.mailed_link(email, "/invitations/"))
    page = layla.open(f"{link}/dispute")
    faults += find_faults(page)
    page.get_by_role("button", name="Yes, it is not mine").click()
    expect(page.locator("#plan-agreement")).to_contain_text("You said that this plan is not yours")
    faults += find_faults(page)
    assert not faults, "\n".join(faults)
