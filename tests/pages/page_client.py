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

from tests.pages import page_rules, pseudo_language, untranslated
from tests.pages.html_tree import Fault, Tree

PROBLEM = "application/problem+json"
WORDED = frozenset({"text/html", "application/json", PROBLEM})
"""Types of responses with words for people."""
MAIL_ENDPOINT = "outbox.html"
"""The view that shows a mail's HTML as it was sent."""

_TOKENS = re.compile(r'(name="(?:csrf_token|key)"[^>]* value=")[^"]+')
"""The values that differ each time a page is rendered."""
_PASSED = "pages that broke no rule"
"""The key of an application's digests of valid texts, so that each text is parsed once."""
_ANSWERS = "addresses with a route"
"""The key of an application's `answers_of`, which caches each address."""


class BrokenPage(AssertionError):
    """A page breaks rules of tests/pages/page_rules.py, or has words that no catalogue translates."""


class PageClient(FlaskClient):
    """Raises BrokenPage for a response that breaks a rule. Redirects and empty responses are not checked.

    The client asks for the pseudo-language, unless a test asks for another one. The test sees the response in English.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.environ_base["HTTP_ACCEPT_LANGUAGE"] = pseudo_language.TAG

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        pseudo_language.install(self.application)
        response = super().open(*args, **kwargs)
        if response.history:  # this method opened the target of the redirect, too
            return response
        if response.headers.get("Content-Disposition", "").startswith("attachment"):  # a file may be streamed
            return response
        if response.mimetype in WORDED and response.status_code // 100 != 3 and response.data:
            in_pseudo = _is_in_pseudo(self.application, response)
            check(self.application, response, in_pseudo=in_pseudo)
            if in_pseudo:
                response.set_data(pseudo_language.english(response.get_data(as_text=True)))
        return response


def check(app: Flask, response: TestResponse, *, in_pseudo: bool) -> None:
    """Check the response as a mail, a fragment or a page, according to the request, or as a problem document.

    `in_pseudo`: check its words, too.
    """
    request = response.request
    where = f"{request.method} {request.path} ({response.status_code})"
    if response.mimetype == PROBLEM and in_pseudo:
        _raise(where, untranslated.in_problem(response.get_json()))
    if response.mimetype != "text/html":
        return
    if _endpoint(app, request.path, request.method) == MAIL_ENDPOINT and response.status_code == 200:
        check_mail(where, response.get_data(as_text=True))
        return
    headers = request.headers
    is_fragment = headers.get("HX-Request") == "true" and headers.get("HX-History-Restore-Request") != "true"
    rules = page_rules.fragment_faults if is_fragment else page_rules.page_faults
    passed = app.extensions.setdefault(_PASSED, set())
    text = _TOKENS.sub(r"\1x", response.get_data(as_text=True))
    digest = hashlib.blake2b(f"{is_fragment} {text}".encode(), digest_size=16).digest()
    if digest not in passed:
        tree = Tree(text)
        faults = rules(tree, app.extensions.setdefault(_ANSWERS, answers_of(app)))
        _raise(where, faults + (untranslated.in_page(tree) if in_pseudo else []))
        passed.add(digest)


def check_mail(where: str, source: str) -> None:
    """Check a mail's HTML. `where` names the mail in the error."""
    _raise(where, page_rules.mail_faults(Tree(source)))


def _is_in_pseudo(app: Flask, response: TestResponse) -> bool:
    asked = response.request.headers.get("Accept-Language")
    return asked == pseudo_language.TAG and pseudo_language.is_installed(app)


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
