"""What people are called: emails and usernames as they are stored, and the keys by which they are compared.

The keys are made here, not by the database: its lower() knows the letters of one locale, or none.
"""

import unicodedata
from typing import Final

from email_validator import EmailNotValidError, validate_email

MAX_ID: Final = 2**63 - 1
"""The largest BIGINT. No row has a larger id, and PostgreSQL refuses a larger parameter."""
LONGEST: Final = 1000
"""Characters that somebody may type for a name. Nobody's is longer, and a megabyte would take long to look at."""


def email(typed: str) -> str | None:
    """An email address as it is stored, or None when it is none."""
    if len(typed) > LONGEST:
        return None
    try:
        return validate_email(typed.strip(), check_deliverability=False).normalized
    except EmailNotValidError:
        return None


def username(typed: str) -> str:
    """A username as it is stored: compatibility forms (full width, ligatures) are written plainly."""
    return unicodedata.normalize("NFKC", typed.strip())


def can_be(typed: str) -> bool:
    """False for what nobody can be called: it can't be stored (NUL, half a surrogate pair), or it has no end."""
    return len(typed) <= LONGEST and typed.strip().isprintable()


def key(stored: str) -> str:
    """What is the same for two names that differ in nothing but case (Unicode's caseless matching, chapter 3.13)."""
    return unicodedata.normalize("NFC", stored.casefold())


def email_key(typed: str) -> str:
    """The key of an email as somebody typed it. What is no address has one too, which nobody's is."""
    return key(email(typed) or unicodedata.normalize("NFC", typed.strip()))


def username_key(typed: str) -> str:
    """The key of a username as somebody typed it."""
    return key(username(typed))
