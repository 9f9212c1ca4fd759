"""The account's own settings: changing the password and ending other sessions."""

import pytest
from flask import Flask

from portal.services.accounts import tokens
from tests.fixtures import people
from tests.fixtures.people import PASSWORD
from tests.web import browser_of, sign_in

NEW = "nine red kites"


@pytest.fixture
def omar(app: Flask, database: str) -> int:
    with app.app_context():
        return people.omar()


def test_changing_the_password_ends_every_other_session(app: Flask, omar: int) -> None:
    here, elsewhere = browser_of(app, "omar"), browser_of(app, "omar")
    response = here.post("/account/password", data={"current_password": PASSWORD, "new_password": NEW})
    assert (response.status_code, response.location) == (303, "/account/password")
    assert "Your password is changed." in here.get("/account/sessions").text
    assert elsewhere.get("/account/password").status_code == 303
    assert sign_in(app.test_client(), "omar").status_code == 401
    assert sign_in(app.test_client(), "omar", NEW).status_code == 303


@pytest.mark.parametrize(
    ("current", "new", "message"),
    [
        ("", "", "Enter the password you use now."),
        ("not his", NEW, "This is not your current password."),
        (PASSWORD, "short", "Use at least 8 characters."),
        (PASSWORD, PASSWORD, "Choose a password that differs from the current one."),
        (PASSWORD, "omar@example.com", "Choose a password without your own name, email or business in it."),
        (PASSWORD, "nine\x00kites", "This holds a character that can&#39;t be used."),
    ],
)
def test_an_invalid_password_is_refused_and_changes_nothing(
    app: Flask, omar: int, current: str, new: str, message: str
) -> None:
    here, elsewhere = browser_of(app, "omar"), browser_of(app, "omar")
    response = here.post("/account/password", data={"current_password": current, "new_password": new})
    assert response.status_code == 422
    assert message in response.text
    assert elsewhere.get("/account/password").status_code == 200
    assert sign_in(app.test_client(), "omar").status_code == 303


def test_changing_the_password_needs_a_session(app: Flask, database: str) -> None:
    assert app.test_client().get("/account/password").location == "/login?next=/account/password"
    assert app.test_client().post("/account/password").location == "/login"


def test_wrong_current_passwords_are_limited(app: Flask, omar: int, limits: None) -> None:
    here = browser_of(app, "omar")
    for number in range(10):
        wrong = {"current_password": f"guess {number}", "new_password": NEW}
        assert here.post("/account/password", data=wrong).status_code == 422
    right = {"current_password": PASSWORD, "new_password": NEW}
    assert here.post("/account/password", data=right).status_code == 429


def test_ending_other_sessions_keeps_this_one(app: Flask, omar: int) -> None:
    with app.app_context():
        sara = people.sara()
        mine, hers = tokens.start(omar), tokens.start(sara)
    here, elsewhere, at_saras = browser_of(app, "omar"), browser_of(app, "omar"), browser_of(app, "sara")
    assert "Sign out everywhere else" in here.get("/account/sessions").text
    response = here.post("/account/sessions/end")
    assert (response.status_code, response.location) == (303, "/account/sessions")
    assert "You are signed out everywhere else." in here.get("/account/sessions").text
    assert elsewhere.get("/account/password").status_code == 303
    assert at_saras.get("/account/password").status_code == 200
    api = app.test_client()
    responses = [api.get("/auth/me/", headers={"Authorization": f"Bearer {pair.access}"}) for pair in (mine, hers)]
    assert [response.status_code for response in responses] == [401, 200]
    assert api.post("/token/refresh/", json={"refresh": mine.refresh}).status_code == 401
