"""The API's documentation page: Authorize and Try it out work under the content security policy."""

import re

import pytest
from playwright.sync_api import expect

from tests.api import Api, merchant
from tests.browser.conftest import Visit
from tests.fixtures.live import Live

pytestmark = pytest.mark.browser

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.mark.long
def test_amal_tries_the_api_out_on_its_page(visit: Visit, live: Live) -> None:
    amal = merchant(Api(live.url))
    page = visit().page
    page.goto("/api/docs/")
    expect(page.get_by_role("heading", name=re.compile("^Qist"))).to_be_visible()
    paths = page.request.get("/api/openapi.json").json()["paths"]
    expect(page.locator(".opblock")).to_have_count(sum(len(METHODS & path.keys()) for path in paths.values()))

    page.locator(".auth-wrapper .authorize").first.click()
    dialog = page.locator(".dialog-ux")
    dialog.locator("input[type=text], input[type=password]").first.fill(amal.api.token or "")
    dialog.locator("button.authorize").first.click()
    expect(dialog.get_by_text("Authorized").first).to_be_visible()
    dialog.get_by_role("button", name="Close").first.click()

    block = page.locator("#operations-Accounts-accounts_show")
    block.locator(".opblock-summary-control").click()
    block.get_by_role("button", name="Try it out").click()
    block.get_by_role("button", name="Execute").click()
    response = block.locator(".live-responses-table")
    expect(response).to_contain_text("200")
    expect(response).to_contain_text(amal.username)

    create = page.locator("#operations-Plans-plans_create")
    create.locator(".opblock-summary-control").click()
    create.get_by_role("button", name="Try it out").click()
    expect(create.locator("textarea").first).to_have_value(re.compile("omar@example.com"))
    create.get_by_role("button", name="Execute").click()
    expect(create.locator(".live-responses-table")).to_contain_text("201")
