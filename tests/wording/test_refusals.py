"""Every refusal and every fault that the source raises has a sentence, and holds none itself."""

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from babel.messages import Catalog
from babel.messages.pofile import write_po
from flask import Flask
from flask_babel import force_locale

from portal.api import json_faults, problems
from portal.domain import money
from portal.domain.money import BadAmount, Money
from portal.errors import Fault, Invalid, Refused
from portal.wording import language
from portal.wording.http_statuses import HTTP_STATUSES, http_status
from portal.wording.refusals import FAULTS, REFUSALS, fault_sentence, sentence
from portal.wording.refusals.faults import AMOUNTS, FOR_PROGRAMS
from portal.wording.refusals.sentences import in_words
from tests.pages import pseudo_language, untranslated
from tests.wording.raised import Raised, raised

pytestmark = pytest.mark.xdist_group("house")  # several tests read the source, once in their worker

VALUES = {
    "merchants": ["Amal's Bakery", "Sara's Shop"],
    "currency": "SAR",
    "day": date(2026, 3, 1),
    "digits": 2,
    "example": "1200.00",
    "expected": "str",
    "first": 2000,
    "got": "int",
    "known": 5,
    "label": "Total",
    "last": 2199,
    "least": 1,
    "limit": 5,
    "line": 3,
    "most": 60,
    "name_limit": 40,
    "names": ("page",),
    "other": "status",
    "sum": "SAR 99.00",
    "total": "SAR 100.00",
    "value": "'x'",
}


BY_STATUS = {(code, "") for code in problems.CODES.values()} | {("unreadable", "value"), ("bad_token", "header")}
"""The refusals of api/problems.HttpRefusal, whose code follows from the HTTP status."""
CODE_BY_CLASS = {
    ("account_deactivated", ""),
    ("answer_gone", ""),
    ("email_unproven", ""),
    ("idempotency_key_reused", ""),
    ("invalid", ""),
    ("merchant_closed", ""),
    ("merchant_closing", ""),
    ("merchant_deactivated", ""),
    ("own_plan", ""),
    ("outcome_unknown", ""),
    ("read_only_key", ""),
    ("second_factor_needed", ""),
    ("fresh_sign_in_needed", ""),
    ("still_running", ""),
}
"""The refusals whose code their class sets, or errors.py."""


def keys_of(error: Raised) -> set[tuple[str, str]]:
    """The keys of the sentences that this refusal or fault may need."""
    if error.codes is None:
        assert error.place.startswith("api/problems.py"), f"{error.place}: the code is no literal"
        return BY_STATUS
    abouts = error.abouts
    if abouts is None and error.codes == {"wrong_type"}:
        abouts = frozenset(json_faults.JSON_TYPES)
    elif abouts is None:
        assert error.codes <= {"bad_amount", "bad_total"}, f"{error.place}: the situation is no literal"
        abouts = frozenset(AMOUNTS)
    elif error.is_fault and abouts == {""}:
        abouts = error.fields or abouts
    table = FAULTS if error.is_fault else REFUSALS
    keys = {(code, about) for code in error.codes for about in abouts}
    return {key if key in table else (key[0], "") for key in keys}


def test_every_refusal_and_fault_has_a_sentence_and_every_sentence_is_used() -> None:
    needed = CODE_BY_CLASS.union(*(keys_of(error) for error in raised() if not error.is_fault))
    assert needed == set(REFUSALS)
    needed = set().union(*(keys_of(error) for error in raised() if error.is_fault))
    assert needed == set(FAULTS)


def test_a_situation_that_the_source_names_has_a_sentence_of_its_own() -> None:
    for error in raised():
        table = FAULTS if error.is_fault else REFUSALS
        for about in (error.abouts or frozenset()) - {""}:
            assert any((code, about) in table for code in error.codes or problems.CODES.values()), error


def test_refusals_and_faults_hold_codes_and_no_sentences() -> None:
    assert [(error.place, text) for error in raised() for text in error.texts if " " in text] == []


@pytest.mark.parametrize(
    ("table", "name"), [(REFUSALS, "refusals"), (FAULTS, "faults"), (FOR_PROGRAMS, "faults of programs"), ({}, "")]
)
def test_every_sentence_is_a_whole_one(app: Flask, table: dict[tuple[str, str], object], name: str) -> None:
    with app.app_context():
        for key, words in table.items():
            text = in_words(words, VALUES)  # type: ignore[arg-type]
            assert re.fullmatch(r"[A-Z1-9].*[.]", text), (name, key, text)
            assert "%" not in text, (name, key, text)


def test_a_program_is_not_sent_to_the_list_of_a_page(app: Flask) -> None:
    assert FOR_PROGRAMS.keys() <= FAULTS.keys()
    with app.app_context():
        for code, about in FOR_PROGRAMS:
            fault = Fault("field", code, about=about)
            page, program = fault_sentence(fault), fault_sentence(fault, for_programs=True)
            assert page.startswith("Choose ") and program.startswith("Send "), (page, program)


