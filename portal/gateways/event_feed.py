"""The feed of events of another installation, `GET /api/events/` with an API key, for `qist listen`.

The key goes to that one address alone: over https, or to this machine, and no redirect is followed.
"""

import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec

from portal import __version__
from portal.domain.identifiers import MAX_ID

TIMEOUT_SECONDS: Final = 20.0
PAGE: Final = 20
"""Events of a page."""
MAX_WAIT_SECONDS: Final = 300
"""The longest wait that an answer's Retry-After is taken for."""


class FeedError(Exception):
    """No events came. `code` is bad_address, bad_key, refused, bad_cursor, no_connection, busy or broken_answer.

    `is_final`: the same request fails again. `wait_seconds`: the answer's Retry-After, or 0. `detail`: its own words.
    """

    def __init__(self, code: str, *, is_final: bool = False, wait_seconds: int = 0, detail: str = "") -> None:
        super().__init__(code)
        self.code, self.is_final, self.wait_seconds, self.detail = code, is_final, wait_seconds, detail


class _Named(msgspec.Struct):
    id: str
    type: str


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """An event: its public id, its type, and its JSON as the installation wrote it, which is the body of a webhook."""

    name: str
    type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Events, oldest first, and the cursor behind them."""

    events: Sequence[FeedEvent]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Business:
    """The merchant of the key."""

    id: int
    business_name: str


class EventFeed:
    """A client for one installation and one key. `types` and `plan` filter, as they do in the API."""

    def __init__(self, address: str, key: str, *, types: str | None = None, plan: int | None = None) -> None:
        """Raises FeedError: bad_address, for another origin than https or this machine; bad_key, if it is no text."""
        self.address = origin(address)
        if not key or not all("!" <= letter <= "~" for letter in key):
            raise FeedError("bad_key", is_final=True)
        self._filters: dict[str, Any] = {"types": types, "plan": plan}
        self._client = httpx.Client(
            base_url=self.address,
            timeout=TIMEOUT_SECONDS,
            follow_redirects=False,
            verify=ssl.create_default_context(),
            trust_env=self.address.startswith("https:"),  # a proxy would read what goes to this machine in clear
            headers={
                "Authorization": f"Bearer {key}",
                "Accept": "application/json",
                "Accept-Language": "en",
                "User-Agent": f"Qist/{__version__} listen",
            },
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def business(self) -> Business:
        """The merchant that the key belongs to. Raises FeedError."""
        business: Business = _decoded(self._get("/api/merchant/", {}).content, Business)
        return business

    def end(self) -> str | None:
        """The cursor behind all events that happened so far. Raises FeedError.

        The page of a plan that does not exist is empty, and its cursor is behind the newest event.
        """
        return _cursor(self._get("/api/events/", {"plan": MAX_ID, "limit": 1}))

    def page(self, cursor: str | None) -> FeedPage:
        """The events after `cursor`; None: from the first one. Raises FeedError."""
        response = self._get("/api/events/", {**self._filters, "limit": PAGE, "cursor": cursor})
        events = []
        for body in _decoded(response.content, list[msgspec.Raw]):
            named = _decoded(bytes(body), _Named)
            events.append(FeedEvent(named.id, named.type, bytes(body)))
        return FeedPage(events, _cursor(response))

    def _get(self, path: str, query: dict[str, Any]) -> httpx.Response:
        sent = {name: value for name, value in query.items() if value is not None}
        try:
            response = self._client.get(path, params=sent)
        except (httpx.HTTPError, ValueError) as error:
            raise FeedError("no_connection", detail=str(error)) from None
        if response.status_code == httpx.codes.OK:
            return response
        detail = _detail(response)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise FeedError("bad_key", is_final=True, detail=detail)
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.status_code >= 500:
            raise FeedError("busy", wait_seconds=_wait_seconds(response), detail=detail)
        code = "bad_cursor" if "cursor" in sent and "cursor" in detail else "refused"
        raise FeedError(code, is_final=True, detail=detail or f"HTTP {response.status_code}")


def origin(address: str) -> str:
    """The origin of an installation's address. Raises FeedError: bad_address."""
    try:
        parts = urlsplit(address)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        raise FeedError("bad_address", is_final=True) from None
    host = parts.hostname or ""
    if not host or "@" in parts.netloc or parts.scheme not in ("http", "https"):
        raise FeedError("bad_address", is_final=True)
    if parts.scheme == "http" and not is_this_machine(host):
        raise FeedError("bad_address", is_final=True)
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def is_this_machine(host: str) -> bool:
    """Whether a host is `localhost` or a loopback address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _cursor(response: httpx.Response) -> str | None:
    """The cursor of the next page. Its address is not followed, so that the key goes to no other one."""
    address = response.links.get("next", {}).get("url", "")
    cursors = parse_qs(urlsplit(address).query).get("cursor")
    return cursors[0] if cursors else None


def _wait_seconds(response: httpx.Response) -> int:
    text = response.headers.get("Retry-After", "")
    return min(int(text), MAX_WAIT_SECONDS) if text.isascii() and text.isdigit() else 0


def _detail(response: httpx.Response) -> str:
    """The sentence of a problem document, on one line; empty for another answer."""
    try:
        problem = response.json()
    except ValueError:
        return ""
    detail = problem.get("detail") if isinstance(problem, dict) else None
    return " ".join(detail.split())[:300] if isinstance(detail, str) else ""


def _decoded(content: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise FeedError("broken_answer") from None
