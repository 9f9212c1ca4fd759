"""The letterhead of a business: what its receipts and statements say beside its name."""

from dataclasses import dataclass
from typing import Final

from portal.domain import clock, identifiers, typed_text
from portal.domain.permissions import Actor
from portal.errors import Fault, Invalid
from portal.extensions import db
from portal.models import Letterhead
from portal.services.accounts import merchant_settings
from portal.services.accounts.merchant_settings import Settings
from portal.services.books import logos
from portal.services.books.logos import Logo
from portal.services.text_faults import text_faults
from portal.services.unit_of_work import unit_of_work

ADDRESS_MAX: Final = 300
"""Code points of an address with its line ends."""
ADDRESS_LINES: Final = 6
TAX_NUMBER_MAX: Final = 40


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of a letterhead as typed. None leaves a text as it is, "" removes it. The address may have lines."""

    address: str | None = None
    tax_number: str | None = None
    email: str | None = None
    phone: str | None = None


def change(actor: Actor, words: Words, *, file: bytes | None = None, removes_logo: bool = False) -> None:
    """Change the letterhead. `file` becomes its logo; `removes_logo` removes the logo unless there is a file.

    Refuses: forbidden; not_found; Invalid, with all faults at once, on address (bad_text, invisible_text, too_long,
    too_many_lines), tax_number, email (bad_email), phone (bad_phone) and logo (as `logos.read`); busy.
    """
    faults, logo = word_faults(words), None
    if file is not None:
        try:
            logo = logos.read(file)
        except Invalid as invalid:
            faults += invalid.faults
    if faults:
        raise Invalid(*faults)
    _change(actor, words, logo, removes_logo)


@unit_of_work
def change_merchant(actor: Actor, settings: Settings, words: Words) -> None:
    """Change the settings of a business and the texts of its letterhead, together.

    Refuses: as `accounts.update_merchant` and `change`.
    """
    merchant = merchant_settings.lock(actor)
    merchant_settings.apply(merchant, settings, actor, others=tuple(word_faults(words)))
    _write(merchant.id, words)


def word_faults(words: Words) -> list[Fault]:
    """The faults of the texts of a letterhead."""
    lines = _lines(words.address or "")
    faults = [fault for line in lines for fault in text_faults("address", line, limit=ADDRESS_MAX)][:1]
    if not faults and len("\n".join(lines)) > ADDRESS_MAX:
        faults = [Fault("address", "too_long", about="lines", limit=ADDRESS_MAX)]
    if not faults and len(lines) > ADDRESS_LINES:
        faults = [Fault("address", "too_many_lines", limit=ADDRESS_LINES)]
    faults += text_faults("tax_number", words.tax_number or "", limit=TAX_NUMBER_MAX)
    if (words.email or "").strip() and identifiers.email((words.email or "").strip()) is None:
        faults.append(Fault("email", "bad_email"))
    if (words.phone or "").strip() and identifiers.phone(words.phone or "") is None:
        faults.append(Fault("phone", "bad_phone"))
    return faults


@unit_of_work
def _change(actor: Actor, words: Words, logo: Logo | None, removes_logo: bool) -> None:
    letterhead = _write(merchant_settings.lock(actor).id, words)
    if logo is not None:
        letterhead.logo, letterhead.logo_type, letterhead.logo_version = logo.data, logo.type, logo.version
        letterhead.logo_width, letterhead.logo_height = logo.width, logo.height
    elif removes_logo:
        letterhead.logo = letterhead.logo_type = letterhead.logo_version = None
        letterhead.logo_width = letterhead.logo_height = None


def _write(merchant_id: int, words: Words) -> Letterhead:
    letterhead = db.session.get(Letterhead, merchant_id)
    if letterhead is None:
        letterhead = Letterhead(merchant_id=merchant_id)
        db.session.add(letterhead)
    if words.address is not None:
        letterhead.address = "\n".join(typed_text.read(line, ADDRESS_MAX) for line in _lines(words.address))
    if words.tax_number is not None:
        letterhead.tax_number = typed_text.read(words.tax_number, TAX_NUMBER_MAX)
    if words.email is not None:
        letterhead.email = identifiers.email(words.email.strip()) or ""
    if words.phone is not None:
        letterhead.phone = identifiers.phone(words.phone) or ""
    letterhead.updated_at = clock.now()
    return letterhead


def _lines(typed: str) -> list[str]:
    """The lines that show something, in any system's line ends."""
    lines = typed.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [line for line in lines if line.strip(typed_text.BLANKS)]
