"""A person's own name, phone, language and early reminders."""

import pytest

from tests.api import Person, problem

PROFILE = "/api/profile/"


def test_a_change_keeps_what_is_left_out(omar: Person) -> None:
    before = omar.api.get(PROFILE)
    assert before.status_code == 200, before.text
    assert before.json() == {
        "name": None,
        "phone": None,
        "language": before.json()["language"],
        "early_reminders": True,
    }
    body = {"name": " Omar Haddad ", "phone": "+966 50 123 4567", "language": "EN-ph", "early_reminders": False}
    changed = omar.api.call("PATCH", PROFILE, body)
    assert changed.status_code == 200, changed.text
    expected = {"name": "Omar Haddad", "phone": "+966 50 123 4567", "language": "en-PH", "early_reminders": False}
    assert changed.json() == omar.api.get("/api/profile").json() == expected
    for same in ({}, {"name": None, "phone": None, "language": None, "early_reminders": None}):
        assert omar.api.call("PATCH", PROFILE, same).json() == expected
    cleared = omar.api.call("PATCH", PROFILE, {"name": "", "phone": ""}).json()
    assert cleared == expected | {"name": None, "phone": None}


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"phone": "12"}, "bad_phone", "#/phone"),
        ({"name": "x" * 201}, "too_long", "#/name"),
        ({"name": "a\u202eb"}, "bad_text", "#/name"),
        ({"language": "tlh"}, "unknown_language", "#/language"),
        ({"language": ""}, "unknown_language", "#/language"),
        ({"early_reminders": "yes"}, "wrong_type", "#/early_reminders"),
        ({"email": "omar@example.com"}, "unknown_field", "#/email"),
    ],
)
def test_a_fault_changes_nothing(omar: Person, body: dict[str, object], code: str, pointer: str) -> None:
    before = omar.api.get(PROFILE).json()
    (fault,) = problem(omar.api.call("PATCH", PROFILE, {"early_reminders": False, **body}), 422, code)["errors"]
    assert fault["pointer"] == pointer
    assert omar.api.get(PROFILE).json() == before


def test_a_profile_is_the_persons_under_every_hat(amal: Person, omar: Person) -> None:
    assert amal.api.call("PATCH", PROFILE, {"name": "Amal"}).json()["name"] == "Amal"
    assert omar.api.get(PROFILE).json()["name"] is None
    problem(amal.api.call("POST", PROFILE, {}), 405, "method_not_allowed")
