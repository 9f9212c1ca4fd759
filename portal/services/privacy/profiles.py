"""Name, phone, language and early reminders of a person, which they keep on their account for themselves."""

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


def faults(*, full_name: str | None, phone: str | None) -> list[Fault]:
    """The faults of full_name (as text_faults) and phone (bad_phone)."""
    found = text_faults("full_name", full_name) if full_name is not None else []
    if phone is not None and _read_phone(phone) is None:
        found.append(Fault("phone", "bad_phone"))
    return found


@unit_of_work
def update(
    user_id: int,
    *,
    full_name: str | None = None,
    phone: str | None = None,
    language: str | None = None,
    early_reminders: bool | None = None,
) -> None:
    """Keep what is given; None leaves it as it is. Name and phone may be empty. Digits of any script become ASCII.

    `language` is the code of a catalogue ("ar", "pt_BR"), the language of the account's pages and mails;
    `early_reminders` is whether merchants remind this person before the due day. Refuses: not_found; Invalid, as
    `faults`.
    """
    if found := faults(full_name=full_name, phone=phone):
        raise Invalid(*found)
    user = db.session.get(User, user_id, with_for_update={"key_share": True}, populate_existing=True)
    if user is None or user.deactivated_at is not None:
        raise NotFound()
    if full_name is not None:
        user.full_name = typed_text.read(full_name)
    if phone is not None:
        user.phone = _read_phone(phone) or ""
    if language is not None:
        user.language = language
    if early_reminders is not None:
        user.early_reminders = early_reminders


def _read_phone(typed: str) -> str | None:
    """The number as it is stored, "" for none; None for a text that is no phone number."""
    text = "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in typed.strip())
    text = " ".join(text.split())
    if not text:
        return ""
    digits = sum(char.isdigit() for char in text)
    return text if PHONE.fullmatch(text) and digits >= MIN_DIGITS else None
