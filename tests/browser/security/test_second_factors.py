"""An authenticator app, a lost phone, the end of another session, and a password asked for in the middle of a form."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta

import pyotp
import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import update

from portal.domain import clock
from portal.extensions import db
from portal.models import ApiKey, UserSession
from portal.services.security import fresh_sign_ins, second_factors
from tests.browser.visitors import WATCH
from tests.fixtures import people
from tests.fixtures.live import served
from tests.fixtures.people import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.long]

Opens = Callable[[], Page]
STEP = timedelta(seconds=second_factors.STEP_SECONDS)


@pytest.fixture
def address(app: Flask, database: str) -> Iterator[str]:
    with app.app_context():
        people.omar()
        people.amal()
    with served(app) as url:
        yield url


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def opens(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Opens]:
    """A function that opens a browser of its own, like that of another computer."""
    violations: list[str] = []
    with ExitStack() as contexts:

        def open_browser() -> Page:
            context = contexts.enter_context(
                browser.new_context(base_url=address, java_script_enabled=request.param, reduced_motion="reduce")
            )
            context.expose_binding("policyViolated", lambda _, text: violations.append(text))
            context.add_init_script(WATCH)
            return context.new_page()

        yield open_browser
    assert violations == []


def sign_in(page: Page, name: str) -> None:
    page.goto("/login")
    page.get_by_label("Username or email").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def prove(page: Page, code: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("One more step")
    page.get_by_role("textbox", name="Code").fill(code)
    page.get_by_role("button", name="Sign in", exact=True).click()


def is_signed_in(page: Page) -> None:
    page.wait_for_url(lambda url: "/login" not in url)


def test_an_app_a_lost_phone_and_the_end_of_another_session(opens: Opens) -> None:
    laptop = opens()
    sign_in(laptop, "omar")
    laptop.goto("/account/second-factors")
    laptop.get_by_role("button", name="Set up an app").click()
    expect(laptop.locator("svg.qr")).to_be_visible()
    phone = pyotp.TOTP(laptop.locator("#secret").input_value().replace(" ", ""))
    laptop.get_by_role("textbox", name="Code").fill("000")
    laptop.get_by_role("button", name="Turn on").click()
    expect(laptop.locator("#code-error")).to_contain_text("This is not the app’s code")
    laptop.get_by_role("textbox", name="Code").fill(phone.at(clock.now()))
    laptop.get_by_role("button", name="Turn on").click()
    expect(laptop.get_by_role("heading", level=1)).to_have_text("Recovery codes")
    recovery = laptop.locator("main code").first.inner_text()

    at_work = opens()
    sign_in(at_work, "omar")
    prove(at_work, phone.at(clock.now() + STEP))
    is_signed_in(at_work)

    laptop.goto("/account/sessions")
    rows = laptop.get_by_role("row").filter(has=laptop.get_by_role("button", name="Sign out", exact=True))
    expect(rows).to_have_count(1)
    rows.get_by_role("button", name="Sign out", exact=True).click()
    expect(rows).to_have_count(0)
    at_work.goto("/plans")
    at_work.wait_for_url("**/login?**")

    new_phone = opens()
    sign_in(new_phone, "omar")
    prove(new_phone, recovery)
    is_signed_in(new_phone)
    again = opens()
    sign_in(again, "omar")
    prove(again, recovery)
    expect(again.locator("#code-error")).to_contain_text("This code is not right")
    laptop.goto("/account/security-events")
    expect(laptop.locator("main")).to_contain_text("recovery code")


def test_a_password_asked_for_in_the_middle_of_a_form_loses_nothing(app: Flask, opens: Opens) -> None:
    page = opens()
    sign_in(page, "amal")
    is_signed_in(page)
    page.goto("/settings/api-keys")
    page.get_by_label("Name").fill("Web shop")
    with app.app_context():
        before = clock.now() - fresh_sign_ins.FRESH - timedelta(minutes=1)
        db.session.execute(update(UserSession).values(confirmed_at=before))
        db.session.commit()
    page.get_by_role("button", name="Make key").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your password, please")
    page.get_by_label("Password").fill("not this one at all")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#password-error")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_label("Name")).to_have_value("Web shop")
    with app.app_context():
        assert db.session.scalar(db.select(db.func.count()).select_from(ApiKey)) == 0, "nothing is sent by itself"
    page.get_by_role("button", name="Make key").click()
    expect(page.locator("main")).to_contain_text("qist_")
