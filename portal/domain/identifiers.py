"""Identifiers of rows and accounts: ids, and emails and usernames with the keys that compare them.

Python makes the keys, not the database: its lower() knows the letters of one locale, or none.
"""

import unicodedata
from typing import Final

from email_validator import EmailNotValidError, validate_email

MAX_ID: Final = 2**63 - 1
"""The largest id that a BIGINT column holds."""
MAX_LENGTH: Final = 1000
"""Characters of a typed email or username that are looked at; longer text is no identifier."""


def email(typed: str) -> str | None:
    """An email address as it is stored; None when `typed` is no address."""
    if len(typed) > MAX_LENGTH:
        return None
    try:
        return validate_email(typed.strip(), check_deliverability=False).normalized
    except EmailNotValidError:
        return None


def username(typed: str) -> str:
    """A username as it is stored, in Unicode's form NFKC: full-width letters and ligatures become plain letters."""
    return unicodedata.normalize("NFKC", typed.strip())


def is_storable(typed: str) -> bool:
    """False for text that no stored identifier equals: unprintable (NUL, a lone surrogate), or over MAX_LENGTH."""
    return len(typed) <= MAX_LENGTH and typed.strip().isprintable()


def key(stored: str) -> str:
    """The same for two identifiers that differ in case only (caseless matching, the Unicode Standard, section 3.13)."""
    return unicodedata.normalize("NFC", stored.casefold())


def email_key(typed: str) -> str:
    """The key of an email as it was typed. Text that is no address has a key, too, which no account has."""
    return key(email(typed) or unicodedata.normalize("NFC", typed.strip()))


def username_key(typed: str) -> str:
    """The key of a username as it was typed."""
    return key(username(typed))
