"""Browsers, and what went wrong in them."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser.visitors import Visitor
from tests.live import Live

Visit = Callable[..., Visitor]


@pytest.fixture
def visit(browser: Browser, live: Live) -> Iterator[Visit]:
    """`visit()` opens a browser of its own at nobody's account; `visit(scripts=False)` one without JavaScript.

    At the end none of them may have seen a violation of the policy, an error in its console, or an answer of 5xx.
    """
    opened: list[tuple[BrowserContext, Visitor]] = []

    def open_one(*, scripts: bool = True, scheme: str = "light", width: int = 1280) -> Visitor:
        context = browser.new_context(
            base_url=live.url,
            java_script_enabled=scripts,
            color_scheme=scheme,  # type: ignore[arg-type]
            viewport={"width": width, "height": 900},
            reduced_motion="reduce",
        )
        context.set_default_timeout(15_000)
        visitor = Visitor(context)
        opened.append((context, visitor))
        return visitor

    yield open_one
    troubles = [trouble for _, visitor in opened for trouble in visitor.troubles]
    for context, _ in opened:
        context.close()
    assert not troubles, "\n".join(troubles)
