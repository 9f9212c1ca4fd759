"""People whom a merchant imported and who have no plan of it yet."""

from collections.abc import Callable

import pytest
from flask import Flask

from tests.api import Api, Person, create_plan, merchant, problem
from tests.web.imports import matrix_rows

Import = Callable[[Person, str], int]


@pytest.fixture
def imported(app: Flask) -> Import:
    def make(person: Person, name: str) -> int:
        with app.app_context():
            return matrix_rows.a_contact(person.id, name)

    return make


def test_a_person_of_a_file_is_a_contact_until_the_first_plan(amal: Person, imported: Import) -> None:
    first, second = imported(amal, "noor"), imported(amal, "zaid")
    listed = amal.api.get("/api/contacts/?include=total")
    assert [(row["id"], row["email"]) for row in listed.json()] == [
        (first, "noor@example.com"),
        (second, "zaid@example.com"),
    ]
    assert listed.headers["X-Total-Count"] == "2"
    assert amal.api.get("/api/customers/").json() == []
    assert [row["id"] for row in amal.api.get("/api/contacts/?search=zaid").json()] == [second]
    page = amal.api.get("/api/contacts/?limit=1")
    assert [row["id"] for row in page.json()] == [first] and "next" in page.links
    where = f"/api/contacts/{first}/"
    changed = amal.api.call("PATCH", where, {"name": "Noor Ali", "phone": "+966 50 123 4567"})
    assert changed.status_code == 200, changed.text
    assert changed.json() == amal.api.get(where).json()
    assert (changed.json()["name"], changed.json()["note"]) == ("Noor Ali", None)
    create_plan(amal, "noor@example.com")
    problem(amal.api.get(where), 404, "not_found")
    (customer,) = amal.api.get("/api/customers/").json()
    assert (customer["name"], customer["email"]) == ("Noor Ali", "noor@example.com")


def test_a_contact_is_deleted_once(amal: Person, imported: Import) -> None:
    where = f"/api/contacts/{imported(amal, 'noor')}/"
    assert amal.api.call("DELETE", where).status_code == 204
    problem(amal.api.call("DELETE", where), 404, "not_found")
    assert amal.api.get("/api/contacts/").json() == []


def test_faults_and_strangers_change_nothing(api: Api, amal: Person, omar: Person, imported: Import) -> None:
    where = f"/api/contacts/{imported(amal, 'noor')}/"
    before = amal.api.get(where).json()
    problem(amal.api.call("PATCH", where, {"phone": "x"}), 422, "bad_phone")
    problem(amal.api.call("PATCH", where, {"email": "other@example.com"}), 422, "unknown_field")
    problem(amal.api.get("/api/contacts/?email=noor@example.com"), 422, "unknown_parameter")
    for other, status, code in ((merchant(api), 404, "not_found"), (omar, 403, "forbidden")):
        for method in ("GET", "PATCH", "DELETE"):
            body = {"name": "Mine"} if method == "PATCH" else None
            problem(other.api.call(method, where, body), status, code)
    assert amal.api.get(where).json() == before
