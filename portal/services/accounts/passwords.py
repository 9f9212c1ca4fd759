"""Passwords: what is accepted, and argon2id hashes (parameters after OWASP's Password Storage Cheat Sheet)."""

import functools
import threading
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from flask import current_app
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from portal.errors import Busy, Fault

MIN_LENGTH: Final = 8
MAX_LENGTH: Final = 128
AT_ONCE: Final = 4
"""How many hashes one process computes at the same time: 19 MiB each, and no queue of sign-ins eats the memory."""

_COMMON: Final = frozenset(FREQUENCY_LISTS["passwords"])
_gate = threading.BoundedSemaphore(AT_ONCE)


def faults(password: str, *, username: str = "", email: str = "", field: str = "password") -> list[Fault]:
    """What is wrong with a new password: 8 to 128 characters, none of the 30,000 most common, not the own name."""
    if len(password) < MIN_LENGTH:
        return [Fault(field, "password_too_short", f"Use at least {MIN_LENGTH} characters.")]
    if len(password) > MAX_LENGTH:
        return [Fault(field, "password_too_long", f"Use at most {MAX_LENGTH} characters.")]
    if "\x00" in password:
        return [Fault(field, "password_unusable", "Use letters, digits, signs and spaces.")]
    lowered = password.lower()
    if lowered in _COMMON:
        return [Fault(field, "password_common", "This password is among the most common ones. Choose another.")]
    if lowered in {username.lower(), email.lower(), email.lower().partition("@")[0]}:
        return [Fault(field, "password_is_name", "Choose a password that is not your own name or email.")]
    return []


def hash_password(password: str) -> str:
    """An argon2id hash. Raises Busy when too many are being computed at once."""
    with _turn():
        return _hasher().hash(password)


def verify(password: str, hashed: str | None) -> bool:
    """Whether `password` has this hash. Takes the same time when there is no hash to compare with.

    Raises Busy when too many are being computed at once.
    """
    with _turn():
        if len(password) > MAX_LENGTH:
            password = ""
        try:
            return _hasher().verify(hashed or _dummy(), password) and hashed is not None
        except (Argon2Error, InvalidHashError):
            return False


def is_outdated(hashed: str) -> bool:
    """Whether the hash was made with other parameters than today's and should be made again at sign-in."""
    return _hasher().check_needs_rehash(hashed)


class _turn:
    def __enter__(self) -> None:
        if not _gate.acquire(timeout=5):
            raise Busy("Too many people are signing in at the same moment. Please try again.")

    def __exit__(self, *_: object) -> None:
        _gate.release()


def _hasher() -> PasswordHasher:
    return _make(bool(current_app.config.get("ARGON2_CHEAP")))


@functools.cache
def _make(cheap: bool) -> PasswordHasher:
    if cheap:
        return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    return PasswordHasher(time_cost=3, memory_cost=19_456, parallelism=1)


@functools.cache
def _dummy() -> str:
    return _hasher().hash("nobody has this password")
