"""The names of browsers, from what they send."""

import pytest

from portal.domain import browsers

MOZILLA = "Mozilla/5.0"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (f"{MOZILLA} (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox 128, Windows"),
        (
            f"{MOZILLA} (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
            "Chrome 126, Linux",
        ),
        (
            f"{MOZILLA} (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36 Edg/126.0",
            "Edge 126, Windows",
        ),
        (
            f"{MOZILLA} (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/17.5 Mobile/15E148 Safari/604.1",
            "Safari 17, iPhone",
        ),
        ("curl/8.5.0", "curl/8.5.0"),
        ("Shop\x00\u202e server/1", "Shop"),
        ("x" * 500, "x" * 60),
        ("", ""),
    ],
)
def test_a_browser_has_a_short_name(user_agent, name):
    assert browsers.short(user_agent) == name
