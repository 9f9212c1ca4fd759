"""Guards of imports, of contacts, and of drafts that came with an import."""
# ruff: noqa: S608 (SQL from constants)

from typing import Final

from tests.models.guard_inserts import Guard, insert
from tests.models.team_guards import a_draft


def an_import(**columns: str) -> str:
    good = {
        "merchant_id": ":amal", "created_by": ":amal", "kind": "'plans'", "file_name": "'x.csv'", "content": "'Email'",
        "matching": "'{}'", "num_rows": "1", "created_at": "now()",
    }  # fmt: skip
    return insert("imports", good | columns)


def a_contact(**columns: str) -> str:
    good = {
        "merchant_id": ":amal", "email_key": "'x@example.com'", "email": "'x@example.com'",
        "import_id": "(SELECT max(id) FROM imports)", "name": "'X'", "created_at": "now()",
    }  # fmt: skip
    return an_import() + ";" + insert("contacts", good | columns)


UNIQUE_CONTACT: Final = "uq_contacts_merchant_id_email_key"
IMPORTED: Final = "(SELECT max(id) FROM imports)"

IMPORT_GUARDS: Final = [
    Guard("an import of no kind", "ck_imports_kind", an_import(kind="'wishes'")),
    Guard("an import of no rows", "ck_imports_num_rows", an_import(num_rows="0")),
    Guard("an import of too many rows", "ck_imports_num_rows", an_import(num_rows="5001")),
    Guard("a file that stays after its import", "ck_imports_carried_out", an_import(carried_out_at="now()")),
    Guard("an import that waits without a file", "ck_imports_carried_out", an_import(content="NULL")),
    Guard("an import discarded before it was carried out", "ck_imports_discarded", an_import(discarded_at="now()")),
    Guard("two contacts of one email", UNIQUE_CONTACT, a_contact() + ";" + a_contact().partition(";")[2]),
    Guard("a contact with an empty name", "ck_contacts_name", a_contact(name="''")),
    Guard("a contact with a note of two lines", "ck_contacts_note", a_contact(note="E'a\\nb'")),
    Guard("a contact with a phone of letters", "ck_contacts_phone", a_contact(phone="'call me'")),
    Guard("a draft with an empty number", "ck_plan_drafts_external_id", a_draft(external_id="''")),
    Guard("a draft of a line without an import", "ck_plan_drafts_import", a_draft(line="2")),
    Guard("a typed draft that was sent", "ck_plan_drafts_import", a_draft(sent_at="now()")),
    Guard("two drafts with one number", "uq_plan_drafts_merchant_id_external_id",
          a_draft(external_id="'A-1'") + ";" + a_draft(external_id="'A-1'")),
    Guard("a plan that changes its import", "plans_fixed",
          an_import() + f";UPDATE plans SET import_id = {IMPORTED} WHERE id = :plan"),
]  # fmt: skip
