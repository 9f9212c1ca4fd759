"""The reader's language: catalogues are .po files, chosen by Accept-Language."""

import re
from pathlib import Path
from typing import Any

import pytest
from babel.messages import Catalog
from babel.messages.pofile import write_po
from flask import Flask
from flask.testing import FlaskClient
from flask_babel import force_locale, gettext, ngettext

from portal.wording import language
from tests.fixtures import people
from tests.pages import pseudo_language, untranslated
from tests.web.acts import a_world

ARABIC_PLURALS = ("zero", "one", "two", "few", "other", "many")
"""In the order of Babel's rule for Arabic, which counts 100 before 11."""


@pytest.fixture
def translated(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The app with an Arabic catalogue of two messages."""
    catalogue = Catalog(locale="ar")
    catalogue.add("Sign in", "تسجيل الدخول")
    catalogue.add(("%(num)s plan", "%(num)s plans"), ARABIC_PLURALS)
    path = tmp_path / "ar" / "LC_MESSAGES" / "messages.po"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        write_po(file, catalogue)
    monkeypatch.setitem(app.config, language.DIRECTORY, str(tmp_path))
    return app


def test_a_catalogue_is_a_po_file(translated: Flask) -> None:
    with translated.app_context(), force_locale("ar"):
        assert gettext("Sign in") == "تسجيل الدخول"
        assert [ngettext("%(num)s plan", "%(num)s plans", number) for number in (0, 1, 2, 3, 100, 11)] == [
            *ARABIC_PLURALS
        ]
    with translated.app_context(), force_locale("en"):
        assert gettext("Sign in") == "Sign in"


def test_a_message_without_a_translation_stays_english(translated: Flask) -> None:
    with translated.app_context(), force_locale("ar"):
        assert gettext("Sign out") == "Sign out"


def test_a_template_follows_a_language_that_changes_within_a_request(translated: Flask) -> None:
    template = translated.jinja_env.from_string("{{ _('Sign in') }} {{ ngettext('%(num)s plan', '%(num)s plans', 2) }}")
    with translated.test_request_context():
        shown = [template.render()]
        with language.in_language("ar"):
            shown.append(template.render())
        shown.append(template.render())
    assert shown == ["Sign in 2 plans", "تسجيل الدخول two", "Sign in 2 plans"]


def test_a_sign_of_percent_is_one_and_markup_stays_markup(app: Flask) -> None:
    template = app.jinja_env.from_string("{{ _('5 %%') }} {{ _('<b>%(a)s</b>', a='<i>') }} {{ '<' ~ _('<b>') }}")
    with app.test_request_context():
        assert template.render() == "5 % <b>&lt;i&gt;</b> &lt;<b>"


@pytest.mark.parametrize(
    ("accepted", "tag", "direction"),
    [
        ("ar", "ar", "rtl"),
        ("ar-SA, en;q=0.5", "ar", "rtl"),
        ("en, ar;q=0.5", "en", "ltr"),
        ("fr", "en", "ltr"),
        ("ar;q=0, en", "en", "ltr"),
        ("*", "en", "ltr"),
        ("ar;q=x, \x7f", "en", "ltr"),
        ("", "en", "ltr"),
    ],
)
def test_accept_language_decides(translated: Flask, accepted: str, tag: str, direction: str) -> None:
    page = translated.test_client().get("/login", headers={"Accept-Language": accepted}).text
    start = re.search(r'<html lang="([^"]+)" dir="([^"]+)"', page)
    assert start is not None
    assert start.groups() == (tag, direction)


@pytest.mark.parametrize(("accepted", "tag"), [("pt-BR", "pt-BR"), ("PT-br, en;q=0.5", "pt-BR"), ("pt-PT", "en")])
def test_a_catalogue_of_a_region_is_for_that_region(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accepted: str, tag: str
) -> None:
    path = tmp_path / "pt_BR" / "LC_MESSAGES" / "messages.po"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        write_po(file, Catalog(locale="pt_BR"))
    monkeypatch.setitem(app.config, language.DIRECTORY, str(tmp_path))
    page = app.test_client().get("/login", headers={"Accept-Language": accepted}).text
    assert f'<html lang="{tag}" dir="ltr"' in page


def test_the_folder_lists_the_languages(translated: Flask, tmp_path: Path) -> None:
    assert language.languages(str(tmp_path)) == ("en", "ar")


def test_english_is_the_only_language_without_catalogues(app: Flask) -> None:
    page = app.test_client().get("/login", headers={"Accept-Language": "ar"}).text
    assert '<html lang="en" dir="ltr"' in page


@pytest.mark.parametrize("tag", [pseudo_language.TAG, pseudo_language.RIGHT_TO_LEFT])
def test_every_sentence_of_the_api_is_in_a_message(
    app: Flask, database: str, monkeypatch: pytest.MonkeyPatch, tag: str
) -> None:
    """A third language needs a catalogue only, here one made by a machine."""
    monkeypatch.setitem(app.config, language.DIRECTORY, str(pseudo_language.folder()))
    a_world(app)
    client = FlaskClient(app)
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = tag
    signed_in = client.post("/token/", json={"username": "amal", "password": people.PASSWORD}).get_json()
    bearer = {"Authorization": f"Bearer {signed_in['access']}"}
    answers: list[Any] = [
        client.get("/api/plans/").get_json(),
        client.get("/api/plans/9999/", headers=bearer).get_json(),
        client.get("/api/plans/?nothing=1", headers=bearer).get_json(),
        client.post("/api/plans/", headers=bearer, json={"total_amount": "-1", "customer_email": "x"}).get_json(),
        client.post("/token/", json={"username": "amal", "password": "wrong"}).get_json(),
    ]
    for problem in answers:
        assert pseudo_language.OPEN in problem["detail"]
        assert untranslated.in_problem(problem) == []
