"""Identifiers of rows and people: ids, emails and usernames with the keys that compare them, and phone numbers.

Two emails are one account when their domains have the same IDNA 2008 form (RFC 5891, mapped by UTS 46) and their local
parts differ in the case of ASCII letters only. A mail server may tell apart any other two local parts (RFC 5321,
section 2.4), so a caseless comparison beyond ASCII would give one mailbox's account to another mailbox.

Python makes the keys, not the database: its lower() knows the letters of one locale, or none.
"""

import functools
import re
import string
import unicodedata
from typing import Final
from uuid import UUID

from portal.domain.typed_text import BLANKS, FILLERS

MAX_ID: Final = 2**63 - 1
"""The largest id that a BIGINT column holds."""
MAX_LENGTH: Final = 1000
"""Characters of a typed email or username that are looked at; longer text is no identifier."""

PHONE_MAX: Final = 40
"""Characters of a phone number."""

USERNAME_MAX: Final = 150
"""Code points of a username."""

_PHONE: Final = re.compile(r"[+(]?[0-9][0-9 ().-]*")
_USERNAME_SIGNS: Final = ".@+-_"
_ASCII_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def public_id(prefix: str, name: str) -> UUID | None:
    """The random number of a public id, which is a prefix and 32 hexadecimal digits; None for another text."""
    match = re.fullmatch(rf"{prefix}([0-9a-f]{{32}})", name)
    return UUID(match[1]) if match else None


@functools.lru_cache(maxsize=64)  # a request asks for the same one several times
def email(typed: str) -> str | None:
    """An email address as it is stored, with its domain in Unicode; None when `typed` is no address.

    A local part has at most 64 octets, an address 254. An address with a character that NFKC changes is none: "ſam"
    and "ﬁnn" would look like other addresses, or become them in a program that maps such letters (Unicode Technical
    Standard 39, section 3.3).
    """
    text = _typed_email(typed)
    if text is None or _has_lookalikes(text):
        return None
    from email_validator import EmailNotValidError, validate_email  # a hundredth of a web server's start

    try:
        address = validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        return None
    return address.normalized if len(address.local_part.encode()) <= 64 else None


def masked_email(stored: str) -> str:
    """The email for a reader who may not be its owner: "s***@example.com"."""
    local, _at, domain = stored.rpartition("@")
    return f"{local[:1]}***@{domain}"


def phone(typed: str) -> str | None:
    """A phone number as it is stored: 4 to 15 ASCII digits (E.164 has at most 15), and signs between them as typed.

    None when `typed` is no phone number. Decimal digits of other scripts become ASCII digits.
    """
    text = "".join(str(unicodedata.decimal(sign, sign)) for sign in " ".join(typed.split()))
    count = sum(sign in string.digits for sign in text)
    return text if len(text) <= PHONE_MAX and 4 <= count <= 15 and _PHONE.fullmatch(text) else None


def has_lookalikes(typed: str) -> bool:
    """Whether `typed` holds a letter that stands for another, such as a ligature or a full-width letter."""
    text = _typed_email(typed)
    return text is not None and _has_lookalikes(text)


def username(typed: str) -> str:
    """A username as it is stored, in Unicode's form NFKC: full-width letters and ligatures become plain letters."""
    return unicodedata.normalize("NFKC", typed.strip())


def is_username(stored: str) -> bool:
    """Whether it has only letters of any script with their marks, digits and . + - _ @, and begins with no mark.

    Joiners are refused: they show nothing, so two usernames would look the same.
    """
    if not 0 < len(stored) <= USERNAME_MAX or unicodedata.category(stored[0])[0] == "M" or FILLERS.search(stored):
        return False
    return all(letter in _USERNAME_SIGNS or unicodedata.category(letter)[0] in "LMN" for letter in stored)


def is_storable(typed: str) -> bool:
    """False for text that no stored identifier equals: unprintable (NUL, a lone surrogate), or over MAX_LENGTH."""
    return len(typed) <= MAX_LENGTH and typed.strip(BLANKS).isprintable()


def key(stored: str) -> str:
    """The same for two usernames that differ in case only (caseless matching, the Unicode Standard, section 3.13)."""
    return unicodedata.normalize("NFC", stored.casefold())


def email_key(typed: str) -> str:
    """The key of an email as it was typed. Text that is no address has a key, too, which no account has."""
    return stored_email_key(email(typed) or unicodedata.normalize("NFC", typed.strip(BLANKS)))


def stored_email_key(stored: str) -> str:
    """The key of an email as it is stored, which needs no second reading of the address."""
    return stored.translate(_ASCII_LOWER)


def email_key_prefix(typed: str) -> str:
    """The beginning of the keys of the emails that begin with `typed`."""
    text = unicodedata.normalize("NFC", typed.strip(BLANKS))
    local, at, domain = text.partition("@")
    domain = "".join(map(str.lower, domain)).replace("\u3002", ".")  # letter by letter: lower() of a word has a final ς
    return local.translate(_ASCII_LOWER) + at + domain


def username_key(typed: str) -> str:
    """The key of a username as it was typed. A username with an "@" is its account's email and has the email's key."""
    stored = username(typed)
    return email_key(stored) if "@" in stored else key(stored)


def _typed_email(typed: str) -> str | None:
    return unicodedata.normalize("NFC", typed.strip(BLANKS)) if len(typed) <= MAX_LENGTH else None


def _has_lookalikes(text: str) -> bool:
    return unicodedata.normalize("NFKC", text) != text
