"""Headers, cookies, static files and request ids."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient

from portal.app import create_app
from portal.config import security_headers
from portal.web.middleware import static_files
from portal.web_extensions import limiter
from tests.fixtures import people, servers
from tests.web import HTMX, browser_of

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@pytest.fixture
def amal(app: Flask, database: str) -> FlaskClient:
    with app.app_context():
        people.amal()
    return browser_of(app, "amal")


@pytest.fixture(scope="module")
def production(app: Flask) -> Iterator[Flask]:
    settings = servers.settings_for(
        servers.database_name(),
        QIST_ENV="production",
        SECRET_KEY="9f2c41d7a08be3566d1c0f7e92ab8345c6d7e8f901a2b3c4",
        PUBLIC_URL="https://pay.shop.test",
        SMTP_HOST="mail.shop.test",
    )
    application = create_app(settings)
    application.config.update(TESTING=True, ARGON2_CHEAP=True)
    limiter.enabled = False
    yield application
    limiter.init_app(app)
    limiter.enabled = False


@pytest.mark.parametrize("path", ["/", "/login", "/register", "/nowhere", "/example", "/settings", "/healthz"])
def test_every_response_has_the_security_headers(amal: FlaskClient, path: str) -> None:
    headers = amal.get(path).headers
    assert headers["Content-Security-Policy"] == POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert "Strict-Transport-Security" not in headers
    assert re.fullmatch(r"[0-9a-f]{32}", headers["X-Request-Id"])


def test_a_static_file_has_them_too_in_every_form(client: FlaskClient) -> None:
    page = client.get("/login").text
    for address in re.findall(r'"(/static/[^"]+)"', page):
        for coding in ("gzip", "identity"):
            assert client.get(address, headers={"Accept-Encoding": coding}).headers["Content-Security-Policy"] == POLICY
    assert client.get("/static/0123456789ab/css/qist.css").headers["Content-Security-Policy"] == POLICY


def test_strict_transport_of_subdomains_is_an_option(app: Flask) -> None:
    settings = replace(app.config["QIST"], env="production")
    assert security_headers(settings)["Strict-Transport-Security"] == "max-age=31536000"
    with_subdomains = security_headers(replace(settings, hsts_subdomains=True))
    assert with_subdomains["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"


def test_pages_of_a_signed_in_user_are_not_cached(app: Flask, amal: FlaskClient) -> None:
    assert amal.get("/settings").headers["Cache-Control"] == "no-store"
    assert amal.get("/").headers["Cache-Control"] == "no-store"
    assert app.test_client().get("/").headers["Cache-Control"] == "private, no-cache"


def test_an_address_with_page_and_fragment_varies_on_htmx(client: FlaskClient) -> None:
    page, fragment = client.get("/?paid=2"), client.get("/?paid=2", headers=HTMX)
    assert "HX-Request" in page.headers["Vary"]
    assert "HX-Request" in fragment.headers["Vary"]
    assert "<!doctype html>" in page.text
    assert "<!doctype html>" not in fragment.text
    restored = client.get("/?paid=2", headers={**HTMX, "HX-History-Restore-Request": "true"})
    assert "<!doctype html>" in restored.text


@pytest.mark.parametrize(
    ("header", "used"),
    [("abc-DEF-123", True), ("a" * 64, True), ("a" * 65, False), ("a b", False), ("<script>", False), ("", False)],
)
def test_a_request_id_of_the_client_is_used_when_it_is_well_formed(
    client: FlaskClient, header: str, used: bool
) -> None:
    for path in ("/healthz", "/nowhere"):
        assert (client.get(path, headers={"X-Request-Id": header}).headers["X-Request-Id"] == header) is used


@pytest.mark.parametrize("where", ["app", "production"])
def test_static_files_have_addresses_that_change_with_their_content(
    database: str, request: pytest.FixtureRequest, where: str
) -> None:
    client = request.getfixturevalue(where).test_client()
    page = client.get("/").text
    addresses = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    files = ["favicon.svg", "icons/favicon.ico", "icons/apple-touch-icon.png", "manifest.webmanifest"]
    files += ["css/qist.css", "vendor/htmx/htmx.min.js", "js/app.js"]
    assert [address.split("/", 3)[3] for address in addresses] == files
    for address in addresses:
        assert re.match(r"/static/[0-9a-f]{12}/", address)
        response = client.get(address)
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "max-age=315360000, public, immutable"
        assert "Access-Control-Allow-Origin" not in response.headers
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["X-Request-Id"]
    folder = addresses[0].removesuffix("/favicon.svg")
    fonts = re.findall(r'url\("\.\./([^"]+)"\)', client.get(f"{folder}/css/qist.css").text)
    assert len(fonts) == 3
    for font in fonts:
        assert client.get(f"{folder}/{font}").status_code == 200
    assert client.get("/static/0123456789ab/css/qist.css").status_code == 404
    assert client.get(f"{folder}/../../portal/app.py").status_code == 404
    assert client.get(f"{folder}/%2e%2e/%2e%2e/pyproject.toml").status_code == 404


@pytest.mark.parametrize("production", [False, True], ids=["on a laptop", "in production"])
def test_a_style_sheet_that_is_edited_has_another_address_on_a_laptop(
    tmp_path: Path, production: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static_files, "LOOK_AGAIN", 0.0)
    sheet = tmp_path / "page.css"
    sheet.write_text("a {}")
    app = Flask(__name__, static_folder=str(tmp_path), static_url_path="/static")
    app.test_client_class = FlaskClient  # the responses are addresses instead of pages
    app.config["QIST"] = SimpleNamespace(production=production)
    static_files.init_app(app)
    app.add_url_rule("/", "page", lambda: url_for("static", filename="page.css"))
    client = app.test_client()
    before = client.get("/").text
    assert client.get(before).text == "a {}"
    sheet.write_text("a { color: red }")
    after = client.get("/").text
    assert (after == before) is production
    if not production:
        response = client.get(after)
        assert (response.text, response.headers["Content-Length"]) == ("a { color: red }", "16")
        assert response.headers["Cache-Control"] == "max-age=315360000, public, immutable"
        assert client.get(before).status_code == 404


def test_a_page_loads_one_style_sheet_with_all_imports_in_it(app: Flask) -> None:
    client = app.test_client()
    sheets = re.findall(r'<link rel="stylesheet" href="([^"]+)"', client.get("/").text)
    assert len(sheets) == 1
    response = client.get(sheets[0])
    assert response.headers["Content-Type"] == "text/css; charset=utf-8"
    assert response.headers["Content-Length"] == str(len(response.data))
    assert "@import" not in response.text
    assert re.search(r"@layer tokens \{.*--brand:.*@layer components \{.*\.btn \{.*@media print", response.text, re.S)
    head = client.head(sheets[0])
    assert (head.data, head.headers["Content-Length"]) == (b"", response.headers["Content-Length"])
    assert client.post(sheets[0]).status_code in (404, 405)


def test_an_edited_component_changes_the_bundled_sheet_on_a_laptop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static_files, "LOOK_AGAIN", 0.0)
    (tmp_path / "css").mkdir()
    (tmp_path / "css" / "qist.css").write_text('@import "card.css" layer(components);\n')
    card = tmp_path / "css" / "card.css"
    card.write_text(".card {}\n")
    app = Flask(__name__, static_folder=str(tmp_path), static_url_path="/static")
    app.test_client_class = FlaskClient  # the responses are addresses instead of pages
    app.config["QIST"] = SimpleNamespace(production=False)
    static_files.init_app(app)
    app.add_url_rule("/", "page", lambda: url_for("static", filename="css/qist.css"))
    app.test_client_class = FlaskClient  # it answers with addresses, not with pages
    client = app.test_client()
    before = client.get("/").text
    assert client.get(before).text == "@layer components {\n.card {}\n}\n"
    card.write_text(".card { margin: 0 }\n")
    assert client.get(client.get("/").text).text == "@layer components {\n.card { margin: 0 }\n}\n"
    assert client.get(before).status_code == 404


def test_cookies_are_http_only_and_same_site(client: FlaskClient) -> None:
    cookie = client.get("/login").headers["Set-Cookie"]
    assert cookie.startswith("qist=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    response = client.post("/theme", data={"theme": "dark", "next": "/login"})
    assert response.headers["Set-Cookie"].startswith("theme=dark;")
    assert 'data-theme="dark"' in client.get("/login").text
    client.post("/theme", data={"theme": "system"})
    assert "data-theme" not in client.get("/login").text.split("<head>")[0]


@pytest.mark.parametrize("value", ["blue", "", "dark;x", '"><script>', "\x00"])
def test_an_unknown_theme_selects_the_devices_own(client: FlaskClient, value: str) -> None:
    assert client.post("/theme", data={"theme": value, "next": "/login"}).status_code == 303
    client.set_cookie("theme", "blue")
    assert "data-theme" not in client.get("/login").text.split("<head>")[0]


def test_in_production_cookies_are_host_only_and_strict_transport_is_set(
    production: Flask, database: str, app: Flask
) -> None:
    with app.app_context():
        people.amal()
        plan = people.a_plan(people.badr(), "layla@example.com")
        token = people.mailed_again(plan)
    client = production.test_client()
    outside = "https://pay.shop.test"
    page = client.get("/login", base_url=outside)
    assert page.headers["Strict-Transport-Security"] == "max-age=31536000"
    for part in ("__Host-qist=", "Secure", "HttpOnly", "Path=/", "SameSite=Lax"):
        assert part in page.headers["Set-Cookie"]
    assert "Domain" not in page.headers["Set-Cookie"]
    csrf = re.findall(r'name="csrf_token" value="([^"]+)"', page.text)[0]
    dark = client.post("/theme", data={"theme": "dark", "csrf_token": csrf}, base_url=outside)
    for part in ("__Host-theme=dark;", "Secure", "HttpOnly", "Path=/", "SameSite=Lax"):
        assert part in dark.headers["Set-Cookie"]
    signed = client.post(
        "/login", data={"login": "amal", "password": people.PASSWORD, "csrf_token": csrf}, base_url=outside
    )
    assert (signed.status_code, signed.location) == (303, "/dashboard")
    # the invitation page sends no Referer, and its form is accepted
    layla = production.test_client()
    shown = layla.get(f"/invitations/{token}", base_url=outside)
    csrf = re.findall(r'name="csrf_token" value="([^"]+)"', shown.text)[0]
    claim = {"username": "layla", "password": people.PASSWORD, "csrf_token": csrf}
    assert layla.post(f"/invitations/{token}", data=claim, base_url=outside).status_code == 303
