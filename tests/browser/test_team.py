"""A team: a colleague is invited by mail, registers, records cash, and can't refund."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import BOTH_IN_TIME, Visit
from tests.browser.test_pages import find_faults

pytestmark = pytest.mark.browser


@pytest.mark.long
@BOTH_IN_TIME
def test_an_owner_invites_a_colleague_who_records_cash_and_can_not_refund(visit: Visit, scripts: bool) -> None:
    amal, omar, sara = visit(scripts=scripts), visit(), visit(scripts=scripts)
    customer = omar.create_account("customer", "omar")
    colleague = sara.create_account("customer", "sara")
    amal.register("merchant", "amal")
    plan = amal.create_plan(f"{customer}@example.com")
    page = amal.open("/settings")
    page.get_by_role("link", name="Manage the team").click()
    page.get_by_label("Email").fill(f"{colleague}@example.com")
    page.get_by_label("Collector").check()
    amal.press("Send invitation")
    expect(page.locator("#flashes")).to_contain_text(f"The invitation goes to {colleague}@example.com by mail.")

    page = sara.open("/outbox?state=kept")
    mail = page.get_by_role("row").filter(has_text=colleague).filter(has_text="invites you").get_by_role("link")
    for _ in range(100):
        if mail.count():
            break
        page.wait_for_timeout(200)
        page.reload()
    mail.click()
    expect(page.locator("main")).to_contain_text(f"{colleague}@example.com")
    link = page.locator(".mail-text a").first.get_attribute("href") or ""
    sara.open(re.sub(r"^https?://[^/]+", "", link))
    faults = find_faults(page) if scripts else []
    page.get_by_role("button", name="Join the team").click()
    expect(page).to_have_url(re.compile("/dashboard$"))
    expect(page.locator("#flashes")).to_contain_text("Welcome to the team.")

    sara.open(f"{plan}/record-payment")
    page.get_by_label("Amount").fill("300")
    sara.press("Continue")
    page.locator("#act-confirm").click()
    expect(page).to_have_url(re.compile(f"{plan}$"))
    expect(page.locator("#plan-timeline")).to_contain_text("SAR\u00a0300.00")
    expect(page.get_by_role("link", name="Refund")).to_have_count(0)
    sara.open(f"{plan}/refund")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not for this account")

    page = amal.open("/settings/team")
    expect(page.locator("main")).to_contain_text(colleague)
    page.get_by_role("link", name=f"Change {colleague}").click()
    page.get_by_role("link", name="in your place").click()
    faults += find_faults(page) if scripts else []
    page.go_back()
    page.get_by_role("link", name="See what ends with this membership").click()
    amal.press("Remove")
    expect(page.locator("#flashes")).to_contain_text("The membership has ended")
    sara.open(plan)
    expect(sara.page.get_by_role("heading", level=1)).to_have_text("There is nothing here")
    assert not faults, "\n".join(faults)
