"""A test client that checks every HTML response, so that a test of a page is a test of its markup as well."""

import functools
import hashlib
import re
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from tests.pages import page_rules, pseudo_language
from tests.pages.html_tree import Fault
from tests.pages.names import NAMES

CHECKED = frozenset({"text/html", "application/problem+json", "application/json"})
NOT_TRANSLATED = frozenset({"/api/openapi.json", "/api/docs"})
"""Addresses of documents in English."""
MAIL_ENDPOINT = "outbox.html"
"""The view that shows a mail's HTML as it was sent."""

_TOKENS = re.compile(r'(name="(?:csrf_token|key)"[^>]* value=")[^"]+')
"""The values that differ each time a page is rendered."""
_PASSED = "pages that broke no rule"
"""The key of an application's digests of valid texts, so that each text is parsed once."""
_ANSWERS = "addresses with a route"
"""The key of an application's `answers_of`, which caches each address."""


class BrokenPage(AssertionError):
    """A page breaks rules of tests/pages/page_rules.py, or has words that can't be translated."""


class PageClient(FlaskClient):
    """Raises BrokenPage for a response that breaks a rule. Redirects and empty responses are not checked.

    The client asks for the pseudo-language, unless a test asks for another one. The test gets the response in English.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.environ_base["HTTP_ACCEPT_LANGUAGE"] = pseudo_language.LANGUAGE

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        pseudo_language.install(self.application)
        response = super().open(*args, **kwargs)
        if response.mimetype in CHECKED and response.status_code // 100 != 3 and response.text:
            words = untranslated(response)
            response.set_data(pseudo_language.english(response.text))
            if response.mimetype == "text/html":
                check(self.application, response)
            _raise(where(response), words)
        return response


def untranslated(response: TestResponse) -> list[Fault]:
    """Words of a page, fragment or problem document that stand outside messages. Other languages are not checked."""
    asked = response.request.headers.get("Accept-Language")
    if asked != pseudo_language.LANGUAGE or response.request.path in NOT_TRANSLATED:
        return []
    if response.mimetype == "text/html":
        return pseudo_language.outside(response.text, NAMES)
    if response.mimetype == "application/problem+json":
        return pseudo_language.outside_json(response.get_json(), NAMES)
    return []


def check(app: Flask, response: TestResponse) -> None:
    """Check the response as a mail, a fragment or a page, according to the request."""
    request = response.request
    headers = request.headers
    if _endpoint(app, request.path, request.method) == MAIL_ENDPOINT and response.status_code == 200:
        check_mail(where(response), response.text)
        return
    is_fragment = headers.get("HX-Request") == "true" and headers.get("HX-History-Restore-Request") != "true"
    rules = page_rules.fragment_faults if is_fragment else page_rules.page_faults
    passed = app.extensions.setdefault(_PASSED, set())
    text = _TOKENS.sub(r"\1x", response.text)
    digest = hashlib.blake2b(f"{is_fragment} {text}".encode(), digest_size=16).digest()
    if digest not in passed:
        _raise(where(response), rules(text, app.extensions.setdefault(_ANSWERS, answers_of(app))))
        passed.add(digest)


def where(response: TestResponse) -> str:
    """The request of a response, for messages: "GET /plans (200)"."""
    return f"{response.request.method} {response.request.path} ({response.status_code})"


def check_mail(where: str, source: str) -> None:
    """Check a mail's HTML. `where` names the mail in the error."""
    _raise(where, page_rules.mail_faults(source))


def answers_of(app: Flask) -> page_rules.Answers:
    """Whether the application has a route for a path and a method. A redirect of the router is no route."""

    @functools.cache
    def answers(address: str, method: str) -> bool:
        path = urlsplit(address).path
        return path.startswith("/") and not urlsplit(address).netloc and _endpoint(app, path, method) is not None

    return answers


def _raise(where: str, faults: list[Fault]) -> None:
    if faults:
        raise BrokenPage(f"{where} breaks rules of pages:\n" + "\n".join(f"  {fault}" for fault in faults))


def _endpoint(app: Flask, path: str, method: str) -> str | None:
    try:
        return str(app.url_map.bind("").match(path, method=method)[0])
    except HTTPException:
        return None
