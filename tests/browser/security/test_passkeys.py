"""A passkey on Chromium's virtual authenticator: added, used after the password, without it, and of another account."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, CDPSession, Page, expect

from tests.browser.visitors import WATCH
from tests.fixtures import people
from tests.fixtures.live import served
from tests.fixtures.people import PASSWORD

pytestmark = pytest.mark.browser

DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@contextmanager
def a_device(page: Page) -> Iterator[tuple[CDPSession, str]]:
    """The page's browser has an authenticator."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    made: dict[str, Any] = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
    yield devtools, made["authenticatorId"]
    devtools.detach()


@pytest.fixture
def address(app: Flask, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The application at localhost, which is its public address."""
    import dataclasses

    with app.app_context():
        people.omar()
        people.sara()
    with served(app) as url:
        url = url.replace("127.0.0.1", "localhost")
        monkeypatch.setitem(app.config, "QIST", dataclasses.replace(app.config["QIST"], public_url=url))
        yield url


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    violations: list[str] = []
    context = browser.new_context(base_url=address, reduced_motion="reduce", viewport={"width": 1000, "height": 900})
    context.expose_binding("policyViolated", lambda _, text: violations.append(text))
    context.add_init_script(WATCH)
    page = context.new_page()
    page.bring_to_front()
    yield page
    context.close()
    assert violations == []


def sign_in(page: Page, name: str) -> None:
    page.goto("/login")
    page.get_by_label("Username or email").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def add(page: Page, name: str) -> None:
    page.goto("/account/second-factors")
    page.get_by_label("Name of the passkey").fill(name)
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Recovery codes")
    expect(page.locator("#flashes")).to_contain_text("The passkey is ready.")


@pytest.mark.long
def test_a_passkey_signs_in_after_the_password_and_without_it(page: Page) -> None:
    with a_device(page):
        sign_in(page, "omar")
        add(page, "My phone")
        page.get_by_role("link", name="I have kept them").click()
        expect(page.locator("main")).to_contain_text("My phone")
        page.context.clear_cookies()
        sign_in(page, "omar")
        expect(page).to_have_url(re.compile("/login/code"))
        page.get_by_role("button", name="Use a passkey").click()
        expect(page).to_have_url(re.compile("/home$"))
        page.context.clear_cookies()
        page.goto("/login?next=/account/second-factors")
        page.get_by_role("button", name="Sign in with a passkey").click()
        expect(page).to_have_url(re.compile("/account/second-factors$"))
        page.get_by_role("button", name="Remove the passkey").click()
        expect(page.locator("#flashes")).to_contain_text("The passkey is removed, and every other browser")


@pytest.mark.long
def test_a_passkey_of_another_account_does_not_open_this_one(page: Page) -> None:
    with a_device(page) as (devtools, device):
        sign_in(page, "sara")
        add(page, "Tablet")
        kept = devtools.send("WebAuthn.getCredentials", {"authenticatorId": device})["credentials"]
        devtools.send("WebAuthn.clearCredentials", {"authenticatorId": device})
        page.context.clear_cookies()
        sign_in(page, "omar")
        add(page, "My phone")
        devtools.send("WebAuthn.clearCredentials", {"authenticatorId": device})
        for credential in kept:
            devtools.send("WebAuthn.addCredential", {"authenticatorId": device, "credential": credential})
        page.context.clear_cookies()
        sign_in(page, "omar")
        page.evaluate(  # a page that offers every passkey, as a thief's would
            """() => { const asked = window.fetch; window.fetch = async (...parts) => {
                const options = await (await asked(...parts)).json();
                return new Response(JSON.stringify({ ...options, allowCredentials: [] })); }; }"""
        )
        page.get_by_role("button", name="Use a passkey").click()
        expect(page.locator("[data-error-summary]")).to_contain_text("This passkey was not accepted")
        page.goto("/home")
        expect(page).to_have_url(re.compile("/login"))
