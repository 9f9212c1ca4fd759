"""Passwords: the rules, and argon2id hashes with the parameters of OWASP's Password Storage Cheat Sheet."""

import functools
import re
import threading
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from flask import current_app

from portal.errors import Busy, Fault
from portal.gateways import breached_passwords
from portal.models import User

MIN_LENGTH: Final = 8
MAX_LENGTH: Final = 128
MIN_SCORE: Final = 3
"""zxcvbn's score of 0 to 4: 3 takes over 10^8 guesses."""
READ_CHARACTERS: Final = (16, 32, 72)
MAX_CONCURRENT: Final = 4
"""Hashes that one process computes at a time. Each takes 19 MiB, so the limit bounds the memory of many sign-ins."""
SLOT_SECONDS: Final = 5
"""Seconds that a hash waits for its turn before Busy."""

_slots = threading.BoundedSemaphore(MAX_CONCURRENT)


def faults(password: str, *, hints: Iterable[str] = (), field: str = "password") -> list[Fault]:
    """The faults of a new password: 8 to 128 characters (NFC), zxcvbn's score of at least MIN_SCORE, not breached.

    `hints` are names that must not make the password: username, email, names of businesses. zxcvbn reads the first 72
    characters. Its time grows with their number, so it reads beginnings of 16 and 32 first: a beginning that is hard to
    guess is enough. Takes some milliseconds of computing time: no transaction is open.
    """
    password = unicodedata.normalize("NFC", password)
    if len(password) < MIN_LENGTH:
        return [Fault(field, "password_too_short", limit=MIN_LENGTH)]
    if len(password) > MAX_LENGTH:
        return [Fault(field, "password_too_long", limit=MAX_LENGTH)]
    if "\x00" in password:
        return [Fault(field, "password_unusable")]
    words = _words(hints)
    if password.casefold() in words:
        return [Fault(field, "password_is_name")]
    for length in READ_CHARACTERS:
        result = _zxcvbn()(password[:length], user_inputs=words)
        if result["score"] >= MIN_SCORE:
            return [Fault(field, "password_common")] if _is_breached(password) else []
        if length >= len(password):
            break
    dictionaries = {match.get("dictionary_name") for match in result["sequence"]}
    if "user_inputs" in dictionaries:
        return [Fault(field, "password_is_name")]
    if len(result["sequence"]) == 1 and "passwords" in dictionaries:
        return [Fault(field, "password_common")]
    return [Fault(field, "password_weak")]


def _is_breached(password: str) -> bool:
    path = current_app.config["QIST"].breached_passwords
    return path is not None and breached_passwords.contains(path, password)


def hints_of(user: User) -> list[str]:
    """The names of an account for `faults`: its username, its email and its businesses."""
    names = [row.merchant.business_name for row in user.memberships]
    return [user.username or "", user.email, *names]


def hash_password(password: str) -> str:
    """An argon2id hash. Refuses: busy (too many hashes at once)."""
    with _slot():
        return _hasher().hash(unicodedata.normalize("NFC", password))


def verify(password: str, hashed: str | None) -> bool:
    """Whether `password` has this hash. Takes the same time without a hash (None).

    Refuses: busy (too many hashes at once).
    """
    with _slot():
        password = unicodedata.normalize("NFC", password[: 4 * MAX_LENGTH])
        if len(password) > MAX_LENGTH:
            password = ""
        try:
            return _hasher().verify(hashed or _dummy(), password) and hashed is not None
        except (Argon2Error, InvalidHashError):
            return False


def is_outdated(hashed: str) -> bool:
    """Whether the hash has other parameters than new ones, so that sign-in replaces it."""
    return _hasher().check_needs_rehash(hashed)


class _slot:
    def __enter__(self) -> None:
        if not _slots.acquire(timeout=SLOT_SECONDS):
            raise Busy("signing_in")

    def __exit__(self, *_: object) -> None:
        _slots.release()


def _hasher() -> PasswordHasher:
    return _make(bool(current_app.config.get("ARGON2_CHEAP")))


@functools.cache
def _zxcvbn() -> Callable[..., dict[str, Any]]:
    """Loaded on first use: its word lists take some megabytes of each process."""
    from zxcvbn import zxcvbn

    return cast(Callable[..., dict[str, Any]], zxcvbn)


def _words(hints: Iterable[str]) -> list[str]:
    """The hints and their words of three letters or more, without case."""
    whole = [unicodedata.normalize("NFC", hint).casefold() for hint in hints if hint]
    return [*whole, *(word for hint in whole for word in re.split(r"[\W_]+", hint) if len(word) >= 3)]


@functools.cache
def _make(cheap: bool) -> PasswordHasher:
    if cheap:
        return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    return PasswordHasher(time_cost=3, memory_cost=19_456, parallelism=1)


@functools.cache
def _dummy() -> str:
    return _hasher().hash("nobody has this password")
