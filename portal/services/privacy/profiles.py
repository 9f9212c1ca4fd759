"""Name and phone of a person, which they keep on their account for themselves."""

import re
import unicodedata
from typing import Final

from portal.domain import typed_text
from portal.errors import Fault, Invalid, NotFound
from portal.extensions import db
from portal.models import User
from portal.services.text_faults import text_faults
from portal.services.unit_of_work import unit_of_work

PHONE: Final = re.compile(r"\+?[0-9(][0-9 ()./-]{2,37}[0-9]")
"""A phone number as people write it, with five digits or more."""
MIN_DIGITS: Final = 5


@unit_of_work
def update(user_id: int, *, full_name: str, phone: str) -> None:
    """Keep the name and the phone number, either of which may be empty. Digits of any script become ASCII digits.

    Refuses: not_found; Invalid on full_name (as text_faults) and phone (bad_phone).
    """
    faults = text_faults("full_name", full_name)
    number = _read_phone(phone)
    if number is None:
        faults.append(Fault("phone", "bad_phone"))
    if faults or number is None:
        raise Invalid(*faults)
    user = db.session.get(User, user_id, with_for_update={"key_share": True}, populate_existing=True)
    if user is None or user.deactivated_at is not None:
        raise NotFound()
    user.full_name, user.phone = typed_text.read(full_name), number


def _read_phone(typed: str) -> str | None:
    """The number as it is stored, "" for none; None for a text that is no phone number."""
    text = "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in typed.strip())
    text = " ".join(text.split())
    if not text:
        return ""
    digits = sum(char.isdigit() for char in text)
    return text if PHONE.fullmatch(text) and digits >= MIN_DIGITS else None
