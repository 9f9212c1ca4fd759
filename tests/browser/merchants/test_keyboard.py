"""A merchant without a mouse: tab order, shortcuts, menus, dialogs, and where the focus is after a page has loaded."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import BOTH_IN_TIME, Visit
from tests.browser.visitors import PASSWORD, Visitor

pytestmark = pytest.mark.browser

FOCUSED = "() => (document.activeElement.innerText || document.activeElement.name || '').trim()"


def tab_to(page: Page, text: str) -> None:
    """Press Tab until what is called `text` has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(FOCUSED) == text:
            return
    raise AssertionError(f"Tab does not lead to {text}")


def a_shop(visit: Visit) -> tuple[Visitor, str]:
    """A merchant and the path of a plan of a customer without an account. No message waits for the next page."""
    amal = visit()
    name = amal.create_account("merchant", "amal")
    plan = amal.create_plan(f"layla-{name}@example.com")
    amal.open("/plans")
    return amal, plan


@pytest.mark.long
def test_the_first_tab_skips_to_the_content(visit: Visit) -> None:
    amal, _ = a_shop(visit)
    page = amal.open("/plans")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) == "Skip to content"
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    tab_to(page, "New plan")
    page.keyboard.press("Tab")
    expect(page.locator("#search")).to_be_focused()
    tab_to(page, "Oak desk")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/plans/\d+$"))


@pytest.mark.long
def test_slash_and_ctrl_k_lead_to_the_search(visit: Visit) -> None:
    amal, _ = a_shop(visit)
    page = amal.open("/plans")
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("oak")
    expect(page).to_have_url(re.compile("search=oak"))
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.press("Control+k")
    expect(page).to_have_url(re.compile("/search$"))
    expect(page.locator("#search")).to_be_focused()
    page.goto("/dashboard")
    page.keyboard.press("/")
    expect(page).to_have_url(re.compile("/search$"))
    page.goto("/plans/new")
    page.get_by_label("What was bought").focus()
    page.keyboard.type("a/b")
    expect(page.get_by_label("What was bought")).to_have_value("a/b")


def test_menus_close_when_they_are_left_and_give_the_focus_back(visit: Visit) -> None:
    amal, plan = a_shop(visit)
    page = amal.open(plan)
    opener, menu = page.locator("#plan-acts summary"), page.locator("#plan-acts[open], #plan-acts [open]")
    for leave in ("Escape", "Tab", "click"):
        opener.focus()
        page.keyboard.press("Enter")
        expect(menu).to_have_count(1)
        page.keyboard.press("Tab")
        assert page.evaluate(FOCUSED) == "Give a credit"
        if leave == "Escape":
            page.keyboard.press("Escape")
            expect(opener).to_be_focused()
        elif leave == "Tab":
            tab_to(page, "Revoke their link")
        else:
            page.locator("h1").click()
        expect(menu).to_have_count(0)

    page.set_viewport_size({"width": 390, "height": 800})
    opener = page.locator(".topbar summary")
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".topbar details[open]")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(".topbar details[open]")).to_have_count(0)
    expect(opener).to_be_focused()


def test_a_dialog_closes_with_escape_and_changes_nothing(visit: Visit) -> None:
    amal, plan = a_shop(visit)
    page = amal.open(plan)
    opener = page.get_by_role("link", name="Revoke their link")
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.locator("dialog[open]")).to_have_count(1)
    assert page.evaluate("document.querySelector('dialog[open]').contains(document.activeElement)")
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(opener).to_be_focused()
    expect(page.locator("#plan-links").get_by_role("link", name="Revoke their link")).to_have_count(1)


@pytest.mark.long
def test_success_takes_the_focus_after_a_full_load(visit: Visit) -> None:
    amal, _ = a_shop(visit)
    page = amal.open("/plans/new")
    page.get_by_label("Customer’s email").focus()
    page.keyboard.type("noor@example.com")
    page.get_by_label("Total", exact=True).focus()
    page.keyboard.type("120")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/plans/\d+$"))
    expect(page.locator("#flashes .notice-success")).to_be_focused()
    expect(page.locator("#flashes .notice-success")).to_have_text("Plan created.")


@pytest.mark.long
@BOTH_IN_TIME
def test_a_plan_that_was_typed_survives_a_sign_out_in_another_tab(visit: Visit, scripts: bool) -> None:
    amal = visit(scripts=scripts)
    name = amal.create_account("merchant", "amal")
    page = amal.open("/plans/new")
    page.get_by_label("Customer’s email").fill("noor@example.com")
    page.get_by_label("Total", exact=True).fill("1234")
    other = amal.context.new_page()
    other.goto("/dashboard")
    other.locator(".sidebar").get_by_role("button", name="Sign out").click()
    other.wait_for_url(re.compile("/(login)?$"))
    page.locator("main .form-actions .btn-primary").click()
    expect(page.locator("main")).to_contain_text("You were signed out. Nothing was charged.")
    page.get_by_label("Username or email").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    amal.press("Sign in")
    expect(page).to_have_url(re.compile("/plans/new$"))
    expect(page.locator("#flashes")).to_contain_text("What you typed is here again.")
    expect(page.get_by_label("Total", exact=True)).to_have_value("1234")
    page.locator("main .form-actions .btn-primary").click()
    expect(page.locator("main")).to_contain_text("noor@example.com")
    expect(page).to_have_url(re.compile(r"/plans/\d+$"))


@pytest.mark.long
def test_a_preview_that_comes_late_does_not_lead_a_sent_form_elsewhere(visit: Visit) -> None:
    """The session has ended, so a preview alone leads to the sign-in page. The form's own answer says what happened."""
    amal = visit()
    amal.create_account("merchant", "amal")
    page = amal.open("/plans/new")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(re.compile("/plans(/preview)?$"), hold)
    with page.expect_request("**/plans/preview"):
        page.get_by_label("Total", exact=True).fill("1234")
    amal.context.clear_cookies()
    page.locator("main .form-actions .btn-primary").click(no_wait_after=True)
    page.wait_for_timeout(200)
    *previews, form = held
    with page.expect_response("**/plans/preview") as answer:
        previews[0].continue_()
    assert answer.value.status == 401
    page.wait_for_timeout(500)
    with page.expect_response(lambda response: response.request.method == "POST"):
        form.continue_()
    expect(page.locator("main")).to_contain_text("Please send that again")
