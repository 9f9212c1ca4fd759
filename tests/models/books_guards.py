"""Guards of the books: closed periods, entry numbers and names of accounts, with raw SQL that they refuse."""
# ruff: noqa: S608 (SQL from constants)

from typing import Final

from tests.models.guard_inserts import Guard, an_entry, insert

LINES: Final = "('receivable', 'SAR', 100), ('sales', 'SAR', -100)"
CLOSE: Final = "UPDATE merchants SET books_closed_until = current_date WHERE id = :amal;"


def a_number(**columns: str) -> str:
    return insert("entry_numbers", {"merchant_id": ":amal", "number": "1", "entry_id": ":entry"} | columns)


def a_letterhead(**columns: str) -> str:
    good = {
        "merchant_id": ":badr", "address": "''", "tax_number": "''", "email": "''", "phone": "''",
        "updated_at": "now()",
    }  # fmt: skip
    return insert("letterheads", good | columns)


def a_logo(**columns: str) -> str:
    good = {
        "logo": r"'\x00'", "logo_type": "'png'", "logo_width": "9", "logo_height": "9", "logo_version": "'0'"
    }  # fmt: skip
    return a_letterhead(**(good | columns))


def a_name(**columns: str) -> str:
    good = {
        "merchant_id": ":amal", "account": "'cash'", "since": "current_date", "code": "'1000'", "name": "'Till'",
        "export_name": "'assets:till'",
    }  # fmt: skip
    return insert("account_names", good | columns)


BOOKS_GUARDS: Final = [
    Guard("an entry in closed books", "ledger_books_closed", CLOSE + an_entry(LINES)),
    Guard("an entry of another business than its plan's", "ledger_business", an_entry(LINES, merchant_id=":badr"),
          "ledger_books_closed"),
    Guard("closed books opened again", "merchants_books_closed",
          CLOSE + "UPDATE merchants SET books_closed_until = books_closed_until - 1 WHERE id = :amal"),
    Guard("closed books never closed", "merchants_books_closed",
          CLOSE + "UPDATE merchants SET books_closed_until = NULL WHERE id = :amal"),
    Guard("a name changed in closed books", "account_names_closed",
          a_name() + ";" + CLOSE + "UPDATE account_names SET name = 'Safe'"),
    Guard("a name added to closed books", "account_names_closed", CLOSE + a_name()),
    Guard("a value date after the booking", "ck_ledger_entries_value_on",
          an_entry(LINES, value_on="current_date + 1")),
    Guard("a name of no account", "ck_account_names_account", a_name(account="'wallet'")),
    Guard("two names of an account from one day on", "uq_account_names_merchant_id_account_since",
          a_name() + ";" + a_name()),
    Guard("a number below one", "ck_entry_numbers_number", a_number(number="0")),
    Guard("an entry with two numbers", "uq_entry_numbers_entry_id", a_number() + ";" + a_number(number="2")),
    Guard("one number of two entries", "pk_entry_numbers",
          a_number() + ";" + a_number(entry_id="(SELECT max(id) FROM ledger_entries)")),
    Guard("an address with a control character", "ck_letterheads_address", a_letterhead(address=r"E'a\tb'")),
    Guard("a tax number of two lines", "ck_letterheads_tax_number", a_letterhead(tax_number=r"E'a\nb'")),
    Guard("an email of nobody", "ck_letterheads_email", a_letterhead(email="'nobody'")),
    Guard("a phone of letters", "ck_letterheads_phone", a_letterhead(phone="'call me'")),
    Guard("a logo that is too large", "ck_letterheads_logo",
          a_logo(logo=r"decode(repeat('00', 65537), 'hex')")),
    Guard("a logo of another kind", "ck_letterheads_logo_type", a_logo(logo_type="'gif'")),
    Guard("a logo without its size", "ck_letterheads_logo_whole", a_logo(logo_width="NULL")),
    Guard("a logo of no height", "ck_letterheads_logo_size", a_logo(logo_height="0")),
    Guard("two letterheads of a business", "pk_letterheads", a_letterhead() + ";" + a_letterhead()),
    Guard("a letterhead of nobody", "fk_letterheads_merchant_id", a_letterhead(merchant_id="0")),
    Guard("a number changed", "entry_numbers_append_only", a_number() + ";UPDATE entry_numbers SET number = number"),
    Guard("a number deleted", "entry_numbers_append_only", a_number() + ";DELETE FROM entry_numbers"),
]  # fmt: skip
