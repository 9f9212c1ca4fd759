"""The switch of the language on every page, its cookie, and the language of an account."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.app import create_app
from portal.extensions import db
from portal.models import User
from portal.reports.exports import personal_data
from portal.services.accounts import accounts, password_resets
from portal.services.mail import delivery
from portal.services.privacy import erasures
from portal.web_extensions import limiter
from portal.wording import language
from tests.fixtures import mails, people, servers
from tests.web import sign_in

CATALOGUES = Path(__file__).parents[3] / "translations"
ENGLISH, ARABIC = ("en", "ltr"), ("ar", "rtl")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the product's catalogues: instead of the product's own folder a client gets the pseudo-language."""
    copy = tmp_path_factory.mktemp("catalogues")
    shutil.copytree(CATALOGUES / "ar", copy / "ar")
    return copy


@pytest.fixture
def arabic(app: Flask, database: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The app in English and Arabic."""
    monkeypatch.setitem(app.config, language.DIRECTORY, str(folder))
    return app


@pytest.fixture
def reader(arabic: Flask) -> FlaskClient:
    """A browser that asks for English."""
    return browser(arabic)


@pytest.fixture
def omar(arabic: Flask) -> int:
    """The id of a customer without a language."""
    with arabic.app_context():
        return people.omar()


def browser(app: Flask) -> FlaskClient:
    client = app.test_client()
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
    return client


def shown(client: FlaskClient, path: str, **headers: str) -> tuple[str, str]:
    """Language and direction of a page."""
    start = re.search(r'<html lang="([^"]+)" dir="([^"]+)"', client.get(path, headers=headers or None).text)
    assert start is not None
    return start[1], start[2]


def choose(client: FlaskClient, code: str, back: str = "/login") -> None:
    response = client.post("/language", data={"language": code, "next": back})
    assert (response.status_code, response.location) == (303, back)


def of_account(app: Flask, name: str) -> str | None:
    with app.app_context():
        return db.session.scalar(db.select(User.language).where(User.has_username(name)))


@pytest.mark.parametrize("path", ["/", "/login", "/register", "/nothing-here"])
def test_every_page_offers_the_other_language_without_an_account(reader: FlaskClient, path: str) -> None:
    page = reader.get(path).text
    assert re.search(r'name="language" value="ar" lang="ar"\s+dir="rtl" translate="no">العربية</button>', page)
    assert reader.post("/language", data={"language": "ar", "next": path}).status_code == 303
    assert shown(reader, path) == ARABIC
    assert re.search(r'name="language" value="en" lang="en"\s+dir="ltr" translate="no">English<', reader.get(path).text)


def test_the_cookie_outweighs_accept_language(reader: FlaskClient) -> None:
    assert shown(reader, "/login", **{"Accept-Language": "ar"}) == ARABIC
    choose(reader, "en")
    assert shown(reader, "/login", **{"Accept-Language": "ar"}) == ENGLISH


def test_the_account_outweighs_the_cookie_and_keeps_the_choice(reader: FlaskClient, omar: int) -> None:
    sign_in(reader, "omar")
    assert of_account(reader.application, "omar") is None
    choose(reader, "ar", "/home")
    assert of_account(reader.application, "omar") == "ar"
    other = browser(reader.application)
    other.set_cookie("language", "en")
    assert shown(other, "/login") == ENGLISH
    sign_in(other, "omar")
    assert shown(other, "/home") == ARABIC


def test_a_choice_before_the_sign_in_is_kept_on_an_account_without_one(reader: FlaskClient, omar: int) -> None:
    choose(reader, "ar")
    sign_in(reader, "omar")
    assert of_account(reader.application, "omar") == "ar"


@pytest.mark.parametrize("code", ["fr", "", "../en", "\x00", "a" * 300])
def test_a_language_without_a_catalogue_changes_nothing(reader: FlaskClient, omar: int, code: str) -> None:
    sign_in(reader, "omar")
    response = reader.post("/language", data={"language": code, "next": "//evil.example"})
    assert (response.status_code, response.location) == (303, "/")
    assert of_account(reader.application, "omar") is None
    reader.set_cookie("language", "fr")
    assert shown(reader, "/home") == ENGLISH


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


@pytest.mark.usefixtures("database")
def test_in_production_the_cookie_is_host_only(
    production: Flask, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(production.config, language.DIRECTORY, str(folder))
    client = production.test_client()
    outside = "https://pay.shop.test"
    token = re.findall(r'name="csrf_token" value="([^"]+)"', client.get("/login", base_url=outside).text)[0]
    refused = client.post("/language", data={"language": "ar"}, base_url=outside)
    assert refused.status_code == 400
    chosen = client.post("/language", data={"language": "ar", "csrf_token": token}, base_url=outside)
    for part in ("__Host-language=ar;", "Secure", "HttpOnly", "Path=/", "SameSite=Lax"):
        assert part in chosen.headers["Set-Cookie"]


def test_the_api_follows_accept_language_alone(reader: FlaskClient, omar: int) -> None:
    with reader.application.app_context():
        accounts.set_language(omar, "ar")
    reader.set_cookie("language", "ar")
    wrong = {"username": "omar", "password": "wrong"}
    english = reader.post("/token/", json=wrong, headers={"Accept-Language": "en"}).get_json()
    arabic = reader.post("/token/", json=wrong, headers={"Accept-Language": "ar"}).get_json()
    assert english["detail"] == "The name or the password is not right."
    assert arabic["detail"] == "الاسم أو كلمة المرور غير صحيحة."


def test_a_registration_keeps_the_language_of_its_page(reader: FlaskClient) -> None:
    reader.environ_base["HTTP_ACCEPT_LANGUAGE"] = "ar"
    form = {"role": "customer", "username": "huda", "email": "huda@example.com", "password": people.PASSWORD}
    assert reader.post("/register", data=form).status_code == 303
    assert of_account(reader.application, "huda") == "ar"


@pytest.mark.usefixtures("context")
def test_mails_are_in_the_language_of_the_account(arabic: Flask) -> None:
    omar, sara = people.omar(), people.sara()
    accounts.set_language(omar, "ar")
    for name in ("omar", "sara"):
        password_resets.ask(name)
    delivery.drain()
    to_omar, to_sara = (next(mail for mail in mails.outbox() if mail.to_user_id == user_id) for user_id in (omar, sara))
    assert to_omar.subject == "اختيار كلمة مرور جديدة"
    assert "مرحبًا \u2068omar\u2069،" in to_omar.body
    assert '<html lang="ar" dir="rtl"' in to_omar.html
    assert to_sara.subject == "Choose a new password"
    assert '<html lang="en" dir="ltr"' in to_sara.html


@pytest.mark.usefixtures("context")
def test_a_mail_to_a_language_that_was_removed_is_in_english(arabic: Flask) -> None:
    accounts.set_language(people.omar(), "pt_BR")
    password_resets.ask("omar")
    delivery.drain()
    assert [mail.subject for mail in mails.outbox()] == ["Choose a new password"]


@pytest.mark.usefixtures("context", "arabic")
def test_the_language_is_in_the_persons_data_and_goes_with_it() -> None:
    omar = people.omar()
    accounts.set_language(omar, "ar")
    assert '"language": "ar"' in re.sub(r"\s+", " ", "".join(personal_data.stream(omar)))
    erasures.erase(omar, password=people.PASSWORD)
    db.session.rollback()
    assert db.session.scalar(db.select(User.language).where(User.id == omar)) is None
