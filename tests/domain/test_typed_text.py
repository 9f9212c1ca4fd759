"""Typed texts: what is accepted, how it is stored, and what is refused."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain import typed_text
from portal.domain.typed_text import BadText

CASES: dict[str, Any] = json.loads((Path(__file__).parents[1] / "cases" / "texts.json").read_text())
INVISIBLE = (
    "\u200f",
    "\u00ad",
    "\u200b",
    "\u200d",
    "\u0301",
    "\u034f",
    "\ufe0f",
    "\u115f",
    "\u3164",
    "\uffa0",
    "\u2800",
)


def reason(typed: str) -> str:
    with pytest.raises(BadText) as refused:
        typed_text.read(typed)
    return refused.value.reason


@pytest.mark.parametrize("typed", CASES["accept"])
def test_texts_of_any_script_are_stored_as_they_are(typed: str) -> None:
    assert typed_text.read(typed) == unicodedata.normalize("NFC", typed)


@pytest.mark.parametrize(("typed", "stored"), CASES["accept_trimmed"].items())
def test_blanks_around_a_text_are_removed(typed: str, stored: str) -> None:
    assert typed_text.read(typed) == stored


@pytest.mark.parametrize("typed", CASES["refuse"])
def test_characters_that_harm_other_text_are_refused(typed: str) -> None:
    assert reason(typed) in ("bad_text", "invisible_text")


def test_every_refused_character_is_refused_at_the_ends_and_inside() -> None:
    refused = [*range(0x09), *range(0x0A, 0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
    for code in (*refused, 0xD800, 0xDFFF):
        assert {reason(text) for text in (f"{chr(code)}a", f"a{chr(code)}b", f"a{chr(code)}")} == {"bad_text"}
    for code in (0x09, 0x20, 0xA0, 0x2027, 0x202F, 0x2065, 0x206A, 0x200E, 0x200F, 0x061C, 0x0378, 0xE000, 0xFFFF):
        assert typed_text.read(f"a{chr(code)}b")


@pytest.mark.parametrize("typed", INVISIBLE, ids=ascii)
def test_a_text_shows_something(typed: str) -> None:
    assert reason(typed) == "invisible_text"
    assert reason(f" {typed} {typed}") == "invisible_text"
    assert typed_text.read(f"a{typed}")


def test_a_text_of_blanks_only_is_empty() -> None:
    assert typed_text.read("") == typed_text.read(" \t\u00a0\u3000\ufeff") == ""


def test_the_length_is_counted_in_code_points_after_composing_and_trimming() -> None:
    (too_long,) = CASES["refuse_too_long"]
    assert reason(too_long) == "too_long"
    assert typed_text.read(f" {too_long[1:]} ") == too_long[1:]
    assert typed_text.read("e\u0301" * 200) == "é" * 200
    assert typed_text.read("\U0001f600" * 200)
    assert reason("\U0001f600" * 201) == "too_long"


@given(st.text())
def test_a_stored_text_is_read_as_itself(typed: str) -> None:
    try:
        stored = typed_text.read(typed)
    except BadText:
        return
    assert typed_text.read(stored) == stored
    assert stored == unicodedata.normalize("NFC", stored)


@pytest.mark.parametrize("typed", ["\ue000", "\u0378", "\U000f0000"], ids=ascii)
def test_private_and_unassigned_letters_count_as_visible(typed: str) -> None:
    assert typed_text.read(typed) == typed
