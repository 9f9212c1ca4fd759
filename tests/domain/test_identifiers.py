"""Emails and usernames: the stored form of typed text, and the keys that compare them."""

import json
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain import identifiers

CASES: dict[str, Any] = json.loads((Path(__file__).parents[1] / "cases" / "emails.json").read_text())
SAME = [
    *CASES["same"],
    ("AMAL@example.com", "amal@Example.COM"),
    ("ame\u0301lie@example.com", "am\u00e9lie@example.com"),
    ("amal@BU\u0308CHER.example", "amal@xn--bcher-kva.example"),
    ("amal@XN--BCHER-KVA.example", "amal@xn--bcher-kva.example"),
    ("amal@\u041f\u0420\u0418\u041c\u0415\u0420.\u0420\u0424", "amal@xn--e1afmkfd.xn--p1ai"),
    ("amal@ΣΑΣ.example", "amal@σασ.example"),
    ("amal@faß.example", "amal@xn--fa-hia.example"),
    ("\ufeffamal@example.com\u00a0", "amal@example.com"),
    ("\u212aamal@example.com", "kamal@example.com"),  # the Kelvin sign, which NFC makes a K
]
DIFFERENT = [
    *CASES["different"],
    ("ΝΙΚΟΣ@example.com", "νικος@example.com"),
    ("ΑΣ@example.com", "ας@example.com"),
    ("AMÉLIE@example.com", "amélie@example.com"),
    ("amâl@example.com", "amal@example.com"),
    ("kıt@example.com", "kit@example.com"),
    ("İstanbul@example.com", "istanbul@example.com"),
    ("İstanbul@example.com", "i\u0307stanbul@example.com"),
    ("amal@σας.example", "amal@σασ.example"),
    ("amal@раypal.example", "amal@paypal.example"),  # Cyrillic letters
    ("amal@example.com", "amal@example.org"),
]
REFUSED = [
    *CASES["refuse"],
    *("", "amal", "a b@example.com", "amal@", "a\x00@example.com", "x" * 10**6 + "@example.com", "\ud800@example.com"),
    *("ａmal@example.com", "amal@ｅxample.com", "amal@example．com", "amal@ﬁnn.example", "amal＠example.com"),
    *("ﬃ@example.com", "①@example.com", "a\u2024b@example.com", "amal@b\u2024com", "ﷺ@example.com", "²@example.com"),
    *(
        "a\u200db@example.com",
        "a\u00adb@example.com",
        "amal@exa\u00admple.com",
        "amal@a\u200cb.com",
        "a\u202eb@example.com",
    ),
    *("amal@example.com.", "amal@.example.com", "amal@-a.com", "amal@a_b.com", "a..b@example.com", ".a@example.com"),
    *("\u0301amal@example.com", "amal@\u0301example.com", "amal@☃.com", "amal@1.אב.com", "amal@א1a.com"),
    *("amal@xn--example-.com", "amal@xn--a.com", "amal@xn--BCHER-4YA-.com", "amal@xn---bbk.com", "amal@ab--cd.com"),
    *("a" * 65 + "@example.com", "é" * 33 + "@example.com", "amal@" + "b" * 64 + ".com"),
    *("amal@" + ".".join(["b" * 60] * 5), "amal@" + "ü" * 60 + ".com", "a" * 64 + "@" + ".".join(["b" * 60] * 4)),
    *("Amal <amal@example.com>", "a@b.com, c@d.com", '"amal"@example.com', "amal@localhost", "amal@127.0.0.1"),
]


@pytest.mark.parametrize(("email", "other"), SAME)
def test_spellings_of_one_email_have_one_key(email: str, other: str) -> None:
    assert identifiers.email(email) and identifiers.email(other)
    assert identifiers.email_key(email) == identifiers.email_key(f" {other} ")


@pytest.mark.parametrize(("email", "other"), DIFFERENT)
def test_different_emails_have_different_keys(email: str, other: str) -> None:
    assert identifiers.email(email)
    assert identifiers.email_key(email) != identifiers.email_key(other)


@pytest.mark.parametrize("email", CASES["accept"] + ["a" * 64 + "@example.com", "é" * 32 + "@example.com"])
def test_an_email_of_any_script_is_accepted(email: str) -> None:
    stored = identifiers.email(email)
    assert stored
    assert identifiers.email(stored) == stored


@given(st.text("aBßſıİΣσς@.-xn\u0301\u200dﬁ。éＡüÜ1", max_size=20), st.text("aBßſıΣςé.-。nxüÜ", max_size=12))
def test_the_key_of_a_key_is_that_key_and_equals_the_stored_emails_key(local: str, domain: str) -> None:
    typed = f"{local}@{domain}.example"
    key = identifiers.email_key(typed)
    assert identifiers.email_key(key) == key
    if stored := identifiers.email(typed):
        assert identifiers.email_key(stored) == key
        assert stored.isascii() or not stored.rpartition("@")[2].startswith("xn--")


def test_the_beginning_of_an_email_begins_its_key() -> None:
    for typed, email in (
        ("AM", "amal@example.com"),
        ("amal@Ex", "amal@example.com"),
        ("amal@BÜ", "amal@xn--bcher-kva.example"),
        ("amal@ΣΑΣ", "amal@ΣΑΣ.example"),
        ("amal@corp。ex", "amal@corp.example.com"),
    ):
        assert identifiers.email_key(email).startswith(identifiers.email_key_prefix(typed))
    assert not identifiers.email_key("Σ@example.com").startswith(identifiers.email_key_prefix("σ"))


def test_a_username_with_an_at_sign_has_the_emails_key() -> None:
    assert identifiers.username_key("ΝΙΚΟΣ@Example.com") == identifiers.email_key("ΝΙΚΟΣ@example.com")
    assert identifiers.username_key("ΝΙΚΟΣ") == identifiers.username_key("νικος")


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


@pytest.mark.parametrize("typed", REFUSED, ids=lambda typed: ascii(typed)[:40])
def test_text_that_is_no_email_has_a_key_and_no_stored_form(typed: str) -> None:
    assert identifiers.email(typed) is None
    assert identifiers.email(identifiers.email_key(typed)) is None
    assert isinstance(identifiers.email_key(typed), str)


def test_unprintable_and_too_long_text_is_not_storable() -> None:
    assert identifiers.is_storable(" amal ")
    assert not any(identifiers.is_storable(typed) for typed in ("a\x00", "a\nb", "\ud800", "a" * 1001))
