"""A client of the API, as an integration would write it, and accounts registered through it."""

import itertools
import secrets
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from tests.fixtures.people import PASSWORD
from tests.pages import pseudo_language, untranslated

counter = itertools.count(1)


@dataclass
class Api:
    """A client of one server, with or without a token. It follows no redirects, because the API sends none.

    `language` is sent as Accept-Language. Sentences in the pseudo-language are checked and turned back into English.
    """

    url: str
    token: str | None = None
    language: str = ""
    session: requests.Session = field(default_factory=requests.Session)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token and "Authorization" not in sent:
            sent["Authorization"] = f"Bearer {self.token}"
        if self.language:
            sent.setdefault("Accept-Language", self.language)
        kind = {"data": body} if isinstance(body, bytes) else {"json": body}
        path = path.removeprefix("http://localhost")  # PUBLIC_URL of the tests, in the addresses of next pages
        response = self.session.request(
            method, self.url + path, headers=sent, timeout=20, allow_redirects=False, **kind
        )
        if sent.get("Accept-Language") == pseudo_language.TAG:
            _turn_back(response)
        return response

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> requests.Response:
        return self.call("POST", path, body, **headers)

    def as_(self, token: str | None) -> "Api":
        return Api(self.url, token, self.language)


def _turn_back(response: requests.Response) -> None:
    """Check the sentences of a response in the pseudo-language, and turn them back into English."""
    if response.headers.get("Content-Type") == "application/problem+json":
        faults = untranslated.in_problem(response.json())
        assert not faults, f"{response.request.method} {response.request.url}: {faults}"
    response._content = pseudo_language.english(response.text).encode()


@dataclass
class Person:
    """An account with its tokens."""

    id: int
    username: str
    email: str
    api: Api
    refresh: str


def a_name(start: str) -> str:
    """A unique name on a system that several tests share."""
    return f"{start}{next(counter)}{secrets.token_hex(4)}"


def register(api: Api, role: str, start: str, **more: str) -> Person:
    """Register through the API and sign in."""
    name = a_name(start)
    account = {"username": name, "email": f"{name}@example.com", "password": PASSWORD, "password2": PASSWORD}
    response = api.as_(None).post("/auth/register/", {**account, "role": role, **more})
    assert response.status_code == 201, response.text
    return sign_in(api, response.json())


def sign_in(api: Api, account: dict[str, Any]) -> Person:
    response = api.as_(None).post("/token/", {"username": account["username"], "password": PASSWORD})
    assert response.status_code == 200, response.text
    pair = response.json()
    return Person(account["id"], account["username"], account["email"], api.as_(pair["access"]), pair["refresh"])


def merchant(api: Api) -> Person:
    """Register a merchant: SAR, Riyadh."""
    return register(api, "merchant", "amal", home_currency="SAR", time_zone="Asia/Riyadh")


def customer(api: Api) -> Person:
    """Register a customer."""
    return register(api, "customer", "omar")


def create_plan(amal: Person, email: str, **more: Any) -> dict[str, Any]:
    """Create a plan: SAR 100.00 in three installments, from 31 August 2026."""
    terms = {"customer_email": email, "total_amount": "100.00", "num_installments": 3, "start_date": "2026-08-31"}
    response = amal.api.post("/api/plans/", {**terms, **more})
    assert response.status_code == 201, response.text
    plan: dict[str, Any] = response.json()
    return plan


def problem(response: requests.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of a response, after checking its common parts."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == status and document["code"] == code, document
    assert document["type"].endswith(code) and document["title"] and document["detail"]
    assert response.headers["X-Request-Id"]
    return document


def both(*addresses: str) -> Any:
    """Parametrize a test by every address, and for `make proof-short` by the same without its trailing slash, too."""
    without = [pytest.param(address.rstrip("/"), marks=pytest.mark.long) for address in addresses]
    return pytest.mark.parametrize("address", [*addresses, *without])
