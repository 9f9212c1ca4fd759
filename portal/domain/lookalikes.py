"""Names that read alike: "Amal's Bakery", "AMALS BAKERY" and a spelling with Cyrillic letters have one skeleton.

The skeletons only mark a name for an operator's eyes, so they join more names than Unicode Technical Standard 39
(section 4) does: case, accents, blanks and signs don't count, and neither do 0 and o, or 1, i and l.
"""

import unicodedata
from functools import cache
from typing import Final

STAFF: Final = (
    "abuse", "accounts", "admin", "admins", "administration", "administrator", "billing", "compliance", "contact",
    "fraud", "help", "helpdesk", "hostmaster", "info", "moderator", "noreply", "official", "operator", "payments",
    "postmaster", "qist", "refunds", "root", "security", "service", "staff", "superuser", "support", "sysadmin",
    "system", "team", "webmaster",
)  # fmt: skip
"""Usernames by which readers would take an account for the installation's own."""
BESIDE_STAFF: Final = (
    "care",
    "center",
    "centre",
    "client",
    "customer",
    "customers",
    "desk",
    "my",
    "our",
    "payment",
    "the",
    "your",
)
"""Words beside those of STAFF that leave the impression: "customer-support", "theqistteam"."""
_ASCII: Final = str.maketrans({"0": "o", "1": "l", "i": "l", "|": "l", "5": "s"})
_PAIRS: Final = (("rn", "m"), ("vv", "w"))
"""Two letters that read as one."""


def skeleton(name: str) -> str:
    """The same for two names that read alike. A name without letters and digits is its own skeleton."""
    letters = "".join(_latin(letter) for letter in unicodedata.normalize("NFKC", name))
    plain = unicodedata.normalize("NFKD", letters.casefold())
    text = "".join(letter for letter in plain if letter.isalnum() or letter == "|").translate(_ASCII)
    for pair, letter in _PAIRS:
        text = text.replace(pair, letter)
    return text or unicodedata.normalize("NFKC", name).casefold().strip()


def reads_like_staff(username: str) -> bool:
    """Whether a username reads like one of STAFF, or is made of them alone, together or apart.

    So do "Аdmin" in Cyrillic, "ad-min", "Supp0rt", "qist_team", "qistsupport", "customer-support" and "admin42".
    """
    text = skeleton(username.strip("0123456789.+-_"))
    reached = {(0, False)}  # places where a word may begin, and whether one of STAFF came before
    for place in range(len(text)):
        for word, is_staff in _words().items():
            if text.startswith(word, place):
                reached |= {(place + len(word), before or is_staff) for at, before in reached if at == place}
    return (len(text), True) in reached


@cache
def _words() -> dict[str, bool]:
    """Skeletons of words, and whether they are of STAFF."""
    return {skeleton(word): word in STAFF for word in (*BESIDE_STAFF, *STAFF)}


@cache
def _latin(letter: str) -> str:
    """The Latin letter that this letter of another script looks like, or the letter itself."""
    if letter.isascii():
        return letter
    from confusable_homoglyphs import confusables  # its table has a megabyte: read when a name needs it

    for script in confusables.is_confusable(letter, greedy=True) or ():
        for homoglyph in script["homoglyphs"]:
            if homoglyph["c"].isascii() and homoglyph["c"].isalnum():
                return str(homoglyph["c"])
    return letter
