"""A payment is refused, as another tab paid first: what is visible, what has the focus, and what is charged."""

from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg
import pytest
from playwright.sync_api import Locator, Page, Request, expect

from portal.local.postgres import Postgres
from tests.browser.conftest import BOTH_IN_TIME, Visit
from tests.fixtures.live import Live

pytestmark = pytest.mark.browser

PLACES = pytest.mark.parametrize(
    "place",
    ["plan", *(pytest.param(place, marks=pytest.mark.long) for place in ("home row", "plan row", "home"))],
)

ALREADY_PAID = "This installment is already paid. Nothing was charged."
AMOUNT_CHANGED = "What is owed has changed: it is SAR\u00a0100.00 now. Nothing was charged."

LIVE_REGIONS = "[aria-live], [role=status], [role=alert], output"
IS_VISIBLE = """(element) => {
    const box = element.getBoundingClientRect();
    const style = getComputedStyle(element);
    const inside = box.top >= 0 && box.left >= 0 && box.bottom <= innerHeight && box.right <= innerWidth;
    const middle = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    return inside && box.width > 100 && box.height > 14 && style.visibility === "visible" && style.opacity === "1"
        && style.clipPath === "none" && element.contains(middle);
}"""
"""Whether people see the element: large enough, inside the window, and covered by nothing."""
BUTTON_AT = "([x, y]) => document.elementFromPoint(x, y)?.closest('button, summary, select')?.textContent ?? null"


@dataclass
class Tabs:
    """Two tabs of one customer, who has two plans of SAR 686.00 in four parts. The first part of both is due."""

    a: Page
    b: Page
    plan: str
    count_charges: Callable[[], int]
    posts: list[str] = field(default_factory=list)
    """Addresses to which tab A sent a form."""

    def open_a(self, place: str) -> Locator:
        """Open tab A. Returns its pay button for the first installment of the plan."""
        self.a.goto("/home")  # shows the greeting, which would move the next page's buttons down
        self.a.goto("/home" if place.startswith("home") else self.plan)
        if place == "plan row":
            return self.a.locator("tbody tr[id^=installment-]").first.get_by_role("button", name=", due")
        if place == "home row":
            return self.a.locator("#home .rows .pay button").first
        return self.a.locator("#pay-next")

    def press_enter_again(self) -> None:
        """Enter on what has the focus sends nothing, for as long as tab B takes to load the plan."""
        before = list(self.posts)
        self.a.keyboard.press("Enter")
        self.b.goto(self.plan)
        assert self.posts == before

    def check_refusal(self, text: str) -> Locator:
        """The sentence is visible, has the focus and is in no live region, so that a screen reader reads it once."""
        refusal = self.a.locator(".pay-refusal")
        expect(refusal).to_have_count(1)
        expect(refusal).to_have_text(text)
        expect(refusal).to_be_focused()
        assert self.a.evaluate(IS_VISIBLE, refusal.element_handle())
        assert text not in "".join(self.a.locator(LIVE_REGIONS).all_text_contents())
        return refusal


@pytest.fixture
def open_tabs(visit: Visit, live: Live) -> Callable[..., Tabs]:
    def open_two(*, scripts: bool, place: str, width: int = 1280) -> Tabs:
        omar, amal = visit(scripts=scripts, width=width), visit()
        name = omar.create_account("customer", "omar")
        amal.create_account("merchant", "amal")
        plans = [amal.create_plan(f"{name}@example.com", total="686.00") for _ in range(1 if place == "home" else 2)]
        plan = plans[0]
        url = Postgres.running(live.data_dir)
        assert url

        def count_charges() -> int:
            query = "SELECT count(*) FROM payments WHERE plan_id = %s AND state <> 'declined'"
            with psycopg.connect(url.replace("+psycopg", "")) as connection:
                row = connection.execute(query, [int(plan.rsplit("/", 1)[1])]).fetchone()
            assert row
            return int(row[0])

        tabs = Tabs(omar.page, omar.page.context.new_page(), plan, count_charges)

        def note_post(request: Request) -> None:
            if request.method == "POST":
                tabs.posts.append(request.url)

        tabs.a.on("request", note_post)
        return tabs

    return open_two


def pay_in_b(tabs: Tabs, amount: str = "") -> None:
    """Pay the first installment in tab B, or a part of it."""
    tabs.b.goto(f"{tabs.plan}/pay")
    if amount:
        tabs.b.get_by_label("Another amount").check()
        tabs.b.get_by_label("Amount", exact=True).fill(amount)
    tabs.b.get_by_role("button", name="Pay").click()
    expect(tabs.b.locator("#receipt")).to_contain_text("paid")
    tabs.a.bring_to_front()


def press(button: Locator) -> list[float]:
    """Press with the keyboard, as the focus has to go somewhere afterwards. Returns where the button stood."""
    button.focus()
    box = button.bounding_box()
    assert box
    button.press("Enter")
    return [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]


