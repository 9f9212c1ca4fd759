"""Browser fixtures, which check the console, the policy and the responses of each browser."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.browser.visitors import Visitor
from tests.fixtures.live import Live

Visit = Callable[..., Visitor]
TIMEOUT_MS = 60_000.0
"""Time limit in milliseconds of each wait for a page. A busy machine once took more than 15 s for the API's page."""
expect.set_options(timeout=TIMEOUT_MS)
WITH, WITHOUT = "with JavaScript", "without JavaScript"
BOTH_IN_TIME = pytest.mark.parametrize(
    "scripts", [pytest.param(True, id=WITH), pytest.param(False, id=WITHOUT, marks=pytest.mark.long)]
)
"""For a story that `make test` plays with JavaScript, and `make proof-short` without."""
VISITORS = pytest.StashKey[list[Visitor]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if report.when == "call" and report.failed:
        for number, visitor in enumerate(item.stash.get(VISITORS, []), 1):
            report.sections.append((f"browser {number}", visitor.report()))
    return report


@pytest.fixture
def visit(request: pytest.FixtureRequest, browser: Browser, live: Live) -> Iterator[Visit]:
    """`visit()` opens a new signed-out browser. `visit(scripts=False)` opens one without JavaScript.

    The test fails if a browser had a violation of the policy, an error in its console, or a response of 5xx.
    """
    contexts: list[BrowserContext] = []
    visitors = request.node.stash[VISITORS] = []

    def open_browser(*, scripts: bool = True, scheme: str = "light", width: int = 1280) -> Visitor:
        context = browser.new_context(
            base_url=live.url,
            java_script_enabled=scripts,
            color_scheme=scheme,  # type: ignore[arg-type]
            viewport={"width": width, "height": 900},
            reduced_motion="reduce",
        )
        context.set_default_timeout(TIMEOUT_MS)
        if link := live.outbox_link():
            context.request.get(link)
        contexts.append(context)
        visitors.append(Visitor(context))
        return visitors[-1]

    yield open_browser
    errors = [error for visitor in visitors for error in visitor.errors]
    for context in contexts:
        context.close()
    assert not errors, "\n".join(errors)
