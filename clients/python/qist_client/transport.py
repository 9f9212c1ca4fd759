"""Requests and answers: addresses, JSON, pages, problems, and repeated requests."""

import json
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from decimal import Decimal
from http.client import HTTPException, HTTPMessage
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote, urlencode, urlsplit

T = TypeVar("T")
ATTEMPTS = 3
LONGEST_WAIT_SECONDS = 10.0


class Problem(Exception):
    """A refusal (RFC 9457). `code` is stable, `errors` are the faults of what was sent, `facts` all members."""

    def __init__(self, status: int, facts: Mapping[str, Any], request_id: str | None) -> None:
        self.status, self.facts, self.request_id = status, facts, request_id
        self.code = str(facts.get("code", ""))
        self.errors: list[dict[str, Any]] = facts.get("errors", [])
        super().__init__(f"{status} {self.code}: {facts.get('detail', '')}")


class NoAnswer(Exception):
    """No answer came. Whether the request was carried out is not known: send it again with the same key."""


class Page(list[T]):
    """The rows of a page. `next_cursor` leads to the next one; None on the last."""

    next_cursor: str | None = None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The API answers with no redirect, and the token goes to no other address."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Transport:
    """Sends requests to one installation. `token` is an API key, or the `access` token of `POST /token/`."""

    def __init__(self, base_url: str, token: str | None = None, *, timeout: float = 30.0) -> None:
        if urlsplit(base_url).scheme not in ("http", "https"):
            raise ValueError("base_url begins with https://")
        self.base_url, self.token, self.timeout = base_url.rstrip("/"), token, timeout
        self._opener = urllib.request.build_opener(_NoRedirects)

    def new_key(self) -> str:
        """A new idempotency key."""
        return secrets.token_hex(16)

    def segment(self, value: object) -> str:
        """A value as a part of a path."""
        return quote(str(value), safe="")

    def one(self, kind: type[T], method: str, path: str, **more: Any) -> T:
        """The JSON of the answer."""
        answer: T = self.send(method, path, **more)[0]
        return answer

    def page(self, kind: type[T], method: str, path: str, **more: Any) -> Page[T]:
        """The rows of the answer, with the cursor of its Link header."""
        rows, headers = self.send(method, path, **more)
        page: Page[T] = Page(rows)
        for link in headers.get("Link", "").split(","):
            address, _, relation = link.strip().partition(">")
            if 'rel="next"' in relation:
                page.next_cursor = parse_qs(urlsplit(address.lstrip("<")).query)["cursor"][0]
        return page

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> tuple[Any, HTTPMessage]:
        """The JSON and the headers of an answer. Raises Problem and NoAnswer.

        A GET, and a request with a key, is sent up to three times when no answer came, or one that says "try again".
        """
        sent = {name: value for name, value in (query or {}).items() if value is not None}
        headers = {"Accept": "application/json", "User-Agent": "qist-client-python"}
        headers |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body, default=str).encode(), "application/json"
        address = self.base_url + path + (f"?{urlencode(sent)}" if sent else "")
        last = ATTEMPTS if method == "GET" or idempotency_key else 1
        for attempt in range(1, last + 1):
            request = urllib.request.Request(address, data, headers, method=method)
            try:
                with self._opener.open(request, timeout=self.timeout) as response:
                    return _read(response.read()), response.headers
            except urllib.error.HTTPError as error:
                with error:
                    facts = _read(error.read())
                wait = float(error.headers.get("Retry-After", "1"))
                if error.code not in (429, 503) or attempt == last or wait > LONGEST_WAIT_SECONDS:
                    raise Problem(
                        error.code, facts if isinstance(facts, dict) else {}, error.headers.get("X-Request-Id")
                    ) from None
            except (OSError, HTTPException) as error:
                if attempt == last:
                    raise NoAnswer(str(error)) from error
                wait = 1.0
            time.sleep(wait)
        raise AssertionError("the loop ends with an answer")


def _read(body: bytes) -> Any:
    """The JSON of a body, its fractions as Decimal. None for an empty one, and for one that is not JSON."""
    try:
        return json.loads(body, parse_float=Decimal) if body else None
    except ValueError:
        return None
