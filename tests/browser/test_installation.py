"""A fresh installation: `qist setup`, the first plan, accepted and paid, and a stranger's business that is approved."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.visitors import PASSWORD, Visitor
from tests.fixtures.live import Live

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("live")]


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Live]:
    """A running system of its own, on which new businesses wait for approval, and plans for acceptance."""
    with Live(tmp_path / "home", MERCHANT_REGISTRATION="approval", PLAN_ACCEPTANCE="required") as system:
        yield system


def set_up(system: Live) -> dict[str, str]:
    """Run `qist setup` beside the running system. Returns the links of the operator and the owner."""
    answers = ["olga", "olga@example.com", "owner", "owner@example.com", "Amal's Bakery", "SAR", "Asia/Riyadh"]
    done = subprocess.run(
        [sys.executable, "-m", "portal.cli", "setup"],
        cwd=system.data_dir.parent,
        env=system.environ,
        input="\n".join(answers) + "\n",
        text=True,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(re.findall(r"(operator|owner) \w+: http://[^/]+(/password-resets/\S+)", done.stdout))


@pytest.mark.long
def test_from_setup_to_the_first_accepted_plan_and_the_approval_of_a_stranger(
    installation: Live, browser: Browser
) -> None:
    contexts = [browser.new_context(base_url=installation.url, java_script_enabled=False) for _ in range(4)]
    owner, olga, dana, layla = visitors = [Visitor(context) for context in contexts]
    links = set_up(installation)
    for visitor, login, link in ((owner, "owner", links["owner"]), (olga, "olga", links["operator"])):
        page = visitor.open(link)
        page.get_by_label("New password").fill(PASSWORD)
        page.locator("main button[type=submit]").click()
        visitor.sign_in(login)

    plan = owner.make_plan("layla@example.com", count="1")
    expect(owner.page.locator("main")).to_contain_text("Awaiting acceptance")
    layla.open(installation.outbox_link() or "")
    page = layla.open(layla.mailed_link("layla@example.com", "/invitations/"))
    layla.press("Accept the plan")
    expect(page.locator("body")).to_contain_text("You accepted the plan.")
    expect(owner.open(plan).locator("main")).to_contain_text("Plan accepted")
    expect(owner.page.locator("main")).not_to_contain_text("Awaiting acceptance")
    page.locator("#pay-next").click()
    page.locator("main form").get_by_role("button", name=re.compile("Pay")).last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Receipt")
    expect(owner.open(plan).locator("main")).to_contain_text("1 of 1 paid")

    name = dana.register("merchant", "dana")
    expect(dana.page.locator("main")).to_contain_text("Your business waits for approval.")
    page = dana.open("/plans/new")
    page.get_by_label("Customer’s email").fill("nadia@example.com")
    page.get_by_label("Total").fill("300")
    page.get_by_role("button", name="Create plan").click()
    expect(page).to_have_url(re.compile("/plans/drafts$"))
    expect(page.locator("main")).to_contain_text("This plan waits for approval of your business.")

    page = olga.open("/operator")
    page.get_by_role("link", name="1 business waits for approval").click()
    expect(page.locator("main")).to_contain_text("Reads like")
    page.locator("tbody a").click()
    expect(page.locator("main")).to_contain_text(f"{name}@example.com")
    olga.press("Approve")
    expect(page.locator("#flashes")).to_contain_text("is approved")
    expect(dana.open("/plans/drafts").locator("main")).not_to_contain_text("Your business waits for approval.")
    for _ in range(60):
        if dana.open("/plans").locator("main").get_by_text("nadia@example.com").count():
            break
        dana.page.wait_for_timeout(500)
    expect(dana.page.locator("main")).to_contain_text("nadia@example.com")
    assert [error for visitor in visitors for error in visitor.errors] == []
    for context in contexts:
        context.close()
