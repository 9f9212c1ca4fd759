"""The main journeys of merchants and customers, with JavaScript and without."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import BOTH_IN_TIME, Visit
from tests.browser.visitors import PASSWORD, Visitor
from tests.pages.words import words as words_in

pytestmark = pytest.mark.browser


def figure(visitor: Visitor, label: str) -> str:
    """A figure of the merchant's dashboard, loaded anew."""
    page = visitor.open("/dashboard")
    text = page.locator(".figure").filter(has_text=label).locator(".figure-value").inner_text()
    return text.replace("\u00a0", " ").strip()


@BOTH_IN_TIME
def test_a_merchant_sells_in_parts_and_sees_the_customer_pay(visit: Visit, scripts: bool) -> None:
    omar, amal = visit(scripts=scripts), visit(scripts=scripts)
    name = omar.register("customer", "omar")
    amal.register("merchant", "amal")
    expect(amal.page.get_by_text("Make your first plan")).to_be_visible()
    plan = amal.make_plan(f"{name}@example.com")
    assert figure(amal, "Collected") == "SAR 0.00"
    assert figure(amal, "Outstanding") == "SAR 1,200.00"

    page = omar.open("/home")
    expect(page.get_by_role("heading", level=1)).to_have_text("SAR\u00a0300.00 due today")
    page.get_by_role("link", name="Oak desk").first.click()
    expect(page).to_have_url(re.compile(f"{plan}$"))
    omar.row(1).get_by_role("button", name="Pay SAR").click()
    expect(omar.row(1)).to_contain_text("Paid")
    expect(page.locator("#plan-summary")).to_contain_text("1 of 4 paid")
    expect(page.locator("#plan-payments")).to_contain_text("SAR\u00a0300.00")
    expect(page.locator("#plan-timeline")).to_contain_text("SAR\u00a0300.00 paid for installment 1")
    if scripts:
        assert page.evaluate("performance.getEntriesByType('navigation')[0].type") == "navigate"
        expect(omar.row(1).get_by_role("link", name="Receipt")).to_be_focused()

    assert figure(amal, "Collected") == "SAR 300.00"
    assert figure(amal, "Outstanding") == "SAR 900.00"
    assert figure(amal, "Paid of due") == "100.00 %"
    expect(amal.page.locator("main")).to_contain_text("Latest payments")
    expect(amal.page.locator("main")).to_contain_text(name)

    omar.row(1).get_by_role("link", name="Receipt").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Receipt")


@pytest.mark.long
@BOTH_IN_TIME
def test_a_customer_chooses_arabic_and_pays(visit: Visit, scripts: bool) -> None:
    omar, amal = visit(scripts=scripts), visit(scripts=scripts)
    name = omar.register("customer", "omar")
    amal.register("merchant", "amal")
    amal.make_plan(f"{name}@example.com")

    page = omar.open("/home")
    page.get_by_role("button", name="العربية").click()
    expect(page.locator("html")).to_have_attribute("lang", "ar")
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    say, amount = words_in("ar"), "SAR\u00a0300.00"
    expect(page.get_by_role("heading", level=1)).to_contain_text(say("%(amount)s due today", amount=amount))
    page.get_by_role("link", name="Oak desk").first.click()
    omar.row(1).get_by_role("button", name=say("Pay %(amount)s", amount=amount)).click()
    expect(omar.row(1)).to_contain_text("مسدد")
    expect(page.locator("#plan-summary")).to_contain_text("سُدد 1 من 4")
    expect(page.locator("#plan-timeline")).to_contain_text(re.compile(r"سُدد .?SAR\s300.00.? عن .?القسط 1"))
    omar.row(1).get_by_role("link", name="إيصال").click()
    expect(page.locator("main")).to_contain_text("Oak desk")

    page.get_by_role("button", name="تسجيل الخروج").first.click()
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("dir", "ltr")


@pytest.mark.long
@BOTH_IN_TIME
def test_an_invited_customer_claims_the_plan_and_pays_it(visit: Visit, scripts: bool) -> None:
    amal, layla = visit(scripts=scripts), visit(scripts=scripts)
    name = amal.register("merchant", "amal").replace("amal", "layla")
    plan = amal.make_plan(f"{name}@example.com", count="1")
    shown = amal.page.get_by_label("Pay link", exact=True).input_value()
    page = layla.open(shown)
    expect(page.locator("main")).to_contain_text("SAR\u00a01,200.00")
    expect(page.locator("main")).to_contain_text(f"{name[:1]}***@example.com")
    expect(page.get_by_label("Password")).to_have_count(0)

    link = layla.mailed_link(f"{name}@example.com", "/invitations/")
    page = layla.open(link)
    expect(page.locator("main")).to_contain_text("SAR\u00a01,200.00")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Set up account").click()
    layla.prove(f"{name}@example.com")
    expect(page).to_have_url(re.compile(f"{plan}$"))
    page.locator("#pay-next").click()
    expect(page.locator("#plan-summary")).to_contain_text("SAR\u00a01,200.00 paid")
    expect(page.locator("#plan-summary")).to_contain_text("Completed")

    amal.open(plan)
    expect(amal.page.locator("main")).to_contain_text("1 of 1 paid")
    expect(amal.page.locator("main")).to_contain_text("Customer set a password and can sign in")
    for ended in (link, shown):
        assert layla.open(ended).locator("h1").inner_text() == "This link can't be used"


