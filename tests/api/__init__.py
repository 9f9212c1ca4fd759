"""A client of the API, as an integration would write it, and people who are registered through it."""

import itertools
import secrets
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from tests.fixtures.people import PASSWORD

counter = itertools.count(1)


@dataclass
class Api:
    """Talks to one address, as somebody or as nobody. Never follows a redirect: no address of the API may send one."""

    url: str
    token: str | None = None
    session: requests.Session = field(default_factory=requests.Session)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token and "Authorization" not in sent:
            sent["Authorization"] = f"Bearer {self.token}"
        kind = {"data": body} if isinstance(body, bytes) else {"json": body}
        return self.session.request(method, self.url + path, headers=sent, timeout=20, allow_redirects=False, **kind)

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> requests.Response:
        return self.call("POST", path, body, **headers)

    def as_(self, token: str | None) -> "Api":
        return Api(self.url, token)


@dataclass
class Person:
    """Somebody with an account and a token."""

    id: int
    username: str
    email: str
    api: Api
    refresh: str


def a_name(start: str) -> str:
    """A name that nobody has, on a system that several tests share."""
    return f"{start}{next(counter)}{secrets.token_hex(4)}"


def register(api: Api, role: str, start: str, **more: str) -> Person:
    """Register through the API and sign in."""
    name = a_name(start)
    account = {"username": name, "email": f"{name}@example.com", "password": PASSWORD, "password2": PASSWORD}
    made = api.as_(None).post("/auth/register/", {**account, "role": role, **more})
    assert made.status_code == 201, made.text
    return sign_in(api, made.json())


def sign_in(api: Api, account: dict[str, Any]) -> Person:
    answer = api.as_(None).post("/token/", {"username": account["username"], "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    pair = answer.json()
    return Person(account["id"], account["username"], account["email"], api.as_(pair["access"]), pair["refresh"])


def merchant(api: Api) -> Person:
    """Amal: SAR, Riyadh."""
    return register(api, "merchant", "amal", home_currency="SAR", time_zone="Asia/Riyadh")


def customer(api: Api) -> Person:
    """Omar."""
    return register(api, "customer", "omar")


def plan(amal: Person, email: str, **more: Any) -> dict[str, Any]:
    """SAR 100.00 in three, from 31 August 2026."""
    terms = {"customer_email": email, "total_amount": "100.00", "num_installments": 3, "start_date": "2026-08-31"}
    made = amal.api.post("/api/plans/", {**terms, **more})
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


def problem(answer: requests.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of an answer, after looking whether it is a good one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == status and found["code"] == code, found
    assert found["type"].endswith(code) and found["title"] and found["detail"]
    assert answer.headers["X-Request-Id"]
    return found


def both(*addresses: str) -> Any:
    """Every address with and without the slash at its end."""
    shapes = [shape for address in addresses for shape in (address, address.rstrip("/"))]
    return pytest.mark.parametrize("address", shapes)
