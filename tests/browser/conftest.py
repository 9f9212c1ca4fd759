"""Browsers, and what went wrong in them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.browser.visitors import Visitor
from tests.fixtures.live import Live

Visit = Callable[..., Visitor]
PATIENCE = 15_000.0
"""Milliseconds that a page may take on a machine that has much else to do."""
expect.set_options(timeout=PATIENCE)
VISITORS = pytest.StashKey[list[Visitor]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if report.when == "call" and report.failed:
        for number, visitor in enumerate(item.stash.get(VISITORS, []), 1):
            report.sections.append((f"what browser {number} saw", visitor.story()))
    return report


@pytest.fixture
def visit(request: pytest.FixtureRequest, browser: Browser, live: Live) -> Iterator[Visit]:
    """`visit()` opens a browser of its own at nobody's account; `visit(scripts=False)` one without JavaScript.

    At the end none of them may have seen a violation of the policy, an error in its console, or an answer of 5xx.
    """
    contexts: list[BrowserContext] = []
    visitors = request.node.stash[VISITORS] = []

    def open_one(*, scripts: bool = True, scheme: str = "light", width: int = 1280) -> Visitor:
        context = browser.new_context(
            base_url=live.url,
            java_script_enabled=scripts,
            color_scheme=scheme,  # type: ignore[arg-type]
            viewport={"width": width, "height": 900},
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        visitors.append(Visitor(context))
        return visitors[-1]

    yield open_one
    troubles = [trouble for visitor in visitors for trouble in visitor.troubles]
    for context in contexts:
        context.close()
    assert not troubles, "\n".join(troubles)