@pytest.mark.long
@BOTH_IN_TIME
def test_a_typo_in_an_email_is_corrected(visit: Visit, scripts: bool) -> None:
    amal, layla, stranger = visit(scripts=scripts), visit(scripts=scripts), visit(scripts=scripts)
    name = amal.register("merchant", "amal").replace("amal", "layla")
    wrong, right = f"leyla-{name}@example.com", f"{name}@example.com"
    plan = amal.make_plan(wrong, count="1")
    former = stranger.mailed_link(wrong, "/invitations/")
    page = stranger.open(former)
    page.get_by_role("link", name="Tell us").click()
    page.get_by_role("button", name="I don’t know this shop").click()
    expect(page.locator("h1")).to_have_text("Thank you, we were told")

    page = amal.open(plan)
    expect(page.locator("#plan-links")).to_contain_text("that it does not know you")
    expect(page.locator("#plan-links")).to_contain_text("The link was opened on")
    page.locator("#plan-links").get_by_role("link", name="Correct the email").click()
    page.get_by_label("Customer’s email").fill(wrong)
    page.get_by_role("button", name="Correct the email").click()
    expect(page.locator("main")).to_contain_text("This is the plan’s email already.")
    page.get_by_label("Customer’s email").fill(right)
    page.get_by_role("button", name="Correct the email").click()
    expect(page).to_have_url(re.compile(f"{plan}$"))
    expect(page.locator("body")).to_contain_text("The email is corrected, and both addresses are told.")

    assert "You owe nothing." in stranger.open(former).locator("main").inner_text()
    page = layla.open(layla.mailed_link(right, "/invitations/"))
    expect(page.locator("main")).to_contain_text("Oak desk")
    page.locator("#pay-next").click()
    page.locator("#pay-now").click()
    expect(page.locator("main")).to_contain_text("SAR\u00a01,200.00 paid")
    amal.open(f"{plan}/customer-email")
    expect(amal.page.locator("body")).to_contain_text("its email stays as it is")


@pytest.mark.long
@BOTH_IN_TIME
@pytest.mark.parametrize("width", [390, pytest.param(1280, marks=pytest.mark.long)])
def test_a_customer_says_that_a_plan_is_not_theirs_and_accepts_it_after_the_answer(
    visit: Visit, scripts: bool, width: int
) -> None:
    amal, omar = visit(scripts=scripts), visit(scripts=scripts, width=width)
    name = omar.register("customer", "omar")
    amal.register("merchant", "amal")
    plan = amal.make_plan(f"{name}@example.com")

    page = omar.open(plan)
    page.get_by_role("link", name="This is not mine").click()
    confirm = page.get_by_role("button", name="Yes, it is not mine").and_(page.locator(":visible"))
    expect(page.locator("dialog[open]")).to_have_count(1 if scripts else 0)
    expect(confirm).to_have_count(1)
    expect(page.get_by_text("You can say this once.").and_(page.locator(":visible"))).to_have_count(1)
    confirm.click()
    expect(page.locator("#plan-agreement")).to_contain_text("You said that this plan is not yours")
    omar.open("/home")
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing is due")
    expect(page.locator("main")).to_contain_text("You said that this is not yours.")

    page = amal.open("/dashboard")
    expect(page.locator("main")).to_contain_text("“This is not mine”: cancel it or answer")
    page = amal.open(plan)
    page.get_by_role("link", name="Answer").click()
    page.get_by_label("Your answer").fill("You bought it on Friday")
    page.get_by_role("button", name="Send the answer").click()
    expect(page.locator("main")).to_contain_text("You answered: You bought it on Friday.")

    page = omar.open(plan)
    expect(page.locator("#plan-agreement")).to_contain_text("You bought it on Friday")
    page.get_by_role("button", name="It is mine: accept the plan").click()
    expect(page.locator("#plan-timeline")).to_contain_text("Dispute over: the plan was accepted")
    expect(page.locator("#plan-agreement")).to_have_count(0)
    omar.open("/account/shops")
    expect(page.locator("main")).to_contain_text("Amal's Bakery")
    page.get_by_role("button", name="Allow").first.click()
    expect(page.locator("main")).to_contain_text("May make plans for you")


