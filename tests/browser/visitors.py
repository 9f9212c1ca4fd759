"""A user of a browser: the actions on the pages, by their visible texts."""

import itertools
import re
import secrets
from collections import deque
from contextlib import suppress
from functools import cached_property
from html import unescape

from playwright.sync_api import BrowserContext, Error, Locator, Page, Response, expect

from tests.pages.words import Said

PASSWORD = "seven green boats"
WATCH = """
document.addEventListener("securitypolicyviolation", (event) =>
  window.policyViolated(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""
COUNT = """
addEventListener("click", ({isTrusted}) => {
  if (isTrusted) sessionStorage.setItem("clicks", 1 + Number(sessionStorage.getItem("clicks")));
}, true);
"""
"""A tab counts its clicks over the pages of one address."""
EXPECTED = re.compile(r"Failed to load resource: the server responded with a status of 4(0[0-9]|22)")
"""Chromium writes every response of 4xx into its console, expected ones as well."""

RUN = secrets.token_hex(3)
_numbers = itertools.count(1)


class Visitor:
    """One browser. `errors` are policy violations, console errors and 5xx; `responses` are the latest ones.

    `page` opens at its first use: a visitor who sends plain requests only needs none, and a page takes half a second.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.errors: list[str] = []
        self.responses: deque[str] = deque(maxlen=12)
        context.expose_binding("policyViolated", lambda _, violation: self.errors.append(f"policy: {violation}"))
        context.add_init_script(WATCH)
        context.add_init_script(COUNT)

    @cached_property
    def page(self) -> Page:
        page = self.context.new_page()
        page.on("console", lambda message: self._record_message(message.type, message.text))
        page.on("pageerror", lambda error: self.errors.append(f"script: {error}"))
        page.on("response", self._record_response)
        return page

    def _record_response(self, response: Response) -> None:
        if response.status >= 500:
            self.errors.append(f"{response.status} {response.url}")
        if response.request.resource_type in ("document", "xhr", "fetch"):
            self.responses.append(f"{response.request.method} {response.url}: {response.status}")

    def report(self) -> str:
        """The latest responses and the text of the page, for the report of a failure."""
        with suppress(Error):
            return "\n".join([*self.responses, self.page.url, self.page.locator("body").inner_text(timeout=2000)])
        return "\n".join(self.responses)

    def _record_message(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not EXPECTED.match(text):
            self.errors.append(f"console: {text} at {self.page.url}")

    def open(self, path: str) -> Page:
        self.page.goto(path)
        return self.page

    def clicks(self) -> int:
        """The number of clicks on the pages since this was last asked. Needs JavaScript."""
        return self.page.evaluate(
            "() => { const count = Number(sessionStorage.getItem('clicks')); sessionStorage.removeItem('clicks');"
            " return count; }"
        )

    def register(self, role: str, name: str) -> str:
        """Register a new username and sign in. The email is that username at example.com."""
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

    def create_account(self, role: str, name: str) -> str:
        """Like `register`, by plain requests without the page."""
        name = f"{name}-{RUN}-{next(_numbers)}"
        account = {"role": role, "username": name, "email": f"{name}@example.com", "password": PASSWORD}
        shop = {"business_name": "Amal's Bakery", "home_currency": "SAR", "time_zone": "Asia/Riyadh"}
        self._send("/register", account | (shop if role == "merchant" else {}))
        return name

    def create_plan(self, email: str, *, total: str = "1200", count: str = "4") -> str:
        """Like `make_plan`, by plain requests without the page. An invitation's link is not read."""
        terms = {"customer_email": email, "description": "Oak desk", "total_amount": total, "interval": "monthly"}
        return self._send("/plans/new", {**terms, "num_installments": count}, to="/plans")

    def mailed_link(self, email: str, path: str) -> str:
        """Wait for the newest mail to this email, as the outbox keeps it, whose link begins with `path`."""
        for _ in range(100):
            listing = self.page.request.get("/outbox?state=kept").text()
            rows = [row for row in listing.split("<tr ") if f"<bdi>{email}</bdi>" in row]
            for number in (match[1] for row in rows if (match := re.search(r'href="(/outbox/\d+)"', row))):
                if link := re.search(rf'href="[^"]*?({path}[^"]+)"', self.page.request.get(f"{number}/html").text()):
                    return unescape(link[1])
            self.page.wait_for_timeout(200)
        raise AssertionError(f"no mail to {email} with a link to {path}")

    def _send(self, path: str, fields: dict[str, str], *, to: str = "") -> str:
        """Fill in the form at `path` and send it `to` its address. Returns the path of the redirect."""
        hidden = {}
        for tag in re.findall(r"<input[^>]*>", self.context.request.get(path).text()):
            attributes = dict(re.findall(r'(\w+)="([^"]*)"', tag))
            if attributes.get("type") in ("hidden", "date"):
                hidden[attributes["name"]] = unescape(attributes.get("value", ""))
        response = self.context.request.post(to or path, form={**hidden, **fields}, max_redirects=0)
        assert response.status == 303, response.text()
        return response.headers["location"]

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

    def prove(self, email: str) -> None:
        """Type the code of the mail to this email, which the outbox keeps, into the page that asks for it."""
        expect(self.page).to_have_url(re.compile("/account/email/proof$"))
        rows = re.compile(rf'href="(/outbox/\d+)"><bdi>Is this your email\?</bdi></a></td>[^/]*<bdi>{email}</bdi>')
        for _ in range(100):
            if (row := rows.search(self.page.request.get("/outbox").text())) is not None:
                break
            self.page.wait_for_timeout(100)
        assert row is not None, "no mail came"
        code = re.search(r"\n(\d{6})\n", self.page.request.get(row[1]).text())
        assert code is not None
        self.page.get_by_label("Code").fill(code[1])
        self.press("Prove email")

    def press(self, name: Said) -> None:
        self.page.locator("main").get_by_role("button", name=name, exact=True).click()

    def row(self, number: int) -> Locator:
        """The row of an installment on a plan's page."""
        return self.page.locator("tbody tr[id^=installment-]").nth(number - 1)

    def choose_card(self, area: Locator, card: str) -> None:
        area.locator("summary").click()
        area.get_by_label("Pay with").select_option(card)
