"""Emails and usernames: the stored form of typed text, and the keys that ignore case."""

import sys
import unicodedata

import pytest

from portal.domain import identifiers


@pytest.mark.parametrize(
    ("email", "other"),
    [
        ("AMAL@example.com", "amal@Example.COM"),
        ("ΝΙΚΟΣ@example.com", "νικος@example.com"),
        ("ΑΣ@example.com", "ασ@example.com"),
        ("STRASSE@example.com", "straße@example.com"),
        ("ame\u0301lie@example.com", "AMÉLIE@example.com"),
        ("amal@BÜCHER.example", "amal@xn--bcher-kva.example"),
    ],
)
def test_an_email_has_the_same_key_in_every_case(email: str, other: str) -> None:
    assert identifiers.email_key(email) == identifiers.email_key(f" {other} ")


def test_different_emails_have_different_keys() -> None:
    keys = {
        identifiers.email_key(email)
        for email in ("amal@example.com", "amal@example.org", "ａmal@example.com", "amâl@example.com")
    }
    assert len(keys) == 4


def test_a_username_has_the_same_key_in_full_width_and_in_capitals() -> None:
    assert identifiers.username(" ａｍａｌ ") == "amal"
    assert identifiers.username_key("ＡＭＡＬ") == identifiers.username_key("amal") == "amal"


def test_the_cases_of_a_letter_have_one_key() -> None:
    """Upper, lower and title case of every letter of Unicode. The key of a key is that key."""
    for letter in map(chr, range(sys.maxunicode + 1)):
        if unicodedata.category(letter) not in ("Lu", "Ll", "Lt"):
            continue
        stored = unicodedata.normalize("NFC", letter)
        key = identifiers.key(stored)
        assert identifiers.key(key) == key
        if letter not in "İı":  # Turkish letters, whose case changes the dot
            assert {
                identifiers.key(stored.upper()),
                identifiers.key(stored.lower()),
                identifiers.key(stored.title()),
            } == {key}, letter


@pytest.mark.parametrize(
    "typed", ["", "amal", "a b@example.com", "amal@", "a\x00@example.com", "x" * 10**6 + "@example.com"]
)
def test_text_that_is_no_email_has_a_key_and_no_stored_form(typed: str) -> None:
    assert identifiers.email(typed) is None
    assert isinstance(identifiers.email_key(typed), str)


def test_unprintable_and_too_long_text_is_not_storable() -> None:
    assert identifiers.is_storable(" amal ")
    assert not any(identifiers.is_storable(typed) for typed in ("a\x00", "a\nb", "\ud800", "a" * 1001))
