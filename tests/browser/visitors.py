"""Somebody at a browser: what people do on these pages, by the words they read there."""

import itertools
import re
import secrets
from collections import deque
from contextlib import suppress
from html import unescape

from playwright.sync_api import BrowserContext, Error, Locator, Page, Response, expect

PASSWORD = "seven green boats"
WATCH = """
document.addEventListener("securitypolicyviolation", (event) =>
  window.policyViolated(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""
EXPECTED = re.compile(r"Failed to load resource: the server responded with a status of 4(0[0-9]|22)")
"""Chromium writes every 4xx into its console, those that are shown in the page too."""

RUN = secrets.token_hex(3)
_numbers = itertools.count(1)


class Visitor:
    """One browser. `troubles` collects what nobody should ever see, `answers` the last pages and fragments it got."""

    def __init__(self, context: BrowserContext) -> None:
        self.troubles: list[str] = []
        self.answers: deque[str] = deque(maxlen=12)
        context.expose_binding("policyViolated", lambda _, what: self.troubles.append(f"policy: {what}"))
        context.add_init_script(WATCH)
        self.page: Page = context.new_page()
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self.troubles.append(f"script: {error}"))
        self.page.on("response", self._answered)

    def _answered(self, answer: Response) -> None:
        if answer.status >= 500:
            self.troubles.append(f"{answer.status} {answer.url}")
        if answer.request.resource_type in ("document", "xhr", "fetch"):
            self.answers.append(f"{answer.request.method} {answer.url}: {answer.status}")

    def story(self) -> str:
        """For whoever has to find out why a test failed: what it was answered, and what stands on its page."""
        with suppress(Error):
            return "\n".join([*self.answers, self.page.url, self.page.locator("body").inner_text(timeout=2000)])
        return "\n".join(self.answers)

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not EXPECTED.match(text):
            self.troubles.append(f"console: {text} at {self.page.url}")

    def open(self, path: str) -> Page:
        self.page.goto(path)
        return self.page

    def register(self, role: str, name: str) -> str:
        """Register and sign in under a name that is new in this run. The email is that name @example.com."""
        name = f"{name}-{RUN}-{next(_numbers)}"
        page = self.open("/register")
        page.locator(f"input[name=role][value={role}]").check()
        if role == "merchant":
            page.get_by_label("Business name").fill("Amal's Bakery")
            page.locator("[name=home_currency]").select_option("SAR")
            page.locator("[name=time_zone]").select_option("Asia/Riyadh")
        page.locator("[name=username]").fill(name)
        page.locator("[name=email]").fill(f"{name}@example.com")
        page.locator("[name=password]").fill(PASSWORD)
        self.press("Register")
        expect(page).to_have_url(re.compile("/(dashboard|home)$"))
        return name

    def come(self, role: str, name: str) -> str:
        """As `register`, but nothing is looked at: for stories that begin later."""
        name = f"{name}-{RUN}-{next(_numbers)}"
        account = {"role": role, "username": name, "email": f"{name}@example.com", "password": PASSWORD}
        shop = {"business_name": "Amal's Bakery", "home_currency": "SAR", "time_zone": "Asia/Riyadh"}
        self._send("/register", account | (shop if role == "merchant" else {}))
        return name

    def have_plan(self, email: str, *, total: str = "1200", count: str = "4") -> str:
        """As `make_plan`, but nothing is looked at, the invitation's link neither."""
        terms = {"customer_email": email, "description": "Oak desk", "total_amount": total, "interval": "monthly"}
        return self._send("/plans/new", {**terms, "num_installments": count}, to="/plans")

    def _send(self, path: str, typed: dict[str, str], *, to: str = "") -> str:
        """Fill in the form at `path` and send it `to` its address. Returns the path that the answer leads to."""
        kept = {}
        for field in re.findall(r"<input[^>]*>", self.page.request.get(path).text()):
            found = dict(re.findall(r'(\w+)="([^"]*)"', field))
            if found.get("type") in ("hidden", "date"):
                kept[found["name"]] = unescape(found.get("value", ""))
        answer = self.page.request.post(to or path, form={**kept, **typed}, max_redirects=0)
        assert answer.status == 303, answer.text()
        return answer.headers["location"]

    def sign_in(self, name: str, password: str = PASSWORD) -> Page:
        page = self.open("/login")
        page.locator("[name=login]").fill(name)
        page.locator("[name=password]").fill(password)
        self.press("Sign in")
        expect(page).to_have_url(re.compile("/(dashboard|home|operator)$"))
        return page

    def make_plan(self, email: str, *, total: str = "1200", count: str = "4") -> str:
        """Fill in and send the form for a new plan. Returns the path of the plan's page."""
        page = self.open("/plans/new")
        page.get_by_label("Customer’s email").fill(email)
        page.get_by_label("What was bought").fill("Oak desk")
        page.get_by_label("Total").fill(total)
        page.get_by_label("Number of installments").fill(count)
        page.get_by_role("button", name="Create plan").click()
        expect(page).to_have_url(re.compile(r"/plans/\d+$"))
        return page.url.removeprefix(re.match(r"https?://[^/]+", page.url)[0])  # type: ignore[index]

    def press(self, name: str) -> None:
        self.page.locator("main").get_by_role("button", name=name, exact=True).click()

    def row(self, number: int) -> Locator:
        """The row of an installment on a plan's page."""
        return self.page.locator("tbody tr[id^=installment-]").nth(number - 1)

    def choose_card(self, place: Locator, card: str) -> None:
        place.locator("summary").click()
        place.get_by_label("Pay with").select_option(card)
