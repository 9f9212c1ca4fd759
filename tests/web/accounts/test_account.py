"""Changing one's password."""

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


def test_omar_changes_his_password_and_only_this_browser_stays_signed_in(app: Flask, omar: int) -> None:
    here, elsewhere = browser_of(app, "omar"), browser_of(app, "omar")
    answer = here.post("/account/password", data={"current_password": PASSWORD, "new_password": NEW})
    assert (answer.status_code, answer.location) == (303, "/account/password")
    assert "Your password is changed." in here.get("/account/password").text
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
        (PASSWORD, "omar@example.com", "Choose a password that is not your own name or email."),
        (PASSWORD, "nine\x00kites", "This holds a character that can&#39;t be used."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_changes(app: Flask, omar: int, current: str, new: str, message: str) -> None:
    here, elsewhere = browser_of(app, "omar"), browser_of(app, "omar")
    answer = here.post("/account/password", data={"current_password": current, "new_password": new})
    assert answer.status_code == 422
    assert message in answer.text
    assert elsewhere.get("/account/password").status_code == 200
    assert sign_in(app.test_client(), "omar").status_code == 303


def test_strangers_have_no_password_to_change(app: Flask, database: str) -> None:
    assert app.test_client().get("/account/password").location == "/login?next=/account/password"
    assert app.test_client().post("/account/password").location == "/login"


def test_a_browser_left_open_is_no_way_to_guess_the_password(app: Flask, omar: int, limits: None) -> None:
    here = browser_of(app, "omar")
    for number in range(10):
        wrong = {"current_password": f"guess {number}", "new_password": NEW}
        assert here.post("/account/password", data=wrong).status_code == 422
    right = {"current_password": PASSWORD, "new_password": NEW}
    assert here.post("/account/password", data=right).status_code == 429


def test_omar_signs_out_everywhere_else(app: Flask, omar: int) -> None:
    with app.app_context():
        sara = people.sara()
        mine, hers = tokens.start(omar), tokens.start(sara)
    here, elsewhere, at_saras = browser_of(app, "omar"), browser_of(app, "omar"), browser_of(app, "sara")
    assert "Sign out everywhere else" in here.get("/account/password").text
    answer = here.post("/account/sessions/end")
    assert (answer.status_code, answer.location) == (303, "/account/password")
    assert "You are signed out everywhere else." in here.get("/account/password").text
    assert elsewhere.get("/account/password").status_code == 303
    assert at_saras.get("/account/password").status_code == 200
    api = app.test_client()
    asked = [api.get("/auth/me/", headers={"Authorization": f"Bearer {pair.access}"}) for pair in (mine, hers)]
    assert [answer.status_code for answer in asked] == [401, 200]
    assert api.post("/token/refresh/", json={"refresh": mine.refresh}).status_code == 401
