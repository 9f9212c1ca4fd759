"""Compressed answers, those that never are, masked CSRF tokens, and what a first visit weighs."""

import gzip
import re

import brotli
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from portal.domain.permissions import GIVEN_TO_KEYS
from portal.services.accounts import api_keys
from portal.web_extensions import csrf
from tests.fixtures import people
from tests.web import browser_of

GZIP = {"Accept-Encoding": "gzip, deflate"}
BROTLI = {"Accept-Encoding": "gzip, deflate, br, zstd"}
FIRST_VISIT = 90_000
"""Bytes of a first visit over the wire, at most."""
FONTS = {
    "en": ("inter/inter-latin-wght-normal.woff2",),
    "ar": ("inter/inter-latin-wght-normal.woff2", "noto-sans-arabic/noto-sans-arabic-arabic-wght-normal.woff2"),
}
"""By language: the fonts of its letters, and of digits and codes."""


def plain(client: FlaskClient) -> FlaskClient:
    """A client that does not check pages, which are compressed here."""
    client.__class__ = FlaskClient
    return client


def is_compressed(response: TestResponse) -> bool:
    assert response.status_code == 200
    return response.headers.get("Content-Encoding") in ("br", "gzip")


def text_of(response: TestResponse) -> str:
    """The body of a compressed response."""
    unpack = brotli.decompress if response.headers["Content-Encoding"] == "br" else gzip.decompress
    return str(unpack(response.data), "utf-8")


def test_a_page_is_compressed_where_it_is_asked_for(app: Flask, database: str) -> None:
    client = plain(app.test_client())
    page, small = client.get("/login"), client.get("/login", headers=GZIP)
    assert not is_compressed(page) and is_compressed(small)
    assert b"<h1" in gzip.decompress(small.data) and len(small.data) < len(page.data) / 2
    assert small.headers["Content-Length"] == str(len(small.data))
    for response in (page, small):
        assert "Accept-Encoding" in response.headers["Vary"]
    brotlied = client.get("/login", headers=BROTLI)
    assert brotlied.headers["Content-Encoding"] == "br" and len(brotlied.data) < len(small.data)
    assert "<h1" in text_of(brotlied) and "Accept-Encoding" in brotlied.headers["Vary"]
    for asked, coding in (("br;q=0.5, gzip", "gzip"), ("br;q=0, gzip;q=0.1", "gzip"), ("br", "br")):
        answer = client.get("/login", headers={"Accept-Encoding": asked})
        assert answer.headers["Content-Encoding"] == coding, asked
    for coding in ("br;q=0", "gzip;q=0", "identity"):
        assert not is_compressed(client.get("/login", headers={"Accept-Encoding": coding}))
    assert is_compressed(client.get("/api/openapi.json", headers=GZIP))
    assert not is_compressed(client.get("/healthz", headers=GZIP))


@pytest.mark.usefixtures("arabic")
@pytest.mark.parametrize("language", FONTS)
@pytest.mark.parametrize("asked", [GZIP, BROTLI], ids=["gzip", "brotli"])
def test_a_first_visit_weighs_at_most_90_kilobytes(
    app: Flask, database: str, asked: dict[str, str], language: str
) -> None:
    """The public page, its style sheet, scripts and icon, and the fonts of its letters."""
    client = plain(app.test_client())
    page = client.get("/", headers=asked | {"Accept-Language": language})
    text = text_of(page)
    assert f'<html lang="{language}"' in text
    addresses = re.findall(r'<(?:script defer src|link rel="stylesheet" href)="([^"]+)"', text)
    addresses += re.findall(r'rel="icon" type="image/svg.xml" href="([^"]+)"', text)
    assert len(addresses) == 4
    folder = addresses[0].split("/")[2]
    fonts = [f"/static/{folder}/vendor/{font}" for font in FONTS[language]]
    sizes = {address: len(client.get(address, headers=asked).data) for address in (*addresses, *fonts)}
    assert len(page.data) + sum(sizes.values()) <= FIRST_VISIT, (len(page.data), sizes)


def test_no_answer_with_a_secret_is_compressed(app: Flask, database: str) -> None:
    with app.app_context():
        amal = people.amal()
        plan = people.a_plan(amal, "nadia@example.com")
        token, theirs = people.token_of(plan), people.a_plan(amal, people.omar() and "omar@example.com")
        key = api_keys.create(people.owner(amal), name="Till", given=GIVEN_TO_KEYS)
    browser, anyone = plain(browser_of(app, "amal")), plain(app.test_client())
    assert "/invitations/" in browser.get(f"/plans/{plan}").text
    for address in (f"/plans/{plan}", "/settings/api-keys"):
        for asked in (GZIP, BROTLI):
            assert not is_compressed(browser.get(address, headers=asked)), address
    assert is_compressed(browser.get(f"/plans/{theirs}", headers=GZIP))
    assert not is_compressed(anyone.get(f"/invitations/{token}", headers=GZIP))
    bearer = {"Authorization": f"Bearer {key}"}
    assert not is_compressed(anyone.get(f"/api/plans/{plan}/invitations/", headers=GZIP | bearer))
    login = {"username": "amal", "password": people.PASSWORD}
    assert not is_compressed(anyone.post("/token/", json=login, headers=GZIP))


@pytest.fixture
def protected(app: Flask, database: str, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", True)
    assert csrf
    return app.test_client()


def test_the_csrf_token_reads_otherwise_in_each_answer(protected: FlaskClient) -> None:
    def token() -> str:
        return re.findall(r'name="csrf_token" value="([^"]+)"', protected.get("/login").text)[0]

    tokens = {token() for _ in range(5)}
    assert len(tokens) == 5
    for place in range(0, 240, 8):
        assert len({token[place : place + 8] for token in tokens}) > 1
    for token_of_this_session in tokens:
        sent = protected.post("/theme", data={"theme": "dark", "csrf_token": token_of_this_session})
        assert sent.status_code == 303
    first = tokens.pop()
    for wrong in ("", "x", first[:-4], first[4:], first[:100] + "AAAA" + first[104:], "é", "\x00", "A" * 244):
        assert protected.post("/theme", data={"theme": "dark", "csrf_token": wrong}).status_code == 400, wrong
    other = protected.application.test_client()
    assert other.post("/theme", data={"theme": "dark", "csrf_token": first}).status_code == 400


def test_icons_manifest_and_robots_are_there(app: Flask, client: FlaskClient) -> None:
    page = client.get("/").text
    (manifest,) = re.findall(r'rel="manifest" href="([^"]+)"', page)
    response = client.get(manifest)
    assert response.headers["Content-Type"].startswith("application/manifest+json")
    folder = manifest.rpartition("/")[0]
    for icon in response.get_json(force=True)["icons"]:
        assert client.get(f"{folder}/{icon['src']}").status_code == 200, icon
    for address in ("/favicon.ico", "/apple-touch-icon.png"):
        icon = client.get(address, follow_redirects=True)
        assert icon.status_code == 200 and icon.headers["Content-Type"].startswith("image/"), address
    robots = client.get("/robots.txt")
    assert robots.headers["Content-Type"].startswith("text/plain") and "Disallow: /\n" in robots.text
