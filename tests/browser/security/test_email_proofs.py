"""Registration and claim on a system that confirms emails and sends its mail to a real SMTP server."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import BOTH_IN_TIME, TIMEOUT_MS, Visit
from tests.browser.test_pages import find_faults
from tests.browser.visitors import PASSWORD, Visitor
from tests.fixtures.live import Live
from tests.fixtures.mails import Catcher, text_of

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def catcher() -> Iterator[Catcher]:
    with Catcher() as server:
        yield server


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, catcher: Catcher) -> Iterator[Live]:
    """A system of its own, in place of the one of the other browser tests."""
    smtp = {"SMTP_HOST": "localhost", "SMTP_PORT": str(catcher.port), "SMTP_SECURITY": "none"}
    with Live(tmp_path_factory.mktemp("confirming") / "home", EMAIL_CONFIRMATION="required", **smtp) as system:
        yield system


def newest_mail(visitor: Visitor, catcher: Catcher, email: str, subject: str) -> str:
    """The text of the newest mail to this email, as soon as it has come."""
    for _ in range(int(TIMEOUT_MS / 100)):
        texts = [text_of(mail) for mail in catcher.mails if mail["To"] == email and subject in mail["Subject"]]
        if texts:
            return texts[-1]
        visitor.page.wait_for_timeout(100)
    raise AssertionError(f"no mail {subject!r} to {email} among {[mail['Subject'] for mail in catcher.mails]}")


def fill_in_registration(visitor: Visitor, role: str, name: str, email: str) -> None:
    page = visitor.open(f"/register?role={role}")
    if role == "merchant":
        page.get_by_label("Business name").fill("Amal's Bakery")
        page.locator("[name=home_currency]").select_option("SAR")
    page.locator("[name=username]").fill(name)
    page.locator("[name=email]").fill(email)
    page.locator("[name=password]").fill(PASSWORD)
    visitor.press("Register")
    expect(page).to_have_url(re.compile("/account/email/proof$"))


def code_in(text: str) -> str:
    match = re.search(r"^(\d{6})\r?$", text, re.M)
    assert match is not None, text
    return match[1]


@pytest.mark.long
@BOTH_IN_TIME
def test_people_register_prove_their_emails_and_pay(visit: Visit, live: Live, catcher: Catcher, scripts: bool) -> None:
    run = "js" if scripts else "plain"
    amal, phone, attacker = visit(scripts=scripts), visit(scripts=scripts, width=390), visit(scripts=scripts)
    fill_in_registration(amal, "merchant", f"amal-{run}", f"amal-{run}@example.com")
    page = amal.page
    page.goto("/plans/new")
    expect(page.get_by_role("heading", level=1)).to_have_text("Prove your email first")
    page.get_by_role("link", name="Prove your email").last.click()
    page.get_by_label("Code").fill("000000")
    amal.press("Prove email")
    expect(page.get_by_role("alert")).to_contain_text("You have 4 tries left.")
    text = newest_mail(amal, catcher, f"amal-{run}@example.com", "Is this your email?")
    page.get_by_label("Code").fill(code_in(text))
    amal.press("Prove email")
    expect(page).to_have_url(re.compile("/dashboard$"))
    victim = f"victim-{run}@example.com"
    plan = amal.make_plan(victim, count="1")

    # The link of the mail begins a registration. It claims nothing, whoever reads it.
    invitation = re.search(r"/invitations/\S+", newest_mail(amal, catcher, victim, "SAR"))
    assert invitation is not None
    attacker.open(invitation[0])
    attacker.page.get_by_label("Username").fill(f"attacker-{run}")
    attacker.page.get_by_label("Password").fill("nine purple kites")
    attacker.press("Set up account")
    expect(attacker.page).to_have_url(re.compile("/account/email/proof$"))
    attacker.open(plan)
    expect(attacker.page.get_by_role("heading", level=1)).to_have_text("Prove your email first")

    # The victim opens the mailed link of that request on a phone, and has the account alone.
    text = newest_mail(phone, catcher, victim, "Is this your email?")
    match = re.search(r"/email-proofs/\S+", text)
    assert match is not None
    page = phone.open(match[0])
    expect(page.locator("main")).to_contain_text(f"attacker-{run}")
    page.get_by_label("New password").fill(PASSWORD)
    phone.press("Prove email")
    expect(page).to_have_url(re.compile("/home$"))
    page = phone.open(plan)
    page.locator("#pay-next").click()
    expect(page.locator("#plan-summary")).to_contain_text("Completed")
    attacker.open("/home")
    expect(attacker.page).to_have_url(re.compile("/login"))

    # A second registration with a known email looks like the first. Only its owner learns that it is known.
    stranger = visit(scripts=scripts)
    fill_in_registration(stranger, "customer", f"stranger-{run}", victim.upper())
    assert "Sign in" in newest_mail(stranger, catcher, victim, "You have an account already")


@pytest.mark.long
def test_a_change_of_an_email_is_undone_from_the_old_address(visit: Visit, live: Live, catcher: Catcher) -> None:
    noor = visit()
    fill_in_registration(noor, "customer", "noor", "noor@example.com")
    noor.page.get_by_label("Code").fill(code_in(newest_mail(noor, catcher, "noor@example.com", "Is this your email?")))
    noor.press("Prove email")
    page = noor.open("/account/email")
    page.locator("[name=email]").fill("other@example.com")
    page.locator("[name=current_password]").fill(PASSWORD)
    noor.press("Change email")
    page.get_by_label("Code").fill(code_in(newest_mail(noor, catcher, "other@example.com", "email")))
    noor.press("Prove email")
    undo = re.search(r"/email-undos/\S+", newest_mail(noor, catcher, "noor@example.com", "has another email now"))
    assert undo is not None
    page = noor.open(undo[0])
    expect(page.get_by_role("heading", level=1)).to_have_text("Undo the change")
    faults = find_faults(page)
    page.get_by_label("New password").fill("nine purple kites")
    noor.press("Undo the change")
    noor.sign_in("noor@example.com", "nine purple kites")
    assert not faults, "\n".join(faults)
