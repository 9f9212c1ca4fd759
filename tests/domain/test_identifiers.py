"""Names: what is stored of what was typed, and what is the same but for its case."""

import sys
import unicodedata

import pytest

from portal.domain import identifiers


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("AMAL@example.com", "amal@Example.COM"),
        ("ΝΙΚΟΣ@example.com", "νικος@example.com"),
        ("ΑΣ@example.com", "ασ@example.com"),
        ("STRASSE@example.com", "straße@example.com"),
        ("ame\u0301lie@example.com", "AMÉLIE@example.com"),
        ("amal@BÜCHER.example", "amal@xn--bcher-kva.example"),
    ],
)
def test_one_email_whatever_its_case(one: str, other: str) -> None:
    assert identifiers.email_key(one) == identifiers.email_key(f" {other} ")


def test_different_emails_stay_different() -> None:
    keys = {
        identifiers.email_key(email)
        for email in ("amal@example.com", "amal@example.org", "ａmal@example.com", "amâl@example.com")
    }
    assert len(keys) == 4


def test_a_username_is_the_same_in_full_width_and_capitals() -> None:
    assert identifiers.username(" ａｍａｌ ") == "amal"
    assert identifiers.username_key("ＡＭＡＬ") == identifiers.username_key("amal") == "amal"


def test_no_letter_has_two_keys_for_its_cases() -> None:
    """Upper, lower and title case of every letter there is; the key of a key is that key."""
    for letter in map(chr, range(sys.maxunicode + 1)):
        if unicodedata.category(letter) not in ("Lu", "Ll", "Lt"):
            continue
        stored = unicodedata.normalize("NFC", letter)
        key = identifiers.key(stored)
        assert identifiers.key(key) == key
        if letter not in "İı":  # of Turkish: i without its dot is another letter, and with one takes it along
            assert {
                identifiers.key(stored.upper()),
                identifiers.key(stored.lower()),
                identifiers.key(stored.title()),
            } == {key}, letter


@pytest.mark.parametrize(
    "typed", ["", "amal", "a b@example.com", "amal@", "a\x00@example.com", "x" * 10**6 + "@example.com"]
)
def test_what_is_no_email(typed: str) -> None:
    assert identifiers.email(typed) is None
    assert isinstance(identifiers.email_key(typed), str)


def test_what_nobody_can_be_called() -> None:
    assert identifiers.can_be(" amal ")
    assert not any(identifiers.can_be(typed) for typed in ("a\x00", "a\nb", "\ud800", "a" * 1001))
