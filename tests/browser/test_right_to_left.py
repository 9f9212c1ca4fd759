"""Every page in a pseudo-language that is 40 % longer than English and runs from right to left: nothing overflows."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page
from sqlalchemy import select
from sqlalchemy.orm import undefer

from portal.extensions import db
from portal.local import demo_data
from portal.models import Email, Merchant, User
from portal.services.accounts import api_keys, password_resets
from portal.services.mail import delivery
from portal.services.merchants import usual_terms
from portal.services.merchants.usual_terms import Terms
from portal.services.payments import manual_payments, refunds
from portal.services.plans import pairs
from portal.services.plans.pairs import Words
from portal.services.reminders import unsubscribe
from portal.wording import language
from tests.browser.conftest import TIMEOUT_MS, Visit
from tests.browser.test_mails import EMAIL, WORD
from tests.browser.test_pages import find_faults, follow
from tests.fixtures import people
from tests.fixtures.live import served
from tests.pages import pseudo_language
from tests.pages.addresses import PAGES
from tests.pages.words import words

pytestmark = pytest.mark.browser

WIDTHS: Final = (1280, 640, 390, 320)
"""In px: a laptop, the same at a zoom of 200 %, a phone, and the narrowest width of WCAG 2.2, 1.4.10."""
SWAGGER: Final = {"/api/docs/", "/swagger/"}
"""The API's documentation is in English."""
FORMS: Final = re.compile(
    r"/(login|register|plans/new|password-resets/new|settings|settings/reminders|settings/api-keys|account/password"
    r"|plans/\d+/(record-payment|credit|refund|write-off|cancel|pay.*)|payments/\d+/reverse|invitations/[\w-]+(/pay)?)"
)
"""Pages whose first form is also sent empty, so that its errors are seen."""
FORM: Final = "main form.form[method=post]"
SEND: Final = """([selector, typed]) => {
    const form = document.querySelector(selector);
    for (const field of form.querySelectorAll("input:not([type=hidden], [type=radio], [type=checkbox])"))
        field.value = typed[field.name] ?? "";
    form.insertAdjacentHTML("beforeend", '<input type="hidden" name="step" value="check">');
    HTMLFormElement.prototype.submit.call(form);
}"""
"""Sends the form without its scripts and without the browser's own checks. Fields that are not `typed` are empty."""

OVERFLOWS: Final = """() => {
    const faults = new Set();
    const name = (element) => `<${element.tagName.toLowerCase()} class="${element.getAttribute("class") ?? ""}"> `
        + element.textContent.trim().replace(/\\s+/g, " ").slice(0, 50);
    const path = (element) => {
        const ancestors = [];
        for (let part = element; part && part !== document.body; part = part.parentElement) ancestors.push(part);
        return ancestors;
    };
    const styles = new Map();
    const style = (element) => styles.get(element) ?? styles.set(element, getComputedStyle(element)).get(element);
    const isInline = ({display}) => display === "inline" || display === "contents";
    const isOutside = (box, edge) => Math.max(edge.left - box.left, box.right - edge.right) > 1;
    const isCut = (box, edge) => isOutside(box, edge) || box.bottom > edge.bottom + 2 || box.top < edge.top - 2;
    const isPlaced = (element) => path(element).some((part) => style(part).clipPath !== "none"
        || part.matches("svg, .skip-link, .wrap-plain, pre"));
    const isSeen = (element) => element.checkVisibility({visibilityProperty: true}) && !isPlaced(element);

    const excess = document.documentElement.scrollWidth - innerWidth;
    if (excess > 0) faults.add(`the page scrolls sideways by ${excess} px`);
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const text = texts.currentNode, words = JSON.stringify(text.data.trim().slice(0, 50));
        if (!text.data.trim() || text.parentElement.matches("option, script") || !isSeen(text.parentElement)) continue;
        const range = document.createRange();
        range.selectNodeContents(text);
        const boxes = [...range.getClientRects()].filter((box) => box.width > 0);
        const around = path(text.parentElement);
        const block = around.find((part) => !isInline(style(part)));
        if (block && boxes.some((box) => isOutside(box, block.getBoundingClientRect())))
            faults.add(`${words} sticks out of ${name(block)}`);
        for (const part of around) {
            const {overflowX, webkitLineClamp} = style(part);
            if (/hidden|clip/.test(overflowX) && webkitLineClamp === "none"
                && boxes.some((box) => isCut(box, part.getBoundingClientRect())))
                faults.add(`${name(part)} cuts off ${words}`);
            if (/auto|scroll/.test(overflowX) && part.scrollWidth > part.clientWidth + 1)
                faults.add(`${name(part)} scrolls sideways by ${part.scrollWidth - part.clientWidth} px`);
        }
    }
    const edge = {left: 0, right: document.documentElement.clientWidth};
    for (const element of document.body.querySelectorAll("*")) {
        const box = element.getBoundingClientRect();
        if (box.width > 1 && isOutside(box, edge) && isSeen(element)
            && !isOutside(element.parentElement.getBoundingClientRect(), edge))
            faults.add(`outside of the window: ${name(element)}`);
    }
    return [...faults];
}"""
"""The parts of this page that people can't see, or only by scrolling sideways. A table of figures may scroll in
its box, and a long title ends after its third line."""
OPEN: Final = "(panels) => panels.forEach((panel) => { panel.open = true; })"


