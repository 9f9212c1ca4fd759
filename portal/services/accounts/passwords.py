"""Passwords: the rules, and argon2id hashes with the parameters of OWASP's Password Storage Cheat Sheet."""

import functools
import threading
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from flask import current_app

from portal.errors import Busy, Fault

MIN_LENGTH: Final = 8
MAX_LENGTH: Final = 128
MAX_CONCURRENT: Final = 4
"""Hashes that one process computes at a time. Each takes 19 MiB, so the limit bounds the memory of many sign-ins."""
SLOT_SECONDS: Final = 5
"""Seconds that a hash waits for its turn before Busy."""

_slots = threading.BoundedSemaphore(MAX_CONCURRENT)


def faults(password: str, *, username: str = "", email: str = "", field: str = "password") -> list[Fault]:
    """The faults of a new password: 8 to 128 characters, none of the 30,000 most common, not the account's name."""
    if len(password) < MIN_LENGTH:
        return [Fault(field, "password_too_short", limit=MIN_LENGTH)]
    if len(password) > MAX_LENGTH:
        return [Fault(field, "password_too_long", limit=MAX_LENGTH)]
    if "\x00" in password:
        return [Fault(field, "password_unusable")]
    lowered = password.lower()
    if lowered in _common():
        return [Fault(field, "password_common")]
    if lowered in {username.lower(), email.lower(), email.lower().partition("@")[0]}:
        return [Fault(field, "password_is_name")]
    return []


def hash_password(password: str) -> str:
    """An argon2id hash. Refuses: busy (too many hashes at once)."""
    with _slot():
        return _hasher().hash(password)


def verify(password: str, hashed: str | None) -> bool:
    """Whether `password` has this hash. Takes the same time without a hash (None).

    Refuses: busy (too many hashes at once).
    """
    with _slot():
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
def _common() -> frozenset[str]:
    """The most common passwords, in lower case. Loaded on first use: the lists take some megabytes of each process."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])


@functools.cache
def _make(cheap: bool) -> PasswordHasher:
    if cheap:
        return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    return PasswordHasher(time_cost=3, memory_cost=19_456, parallelism=1)


@functools.cache
def _dummy() -> str:
    return _hasher().hash("nobody has this password")
