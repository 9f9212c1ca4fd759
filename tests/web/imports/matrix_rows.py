"""The rows of tests/matrix/test_matrix.py for the pages of imports, and the rows that their addresses name."""

from typing import Final

from sqlalchemy import select

from portal.extensions import db
from portal.models import Contact
from tests.fixtures import people
from tests.services.imports import spreadsheets

Statuses = tuple[int, ...]
PAGE: Final = (303, 403, 403, 200, 200, 403, 303, 303)
FORM: Final = (303, 403, 403, 422, 422, 403, 303, 303)
OWN: Final = (303, 403, 403, 200, 404, 403, 303, 303)
BUTTON: Final = (303, 403, 403, 303, 404, 403, 303, 303)
ONE: Final = "/imports/<int:import_id>"
DONE: Final = (f"GET {ONE}/columns", f"GET {ONE}/check", f"GET {ONE}/progress")
"""Pages of a file that waits, and a fragment: the import was carried out, so they lead to its page."""
BUTTONS: Final = tuple(f"POST {ONE}/{act}" for act in ("columns", "carry-out", "send", "discard"))
SHOWN: Final = (f"GET {ONE}", f"GET {ONE}/discard")

CONTACTS: Final = "/customers/contacts"
CONTACT: Final = f"{CONTACTS}/<int:contact_id>"
CONTACT_BUTTONS: Final = (f"POST {CONTACT}", f"POST {CONTACT}/remove")

PEOPLE: Final[dict[str, Statuses]] = {
    f"GET {CONTACTS}": PAGE,
    f"GET {CONTACTS}.csv": PAGE,
    f"GET {CONTACT}": OWN,
    **dict.fromkeys(CONTACT_BUTTONS, BUTTON),
}
PEOPLE_TEAM: Final[dict[str, tuple[int, int, int, int, int]]] = {
    f"GET {CONTACTS}": (200, 200, 200, 200, 200),
    f"GET {CONTACTS}.csv": (200, 200, 200, 200, 200),
    f"GET {CONTACT}": (200, 200, 200, 404, 200),
    f"POST {CONTACT}": (303, 303, 403, 404, 303),
    f"POST {CONTACT}/remove": (404, 404, 403, 404, 303),  # the owner, who comes first, removed the person
}

PAGES: Final[dict[str, Statuses]] = {
    "GET /imports": PAGE,
    "GET /imports/new": PAGE,
    "POST /imports": FORM,
    **dict.fromkeys(SHOWN, OWN),
    **dict.fromkeys((*DONE, *BUTTONS), BUTTON),
}
TEAM: Final[dict[str, tuple[int, int, int, int, int]]] = {
    "GET /imports": (200, 403, 403, 200, 200),
    "GET /imports/new": (200, 403, 403, 200, 200),
    "POST /imports": (422, 403, 403, 422, 422),
    **dict.fromkeys(SHOWN, (200, 403, 403, 404, 200)),
    **dict.fromkeys((*DONE, *BUTTONS), (303, 403, 403, 404, 303)),
}


def an_import(merchant_id: int) -> int:
    """An import of one plan that was carried out and not sent."""
    currency_free = spreadsheets.a_file("matrix@example.com,,,90,3,2030-01-31,,")
    return spreadsheets.imported(people.owner(merchant_id), currency_free)


def a_contact(merchant_id: int, name: str = "someone") -> int:
    """A person without a plan, whom the business imported."""
    content = spreadsheets.a_file(f"{name}@example.com,Someone", header="Email,Name")
    spreadsheets.imported(people.owner(merchant_id), content, "customers")
    of_email = Contact.merchant_id == merchant_id, Contact.email_key == f"{name}@example.com"
    return db.session.scalars(select(Contact.id).where(*of_email)).one()
