"""Guards of the books: closed periods, entry numbers and names of accounts, with raw SQL that they refuse."""
# ruff: noqa: S608 (SQL from constants)

from typing import Final

from tests.models.guard_inserts import Guard, an_entry, insert

LINES: Final = "('receivable', 'SAR', 100), ('sales', 'SAR', -100)"
CLOSE: Final = "UPDATE merchants SET books_closed_until = current_date WHERE id = :amal;"


def a_number(**columns: str) -> str:
    return insert("entry_numbers", {"merchant_id": ":amal", "number": "1", "entry_id": ":entry"} | columns)


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
    Guard("a number changed", "entry_numbers_append_only", a_number() + ";UPDATE entry_numbers SET number = number"),
    Guard("a number deleted", "entry_numbers_append_only", a_number() + ";DELETE FROM entry_numbers"),
]  # fmt: skip
