"""The rules of passwords: length, NFC, and how hard they are to guess."""

import dataclasses
import hashlib
import time
from pathlib import Path

import pytest
from flask import Flask

from portal.services.accounts import passwords

pytestmark = pytest.mark.usefixtures("context")

HINTS = ("amal", "amal@bakery.example", "Amal's Bakery")
LEET = "4@8({[<369&!1|70$5+7%2"


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("seven77", "password_too_short"),
        ("x" * 129, "password_too_long"),
        ("seven\x00boats", "password_unusable"),
        ("password", "password_common"),
        ("12345678", "password_common"),
        ("Password123!", "password_weak"),
        ("aaaaaaaa", "password_weak"),
        ("aaaaaaaa" * 9, "password_weak"),
        ("abcdefghijkl", "password_weak"),
        ("qwertyuiop", "password_common"),
        ("24.12.1990", "password_weak"),
        ("amal@bakery.example", "password_is_name"),
        ("Amal's Bakery", "password_is_name"),
        ("bakery12", "password_is_name"),
    ],
)
def test_a_password_that_is_easy_to_guess_is_refused(password: str, code: str) -> None:
    assert [fault.code for fault in passwords.faults(password, hints=HINTS)] == [code]


@pytest.mark.parametrize("password", ["seven green boats", "أربعة قوارب خضراء", "k7#Vq9!xLm", "correct horse battery"])
def test_a_password_that_is_hard_to_guess_is_taken(password: str) -> None:
    assert passwords.faults(password, hints=HINTS) == []


def test_a_name_of_the_account_makes_a_password_weak() -> None:
    assert passwords.faults("zubaydah77") == []
    assert [fault.code for fault in passwords.faults("zubaydah77", hints=["Zubaydah"])] == ["password_is_name"]


def test_composed_and_decomposed_letters_are_one_password() -> None:
    hashed = passwords.hash_password("cafe\u0301 au lait vert")
    assert passwords.verify("caf\u00e9 au lait vert", hashed)
    assert not passwords.verify("cafe au lait vert", hashed)
    assert passwords.faults("e\u0301" * 7)[0].code == "password_too_short"
    assert passwords.verify("e\u0301" * 128, passwords.hash_password("\u00e9" * 128))


@pytest.mark.parametrize("password", [LEET * 6, "12345678" + LEET * 5, "password" + LEET * 5, "a1" * 64])
def test_no_password_takes_long_to_check(password: str) -> None:
    passwords.faults("load the lists first")
    began = time.process_time()
    passwords.faults(password[:128], hints=HINTS)
    assert time.process_time() - began < 2


def test_a_breached_password_is_refused(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    breached = "caf\u00e9 au lait vert"
    path = tmp_path / "digests"
    path.write_text(f"{hashlib.sha1(breached.encode(), usedforsecurity=False).hexdigest().upper()}:3\n")
    for password in (breached, "cafe\u0301 au lait vert"):
        assert passwords.faults(password) == []
    monkeypatch.setitem(app.config, "QIST", dataclasses.replace(app.config["QIST"], breached_passwords=path))
    for password in (breached, "cafe\u0301 au lait vert"):
        assert [fault.code for fault in passwords.faults(password)] == ["password_common"]
    assert passwords.faults("seven green boats") == []