@dataclass
class Shop:
    """The application in the pseudo-language, with the demo data, an operator and mails. `links` are those of mails."""

    url: str
    outbox_link: str
    links: list[str]
    mails: list[str]


@pytest.fixture
def shop(app: Flask, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    pseudo_language.install(app)
    with app.app_context(), monkeypatch.context() as patch:
        demo_data.seed()
        people.an_operator()
        omar = db.session.scalars(select(User).where(User.username == "omar")).one()
        off = f"/reminders/off/{unsubscribe.token_of(omar.id)}"
        password_resets.ask("omar")
        patch.setattr(language, "SOURCE", pseudo_language.RIGHT_TO_LEFT)
        delivery.drain()
        sent = db.session.scalars(select(Email).options(undefer(Email.body)).where(Email.state == "kept")).all()
        links = re.findall(r"http://localhost(/(?:invitations|password-resets)/[\w-]+)", "".join(map(body_of, sent)))
        mails = [f"/outbox/{mail.id}/html" for mail in {mail.kind: mail for mail in sent}.values()]
    with served(app) as url:
        yield Shop(url, f"/outbox/open/{app.config['QIST'].outbox_token}", [off, *dict.fromkeys(links)], mails)


@pytest.fixture
def wordy(app: Flask, shop: Shop) -> Shop:
    """The shop, whose names, texts and emails are as long as they may be, each one word."""
    with app.app_context():
        amal, omar = (db.session.scalars(select(User).where(User.username == name)).one() for name in ("amal", "omar"))
        omar.email, omar.full_name = EMAIL, WORD
        for merchant in db.session.scalars(select(Merchant)):
            merchant.business_name = WORD
        db.session.commit()
        owner = people.owner(amal.id)
        pairs.describe(omar.id, Words(name=WORD, phone="+966 50 123 4567", note=WORD), actor=owner)
        plan = people.a_plan(amal.id, EMAIL, first=-3, description=WORD)
        people.pay(people.installments_of(plan)[0].id, omar.id)
        refunds.refund(plan, actor=owner, amount=1_00, reason=WORD)
        today = people.today_of(amal.id)
        manual_payments.record(
            plan, actor=owner, amount=1_00, method="cash", received_on=today, reference=WORD, reason=WORD
        )
        api_keys.create(owner, name=WORD)
        usual_terms.add(owner, Terms(WORD[: usual_terms.MAX_NAME], 3, "monthly", None, 0))
    return shop


def body_of(mail: Email) -> str:
    return mail.body or ""


def signed_in(browser: Browser, shop: Shop, name: str) -> BrowserContext:
    """A browser that asks for the pseudo-language, with this person signed in; "" for nobody."""
    context = browser.new_context(base_url=shop.url, locale=pseudo_language.RIGHT_TO_LEFT, reduced_motion="reduce")
    context.set_default_timeout(TIMEOUT_MS)
    context.request.get(shop.outbox_link)
    if name:
        password = people.PASSWORD if name == "olga" else demo_data.PASSWORD
        response = context.request.post("/login", form={"login": name, "password": password}, max_redirects=0)
        assert response.status == 303
    return context


def send(page: Page, **typed: str) -> None:
    """Send the page's form."""
    with page.expect_navigation():
        page.evaluate(SEND, [FORM, typed])


def overflows(page: Page, panels: str = "main details") -> list[str]:
    """The faults of the page at each width, as it came and with these panels open, if it has any."""
    faults = []
    assert page.locator("html").get_attribute("dir") == "rtl", page.url
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        faults += [f"{page.url} at {width} px: {fault}" for fault in page.evaluate(OVERFLOWS)]
    if page.locator(panels).count():
        page.locator(panels).evaluate_all(OPEN)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            faults += [f"{page.url} at {width} px, panels open: {fault}" for fault in page.evaluate(OVERFLOWS)]
    return faults


@pytest.mark.long
def test_nothing_overflows(browser: Browser, shop: Shop) -> None:
    assert_nothing_overflows(browser, shop)


@pytest.mark.proof
def test_nothing_overflows_with_long_words(browser: Browser, wordy: Shop) -> None:
    """An email of 75 letters and words of 200."""
    assert_nothing_overflows(browser, wordy)


def assert_nothing_overflows(browser: Browser, shop: Shop) -> None:
    faults: list[str] = []
    for name, paths in PAGES.items():
        context = signed_in(browser, shop, name)
        page = context.new_page()
        panels = "details"  # of the first page with its menu; the menu is the same on the others
        for path in paths:
            if path in SWAGGER:
                continue
            address = follow(page, path)
            assert address, path
            response = page.goto(address)
            assert response and response.status < 500, address
            faults += overflows(page, panels)
            panels = "main details"
            if FORMS.fullmatch(address) and page.locator(FORM).count():
                send(page)
                faults += overflows(page)
        if name == "amal":
            page.goto(follow(page, "first plan of /plans?status=active, then /credit"))
            send(page, amount="10", reason="Because it came late, and the colour is another one than was agreed")
            assert page.locator("main .confirmation").count(), page.content()
            faults += overflows(page)
        context.close()
    assert not faults, "\n".join(faults)


@pytest.mark.long
def test_nothing_overflows_where_a_mail_leads_nor_in_the_mail(browser: Browser, shop: Shop) -> None:
    faults: list[str] = []
    context = signed_in(browser, shop, "")
    page = context.new_page()
    assert {link.split("/")[1] for link in shop.links} == {"invitations", "password-resets", "reminders"}
    for address in shop.links:
        page.goto(address)
        faults += overflows(page)
        if page.locator(FORM).count():
            send(page)
            faults += overflows(page)
        if address.startswith("/invitations/"):
            page.goto(f"{address}/pay")
            faults += overflows(page)
            page.locator("#pay-now").click()
            page.locator("#receipt").wait_for()
            faults += overflows(page)
    for address in shop.mails:
        page.goto(address)
        faults += overflows(page)
    context.close()
    assert not faults, "\n".join(faults)


@pytest.mark.long
def test_states_of_pages_are_accessible_in_arabic(visit: Visit) -> None:
    """Forms with errors, open panels and dialogs, refusals and results, each in both colours and on a phone."""
    amal, omar, layla, say = visit(), visit(), visit(), words("ar")
    for visitor in (amal, omar, layla):
        visitor.context.set_extra_http_headers({"Accept-Language": "ar"})
    name = omar.create_account("customer", "omar")
    amal.create_account("merchant", "amal")
    plan = amal.create_plan(f"{name}@example.com")
    invited = amal.create_plan(f"new-{name}@example.com")
    faults: list[str] = []

    def check(page: Page) -> None:
        assert page.locator("html").get_attribute("dir") == "rtl", page.url
        faults.extend(find_faults(page))

    page = amal.open("/plans/new")
    page.locator("[name=total_amount]").fill("many")
    page.get_by_role("button", name=say("Create plan")).click()
    page.locator("[data-error-summary]").wait_for()
    check(page)
    page = amal.open(f"{plan}/credit")
    amal.press(say("Continue"))
    page.locator("[data-error-summary]").wait_for()
    check(page)
    page.locator("[name=amount]").fill("10")
    page.locator("[name=reason]").fill("A scratch (left side)")
    amal.press(say("Continue"))
    page.locator("dialog[open]").wait_for()
    check(page)
    page.keyboard.press("Escape")
    page = amal.open(plan)
    page.locator("#plan-acts summary").click()
    check(page)
    check(amal.open(invited))
    check(amal.open(f"{invited}?ask=revoke-pay"))
    check(layla.open(layla.mailed_link(f"new-{name}@example.com", "/invitations/")))
    page = omar.open(f"{plan}/pay")
    page.locator("[name=amount]").fill("9999")
    page.locator("#pay-now").click()
    page.locator("[data-error-summary]").wait_for()
    check(page)
    page = omar.open(plan)
    omar.row(1).get_by_role("button", name=say("Pay %(amount)s", amount="")).click()
    page.locator("#plan-summary").get_by_text(say("%(paid)s of %(total)s paid", paid=1, total=4)).wait_for()
    check(page)
    assert not faults, "\n".join(faults)


@pytest.mark.long
def test_a_field_shows_what_is_typed_in_the_order_of_its_own_script(visit: Visit) -> None:
    """The first letter decides, as in a name on a page: "12 Olaya Street" keeps its number in front in Arabic, too.

    Phones have no letter, and run from left to right.
    """
    amal = visit()
    amal.context.set_extra_http_headers({"Accept-Language": "ar"})
    amal.create_account("merchant", "amal")
    for path in ("/settings/letterhead", "/plans/new", "/account", "/search"):
        page = amal.open(path)
        found = page.evaluate("""() => [...document.querySelectorAll("textarea.input, input.input")].map((field) => {
            const style = getComputedStyle(field);
            return [field.type, style.unicodeBidi, style.direction];
        })""")
        assert found and {order for _kind, order, _direction in found} == {"plaintext"}, (path, found)
        assert {direction for kind, _order, direction in found if kind == "tel"} <= {"ltr"}, (path, found)