@pytest.mark.parametrize("table", [REFUSALS, FAULTS, FOR_PROGRAMS], ids=["refusals", "faults", "programs"])
def test_every_sentence_is_translated_as_a_whole(bracketed: Flask, table: dict[tuple[str, str], object]) -> None:
    """Also those that only the live system gives to the tests, which is in English."""
    with bracketed.app_context(), force_locale(pseudo_language.LANGUAGE):
        for key, words in table.items():
            text = in_words(words, VALUES)  # type: ignore[arg-type]
            assert untranslated.in_text(text) == "" and text[0] == pseudo_language.OPEN, (key, text)
        for status in HTTP_STATUSES:
            assert http_status(status)[0] == pseudo_language.OPEN, status


@pytest.mark.parametrize("text", ["", "x", "1.234", "9" * 16])
def test_every_bad_amount_has_a_sentence(text: str) -> None:
    for currency in ("SAR", "JPY"):
        with pytest.raises(BadAmount) as bad:
            money.parse(text, currency)
        fault = Fault("amount", "bad_amount", about=bad.value.about, **bad.value.facts)
        assert fault_sentence(fault).endswith(".")


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (
            Refused("too_much", about="payment", limit=Money(66_66, "SAR"), remaining=66_66),
            "That is more than is owed, which is SAR\u00a066.66. Nothing was charged.",
        ),
        (Refused("too_many_keys", limit=50), "You have 50 keys. Revoke one that you don't need any more."),
        (
            Refused("insufficient_funds", payment_id=1),
            "There is not enough money on this card. Nothing was charged.",
        ),
        (Invalid(Fault("reason", "too_long", limit=200)), "Use at most 200 letters, on one line."),
        (Invalid(Fault("amount", "bad_amount", about="too_precise", currency="KWD", digits=3)),
         "KWD has at most 3 digits after the point."),
        (Invalid(Fault("?page", "unknown_parameter", names=("limit", "sort"))),
         "This parameter is not known. Known here: limit, sort."),
    ],
)  # fmt: skip
def test_figures_stand_in_the_sentence(refused: Refused, words: str) -> None:
    assert sentence(refused) == words


def test_a_fault_keeps_its_sentence_under_another_name() -> None:
    fault = Fault("username", "required")
    assert fault_sentence(fault.at("?login")) == fault_sentence(fault) == "Choose a username."


@pytest.fixture
def translate(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], Flask]:
    """Give the app a French catalogue with these messages."""

    def with_catalogue(messages: dict[str, str]) -> Flask:
        catalogue = Catalog(locale="fr")
        for message, translation in messages.items():
            catalogue.add(message, translation)
        path = tmp_path / "fr" / "LC_MESSAGES" / "messages.po"
        path.parent.mkdir(parents=True)
        with path.open("wb") as file:
            write_po(file, catalogue)
        monkeypatch.setitem(app.config, language.DIRECTORY, str(tmp_path))
        language._catalogue.cache_clear()
        return app

    return with_catalogue


def test_a_refusal_is_worded_in_the_readers_language(translate: Callable[[dict[str, str]], Flask]) -> None:
    message = "That is more than is owed, which is %(limit)s. Nothing was charged."
    app = translate({message: "C'est plus que le reste, %(limit)s. Rien n'a été débité."})
    refused = Refused("too_much", about="payment", limit=Money(66_66, "SAR"))
    with app.app_context(), force_locale("fr"):
        assert sentence(refused) == "C'est plus que le reste, SAR\u00a066.66. Rien n'a été débité."
    with app.app_context():
        assert sentence(refused) == message % {"limit": "SAR\u00a066.66"}


def test_the_api_answers_in_the_readers_language(translate: Callable[[dict[str, str]], Flask]) -> None:
    app = translate(
        {
            "Unprocessable Entity": "Entité non traitable",
            "Several things have to be corrected.": "Plusieurs choses sont à corriger.",
            "This field is required.": "Ce champ est obligatoire.",
            "Send text without NUL characters.": "Envoyez un texte sans NUL.",
        }
    )
    client = app.test_client()
    body = {"username": "a\x00b"}
    french = client.post("/token/", json=body, headers={"Accept-Language": "fr"}).get_json()
    english = client.post("/token/", json=body).get_json()
    assert (french["title"], french["detail"]) == ("Entité non traitable", "Plusieurs choses sont à corriger.")
    assert {error["detail"] for error in french["errors"]} == {
        "Ce champ est obligatoire.",
        "Envoyez un texte sans NUL.",
    }
    assert (english["title"], english["detail"]) == ("Unprocessable Entity", "Several things have to be corrected.")
    for same in ("type", "status", "code"):
        assert french[same] == english[same]
    document = client.get("/api/openapi.json", headers={"Accept-Language": "fr"}).text
    assert "Entité" not in document and "Unprocessable Entity" in document


def test_every_status_of_the_api_has_a_name() -> None:
    assert set(problems.CODES) <= set(HTTP_STATUSES)
