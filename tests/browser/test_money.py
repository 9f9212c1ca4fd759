"""Part payments, saved cards, and the merchant's money actions, with JavaScript and without."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BOTH_IN_TIME, Visit
from tests.browser.visitors import Visitor

pytestmark = pytest.mark.browser


def pay(visitor: Visitor, plan: str, choice: str, amount: str = "") -> Page:
    """Pay by this choice. Ends on the receipt."""
    page = visitor.open(f"{plan}/pay")
    page.get_by_label(choice).check()
    if amount:
        page.get_by_label("Amount", exact=True).fill(amount)
    page.get_by_role("button", name="Pay").click()
    expect(page.locator("#receipt")).to_contain_text("paid")
    return page


def act(visitor: Visitor, plan: str, name: str, button: str, **fields: str) -> Page:
    """Choose an action on a plan's page, fill in its form, check the confirmation and press its button."""
    page = visitor.open(plan)
    if page.get_by_role("link", name=name).count() == 0:
        page.locator("#plan-acts summary").click()
    page.get_by_role("link", name=name).click()
    page.wait_for_load_state("load")
    for field, value in fields.items():
        page.locator(f"[name={field}]").fill(value)
    page.get_by_role("button", name="Continue").click()
    confirmation = page.locator(".confirmation")
    expect(confirmation).to_contain_text("After")
    expect(page.locator("dialog[open]")).to_have_count(1 if page.evaluate("!!window.htmx") else 0)
    confirmation.get_by_role("button", name=button).click()
    expect(page).to_have_url(re.compile(f"{plan}$"))
    return page


@pytest.mark.long
@BOTH_IN_TIME
def test_a_customer_saves_a_card_and_chooses_the_amount(visit: Visit, scripts: bool) -> None:
    omar, amal = visit(scripts=scripts), visit()
    name = omar.create_account("customer", "omar")
    amal.create_account("merchant", "amal")
    plan = amal.create_plan(f"{name}@example.com", total="100", count="3")

    page = omar.open("/payment-methods")
    omar.press("Save card")
    expect(page.locator("main")).to_contain_text("Visa ending in 4242")

    page = omar.open(plan)
    page.get_by_role("link", name="another amount").click()
    page.get_by_label("Amount", exact=True).fill("100.01")
    page.get_by_role("button", name="Pay this amount").click()
    expect(page.locator("#amount-error")).to_contain_text("more than is owed, which is SAR\u00a0100.00")
    expect(page.get_by_label("Amount", exact=True)).to_have_value("100.01")
    if scripts:
        expect(page.locator("[data-error-summary]")).to_be_focused()
        page.get_by_label("The next installment").check()
        expect(page.get_by_role("button", name="Pay SAR\u00a033.34")).to_be_visible()
        page.get_by_label("Amount", exact=True).fill("10")
        expect(page.get_by_label("Another amount")).to_be_checked()

    page = pay(omar, plan, "Another amount", "10")
    expect(page.locator("#receipt")).to_contain_text("Visa ending in 4242")
    expect(omar.open(plan).locator("main")).to_contain_text("SAR\u00a010.00 of 33.34 paid, SAR\u00a023.34 left")
    page = pay(omar, plan, "All that remains")
    expect(page.locator("#receipt")).to_contain_text("Installment 3 of 3")
    expect(omar.open(plan).locator("#plan-summary")).to_contain_text("All paid")

    page = omar.open("/payment-methods")
    page.get_by_role("button", name="Remove Visa ending in 4242").click()
    expect(page.locator("main")).to_contain_text("No saved card yet")


@pytest.mark.long
@BOTH_IN_TIME
def test_a_merchant_records_credits_refunds_voids_and_writes_off(visit: Visit, scripts: bool) -> None:
    omar, amal = visit(), visit(scripts=scripts)
    name = omar.create_account("customer", "omar")
    amal.create_account("merchant", "amal")
    plan = amal.create_plan(f"{name}@example.com", total="400", count="4")
    pay(omar, plan, "The next installment")
    summary, timeline = amal.page.locator("#plan-summary"), amal.page.locator("#plan-timeline")

    act(amal, plan, "Record a payment", "Record SAR", amount="50", reference="TRX 88")
    expect(summary).to_contain_text("SAR\u00a0150.00")
    act(amal, plan, "Give a credit", "Credit SAR", amount="20", reason="It came late")
    expect(timeline).to_contain_text("It came late")
    if scripts:
        amal.clicks()
    act(amal, plan, "Refund", "Refund SAR", amount="30", reason="One leg was short")
    assert not scripts or amal.clicks() <= 4, "from the plan to the refund"
    expect(summary).to_contain_text(re.compile(r"Refunded\s*SAR.30\.00"))
    expect(timeline).to_contain_text("SAR\u00a030.00 refunded")

    amal.page.locator("#plan-payments").get_by_role("link", name="SAR\u00a0100.00").click()
    amal.page.get_by_role("link", name="Did it bounce?").click()
    amal.press("Ask the gateway")
    expect(amal.page.locator(".refusal-box")).to_contain_text("The bank has not taken this payment back.")
    amal.open(plan)
    amal.page.locator("#plan-payments").get_by_role("link", name="SAR\u00a050.00").click()
    amal.page.get_by_role("link", name="Void", exact=True).click()
    amal.page.get_by_label("Reason").fill("Another customer's")
    amal.press("Continue")
    amal.page.locator(".confirmation").get_by_role("button", name="Void SAR\u00a020.00").click()
    expect(timeline).to_contain_text("Another customer's")
    expect(timeline).to_contain_text("was voided")

    act(amal, plan, "Write off what is left", "Write off SAR", reason="Moved away")
    expect(summary).to_contain_text("Written off")
    expect(omar.open(plan).locator("#plan-summary")).to_contain_text("You can still pay it.")

    other = amal.create_plan(f"{name}@example.com")
    act(amal, other, "Cancel the plan", "Cancel plan", reason="Sold out")
    expect(summary).to_contain_text("Cancelled")
    expect(omar.open(other).locator("#plan-summary")).to_contain_text("This plan was cancelled")


@pytest.mark.long
def test_a_stale_confirmation_is_refused_in_the_same_dialog(visit: Visit) -> None:
    omar, amal = visit(), visit()
    name = omar.create_account("customer", "omar")
    amal.create_account("merchant", "amal")
    plan = amal.create_plan(f"{name}@example.com", total="400", count="4")
    page = amal.open(f"{plan}/credit")
    page.get_by_label("Amount").fill("20")
    page.get_by_label("Reason").fill("It came late")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("dialog[open]")).to_contain_text("SAR\u00a0400.00")
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(page.get_by_label("Reason")).to_have_value("It came late")
    page.get_by_role("button", name="Continue").click()
    pay(omar, plan, "The next installment")
    page.locator("dialog[open]").get_by_role("button", name="Credit SAR").click()
    expect(page.locator("dialog[open]")).to_contain_text("Something changed in the meantime, and nothing was done.")
    expect(page.locator("dialog[open]")).to_contain_text("SAR\u00a0300.00")
    page.locator("dialog[open]").get_by_role("button", name="Credit SAR").click()
    expect(page).to_have_url(re.compile(f"{plan}$"))
    expect(page.locator("#plan-summary")).to_contain_text("SAR\u00a0280.00")