@pytest.mark.long
@BOTH_IN_TIME
@pytest.mark.parametrize("width", [390, pytest.param(1280, marks=pytest.mark.long)])
def test_a_merchant_who_also_buys_switches_hats_in_the_menu(visit: Visit, scripts: bool, width: int) -> None:
    amal, badr = visit(scripts=scripts), visit(scripts=scripts)
    name = badr.create_account("merchant", "badr")
    amal.create_account("merchant", "amal")
    page = badr.open("/dashboard")
    page.set_viewport_size({"width": width, "height": 800})
    expect(page.get_by_role("button", name="Switch to what you pay")).to_have_count(0)
    amal.create_plan(f"{name}@example.com")

    def press(text: str, menu: str) -> None:
        button = page.get_by_role("button", name=text).and_(page.locator(":visible"))
        if not button.count():
            page.locator("summary:visible").filter(has_text=menu).first.click()
        button.click()

    badr.open("/dashboard")
    press("Switch to what you pay", "Menu")
    expect(page).to_have_url(re.compile("/home$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("SAR\u00a0300.00 due today")
    page.locator("#pay-next").click()
    expect(page.locator("main")).to_contain_text("SAR\u00a0300.00 paid")
    press("Switch to Amal's Bakery", "Menu" if width < 760 else "Switch")
    expect(page).to_have_url(re.compile("/dashboard$"))
    expect(page.get_by_text("Make your first plan")).to_be_visible()


@BOTH_IN_TIME
@pytest.mark.parametrize(
    "button", ["at the top", *(pytest.param(button, marks=pytest.mark.long) for button in ("in the row", "at home"))]
)
def test_a_double_click_on_pay_is_one_payment(visit: Visit, scripts: bool, button: str) -> None:
    omar, amal = visit(scripts=scripts), visit()
    name = omar.create_account("customer", "omar")
    amal.create_account("merchant", "amal")
    first, second = (amal.create_plan(f"{name}@example.com") for _ in range(2))
    omar.open("/home" if button == "at home" else first)
    pay = {
        "at the top": omar.page.locator("#pay-next"),
        "in the row": omar.row(1).get_by_role("button", name="Pay SAR"),
        "at home": omar.page.locator("#home .rows .pay button").first,
    }[button]
    pay.dblclick()
    expect(omar.page.locator("main")).to_contain_text("SAR\u00a0300.00 paid")
    omar.page.wait_for_timeout(500)
    paid = [omar.open(plan).locator(".receipt, #plan-payments .row").count() for plan in (first, second)]
    assert sorted(paid) == [0, 1]


@pytest.mark.long
@BOTH_IN_TIME
def test_a_declined_card_is_reported_and_another_card_pays(visit: Visit, scripts: bool) -> None:
    omar, amal = visit(scripts=scripts), visit()
    name = omar.create_account("customer", "omar")
    amal.create_account("merchant", "amal")
    page = omar.open(amal.create_plan(f"{name}@example.com"))
    omar.choose_card(omar.row(2), "card_declined")
    omar.row(2).get_by_role("button", name="Pay SAR").click()
    expect(omar.row(2)).to_contain_text("Your card was declined. Nothing was charged.")
    expect(page.locator("#plan-summary")).to_contain_text("0 of 4 paid")
    omar.row(2).get_by_role("button", name="Pay SAR").click()
    expect(omar.row(2)).to_contain_text("Paid")
    expect(page.locator("#plan-summary")).to_contain_text("1 of 4 paid")


@pytest.mark.long
def test_an_unknown_outcome_is_polled_until_the_page_shows_the_result(visit: Visit) -> None:
    """On the plan's page and at home, charged and not charged: four browsers at once, to save time."""
    amal = visit()
    amal.create_account("merchant", "amal")
    waiting: list[tuple[Page, Locator, str]] = []
    for start in ("plan", "home"):
        for card, words in (("card_lost_charged", "Paid"), ("card_lost_not_charged", "Nothing was charged")):
            omar = visit()
            plan = amal.create_plan(f"{omar.create_account('customer', 'omar')}@example.com")
            page = omar.open(plan if start == "plan" else "/home")
            area = omar.row(1) if start == "plan" else page.locator("#home")
            omar.choose_card(area, card)
            area.locator("form.pay button").first.click()
            expect(page.locator("main")).to_contain_text(re.compile("[Cc]hecking with the bank"))
            waiting.append((page, area, words if start == "plan" else words.replace("Paid", "paid")))
    for page, area, words in waiting:
        expect(area).to_contain_text(words)
        expect(page.locator("main")).not_to_contain_text("hecking with the bank")
    waiting[0][0].wait_for_timeout(2_500)
    polls: list[str] = []
    for page, _, _ in waiting:
        page.on("request", lambda request: polls.append(request.url))
    waiting[0][0].wait_for_timeout(2_500)
    assert not polls, "the pages poll no more"


def test_the_preview_updates_while_typing(visit: Visit) -> None:
    amal = visit()
    amal.create_account("merchant", "amal")
    page = amal.open("/plans/new")
    expect(page.locator("#preview")).to_contain_text("Enter a total to see the schedule.")
    page.get_by_label("Total").press_sequentially("100", delay=20)
    page.get_by_label("Number of installments").fill("3")
    expect(page.locator("#preview")).to_contain_text("SAR\u00a033.34")
    expect(page.get_by_role("button", name="Create plan for SAR\u00a0100.00")).to_be_visible()
    page.get_by_label("Total").fill("1e5")
    expect(page.locator("#preview")).to_contain_text("Enter an amount in digits")
    expect(page.locator(".field-error")).to_have_count(0)
    expect(page.get_by_label("Total")).to_be_focused()


def test_without_javascript_a_button_updates_the_preview(visit: Visit) -> None:
    amal = visit(scripts=False)
    amal.create_account("merchant", "amal")
    page = amal.open("/plans/new")
    page.get_by_label("Total").fill("100")
    amal.press("Preview")
    expect(page.locator("#preview")).to_contain_text("SAR\u00a025.00")
    expect(page.get_by_label("Total")).to_have_value("100")


def test_a_form_with_errors_focuses_the_error_summary(visit: Visit) -> None:
    amal = visit()
    amal.create_account("merchant", "amal")
    page = amal.open("/plans/new")
    page.get_by_label("Customer’s email").fill("nobody")
    page.get_by_role("button", name="Create plan").click()
    expect(page.locator("[data-error-summary]")).to_be_focused()
    expect(page.get_by_label("Customer’s email")).to_have_value("nobody")
    expect(page).to_have_title(re.compile("^Error: "))


def test_the_search_updates_while_typing(visit: Visit) -> None:
    amal = visit()
    name = amal.create_account("merchant", "amal")
    for customer in ("layla", "noor"):
        amal.create_plan(f"{customer}-{name}@example.com")
    page = amal.open("/plans")
    page.get_by_label("Search plans").press_sequentially("lay", delay=20)
    expect(page.locator("#plans-list tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile("search=lay"))


def test_an_expired_login_leads_to_the_sign_in_page(visit: Visit) -> None:
    omar, amal = visit(), visit()
    name = omar.create_account("customer", "omar")
    amal.create_account("merchant", "amal")
    plan = amal.create_plan(f"{name}@example.com")
    page = omar.open(plan)
    page.context.clear_cookies()
    page.locator("#pay-next").click()
    expect(page).to_have_url(re.compile("/login"))
    omar.sign_in(name)
    expect(omar.open(plan).locator("main")).to_contain_text("0 of 4 paid")


@pytest.mark.long
@BOTH_IN_TIME
@pytest.mark.parametrize(
    "arabic", [pytest.param(False, id="English"), pytest.param(True, id="Arabic", marks=pytest.mark.long)]
)
def test_a_customers_evening_on_a_phone(visit: Visit, scripts: bool, arabic: bool) -> None:
    """Everything due is paid in two presses, the card is saved on a receipt, and the calendar has the other dates."""
    amal, omar = visit(scripts=scripts), visit(scripts=scripts, width=390)
    name = omar.register("customer", "omar")
    amal.create_account("merchant", "amal")
    for total, count in (("1200", "4"), ("100", "1")):
        amal.create_plan(f"{name}@example.com", total=total, count=count)
    page = omar.open("/home")
    if arabic:
        page.locator(".language-switch button").click()
        expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.locator("h1")).to_contain_text("SAR\u00a0400.00")
    if scripts:
        omar.clicks()
    page.locator("#pay-all").click()
    page.locator("#pay-now").wait_for()
    fits(page)
    page.locator("#pay-now").click()
    expect(page.locator("#outcome h1")).to_contain_text("SAR\u00a0400.00")
    assert not scripts or omar.clicks() == 2
    expect(page.locator("#outcome h1")).to_be_focused()
    expect(page.locator("#parts [data-state=succeeded]")).to_have_count(2)
    fits(page)
    page.locator("#parts a[href^='/payments/']").first.click()
    page.locator("#save-card").click()
    expect(page.locator("#pay-automatically")).to_be_visible()
    fits(page)
    omar.open("/account/calendar").locator("#make-calendar").click()
    address = page.locator("#calendar-address").input_value()
    fits(page)
    feed = page.request.get("/calendar/" + address.rsplit("/", 1)[1]).text()
    assert feed.count("BEGIN:VEVENT") == 3 and "Oak desk" not in feed
    expect(omar.open("/home").locator("h1")).not_to_contain_text("SAR")


def fits(page: Page) -> None:
    """Nothing scrolls sideways."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