@BOTH_IN_TIME
@PLACES
def test_an_installment_paid_in_another_tab_is_refused_where_it_was_pressed(
    open_tabs: Callable[..., Tabs], place: str, scripts: bool
) -> None:
    tabs = open_tabs(scripts=scripts, place=place, width=390)
    button = tabs.open_a(place)
    pay_in_b(tabs)
    finger = press(button)
    tabs.check_refusal(ALREADY_PAID)
    if scripts or not place.endswith("row"):  # a fresh page begins at its top
        assert tabs.a.evaluate(BUTTON_AT, finger) is None, "no button under the finger"
    tabs.press_enter_again()
    assert tabs.count_charges() == 1

    if place == "home row":
        refused = tabs.a.locator("#home .rows .row").filter(has_text=ALREADY_PAID)
        expect(refused).to_contain_text("Paid")
        expect(refused.locator("button")).to_have_count(0)
        return
    following = tabs.a.locator("#pay-next")
    if place == "plan row":
        expect(tabs.a.locator("tbody tr[id^=installment-]").first.locator("button")).to_have_count(0)
    expect(following).to_have_text("Pay the next one, SAR\u00a0171.50")
    expect(following).to_have_class("btn btn-secondary btn-lg")
    expect(following).not_to_be_focused()
    expect(tabs.a.locator("main .pay .btn-primary")).to_have_count(0)
    if place == "plan":
        following.click()
        expect(tabs.a.locator("#plan-summary")).to_contain_text("SAR\u00a0171.50 paid")
        assert tabs.count_charges() == 2


@pytest.mark.long
@BOTH_IN_TIME
@pytest.mark.parametrize(
    "place", ["plan", *(pytest.param(place, marks=pytest.mark.long) for place in ("plan row", "home", "home row"))]
)
def test_an_amount_that_another_tab_changed_is_refused_where_it_was_pressed(
    open_tabs: Callable[..., Tabs], place: str, scripts: bool
) -> None:
    tabs = open_tabs(scripts=scripts, place=place, width=1280)
    button = tabs.open_a(place)
    pay_in_b(tabs, "71.50")
    finger = press(button)
    refusal = tabs.check_refusal(AMOUNT_CHANGED)
    if scripts or not place.endswith("row"):
        assert tabs.a.evaluate(BUTTON_AT, finger) is None, "no button under the finger"
    tabs.press_enter_again()
    assert tabs.count_charges() == 1
    beside = refusal.locator("xpath=..").get_by_role("button", name="Pay SAR\u00a0100.00 instead")
    expect(beside).to_have_class("btn btn-secondary btn-sm" if place.endswith("row") else "btn btn-secondary btn-lg")
    beside.click()
    expect(tabs.a.locator("main")).to_contain_text("SAR\u00a0100.00 paid")
    assert tabs.count_charges() == 2


@pytest.mark.long
@BOTH_IN_TIME
def test_everything_due_is_refused_beside_its_button(open_tabs: Callable[..., Tabs], scripts: bool) -> None:
    tabs = open_tabs(scripts=scripts, place="home row", width=390)
    tabs.a.goto("/home")
    tabs.a.get_by_role("link", name="Pay SAR\u00a0343.00").click()
    pay_in_b(tabs)
    press(tabs.a.locator("#pay-now"))
    refusal = tabs.a.locator(".pay-refusal")
    expect(refusal).to_be_focused()
    tabs.check_refusal(refusal.inner_text())
    tabs.press_enter_again()
    assert tabs.count_charges() == 1
    button = tabs.a.get_by_role("button", name="Pay SAR\u00a0171.50 instead")
    expect(button).to_have_class("btn btn-secondary btn-lg")
    button.click()
    expect(tabs.a.get_by_role("heading", level=1)).to_contain_text("SAR\u00a0171.50 paid")
    assert tabs.count_charges() == 1, "the rest was another plan's"


@pytest.mark.long
@BOTH_IN_TIME
def test_the_form_with_other_amounts_refuses_beside_its_button(open_tabs: Callable[..., Tabs], scripts: bool) -> None:
    tabs = open_tabs(scripts=scripts, place="plan", width=390)
    tabs.a.goto(f"{tabs.plan}/pay")
    pay_in_b(tabs)
    press(tabs.a.locator("#pay-now"))
    tabs.check_refusal(
        "What is owed has changed meanwhile. Nothing was charged. These are the amounts as they are now."
    )
    tabs.press_enter_again()
    assert tabs.count_charges() == 1
    button = tabs.a.get_by_role("button", name="Pay SAR\u00a0171.50 instead")
    expect(button).to_have_class("btn btn-secondary btn-lg")
    expect(button).to_be_in_viewport()


@pytest.mark.long
@BOTH_IN_TIME
def test_a_declined_card_is_refused_beside_a_button_for_the_same_amount(
    open_tabs: Callable[..., Tabs], scripts: bool
) -> None:
    tabs = open_tabs(scripts=scripts, place="plan")
    button = tabs.open_a("plan")
    tabs.a.locator("#plan-summary summary").click()
    tabs.a.locator("#pay-next-method").select_option("card_declined")
    press(button)
    tabs.check_refusal("Your card was declined. Nothing was charged.")
    tabs.press_enter_again()
    expect(button).to_have_text("Pay SAR\u00a0171.50")
    expect(button).to_have_class("btn btn-primary btn-lg")
    assert tabs.count_charges() == 0
