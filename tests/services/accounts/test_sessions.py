"""Sign-in and sign-out: sessions, and equal refusals with and without an account."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import select, update

from portal.domain.tokens import digest
from portal.extensions import db
from portal.models import User, UserSession
from portal.services.accounts import passwords, sessions
from portal.services.accounts.sessions import AccountDeactivated, BadCredentials
from portal.wording.refusals import sentence
from tests.fixtures import people

pytestmark = pytest.mark.usefixtures("context")


def test_omar_signs_in_with_his_username_or_his_email():
    omar = people.omar()
    for login in ("omar", "OMAR", " omar ", "omar@example.com", "Omar@Example.COM"):
        assert sessions.authenticate(login, people.PASSWORD) == omar


WRONG = [
    ("omar", "wrong"),
    ("omar", ""),
    ("omar", people.PASSWORD.upper()),
    ("omar", people.PASSWORD + " "),
    ("omar", people.PASSWORD + "\x00"),
    ("omar", "x" * 10_000),
    ("nobody", people.PASSWORD),
    ("nobody@example.com", people.PASSWORD),
    ("", people.PASSWORD),
    ("@", people.PASSWORD),
    ("\x00", people.PASSWORD),
    ("omar\x00", people.PASSWORD),
    ("\ud800", people.PASSWORD),
    ("om%", people.PASSWORD),
    ("x" * 10_000, people.PASSWORD),
    ("invited@example.com", people.PASSWORD),
    ("invited@example.com", ""),
]


def test_every_wrong_login_gets_the_same_refusal(subtests):
    people.omar()
    people.a_plan(people.amal(), "invited@example.com")
    for login, password in WRONG:
        with subtests.test(login=ascii(login)[:30]):
            with pytest.raises(BadCredentials) as refused:
                sessions.authenticate(login, password)
            assert refused.value.code == "bad_credentials"
            assert sentence(refused.value) == "The name or the password is not right."


def test_a_deactivated_user_cannot_sign_in_and_their_sessions_end():
    omar = people.omar()
    token = sessions.start(omar)
    db.session.execute(update(User).where(User.id == omar).values(deactivated_at=datetime.now(UTC)))
    db.session.commit()
    assert sessions.find(token) is None
    with pytest.raises(AccountDeactivated) as refused:
        sessions.authenticate("omar", people.PASSWORD)
    assert (refused.value.code, refused.value.status) == ("account_deactivated", 403)


@pytest.mark.parametrize("password", ["", "wrong", people.PASSWORD + "x"])
def test_a_wrong_password_does_not_tell_that_an_account_is_deactivated(password):
    omar = people.omar()
    db.session.execute(update(User).where(User.id == omar).values(deactivated_at=datetime.now(UTC)))
    db.session.commit()
    with pytest.raises(BadCredentials):
        sessions.authenticate("omar", password)


def test_a_session_is_found_by_its_exact_token_only():
    omar = people.omar()
    token = sessions.start(omar, "Firefox")
    session = sessions.find(token)
    assert (session.user_id, session.user.username, session.user_agent) == (omar, "omar", "Firefox")
    for other in ("", token[:-1], token + "x", token.swapcase(), "\x00", "\ud800", "é"):
        assert sessions.find(other) is None


def test_the_row_holds_the_digest_of_the_token():
    token = sessions.start(people.omar())
    row = db.session.scalars(select(UserSession)).one()
    assert row.token_hash == digest(token)
    assert token.encode() not in row.token_hash


def test_signing_out_ends_one_session_and_may_be_repeated():
    omar = people.omar()
    here, there = sessions.start(omar), sessions.start(omar)
    for _ in range(2):
        sessions.end(here)
    assert sessions.find(here) is None
    assert sessions.find(there)
    sessions.end("nobody's")


def test_a_session_lapses_after_fourteen_days():
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    with time_machine.travel(now, tick=False) as clock:
        token = sessions.start(people.omar())
        for days in range(2, 15, 2):  # used every other day, so it is never idle
            clock.move_to(now + timedelta(days=days, seconds=-1))
            assert sessions.find(token)
        clock.move_to(now + timedelta(days=14))
        db.session.rollback()
        assert sessions.find(token) is None


def test_a_long_user_agent_is_cut_and_its_nul_removed():
    token = sessions.start(people.omar(), "a\x00b" * 500)
    assert len(sessions.find(token).user_agent) == 200


def test_sign_in_replaces_a_hash_of_other_parameters(app, monkeypatch):
    omar = people.omar()
    before = db.session.get_one(User, omar).password_hash
    assert "m=8" in before
    monkeypatch.setitem(app.config, "ARGON2_CHEAP", False)
    with pytest.raises(BadCredentials):
        sessions.authenticate("omar", "wrong")
    sessions.authenticate("omar", people.PASSWORD)
    db.session.expire_all()
    after = db.session.get_one(User, omar).password_hash
    assert "$argon2id$" in after and "m=19456,t=3,p=1" in after
    sessions.authenticate("omar", people.PASSWORD)
    db.session.expire_all()
    assert db.session.get_one(User, omar).password_hash == after


def test_an_unknown_login_takes_a_hash_computation_too(app, monkeypatch):
    """Otherwise the time of a refusal would show whether an account exists."""
    people.a_plan(people.amal(), "invited@example.com")
    people.omar()
    checked = []
    hasher = passwords._make(True)
    monkeypatch.setattr(passwords, "_hasher", lambda: Counted(hasher, checked))
    for login in ("nobody", "nobody@example.com", "invited@example.com", "omar", "\x00"):
        with pytest.raises(BadCredentials):
            sessions.authenticate(login, "wrong")
    assert len(checked) == 5


class Counted:
    """A hasher that records the hashes it verifies."""

    def __init__(self, hasher, checked):
        self.hasher, self.checked = hasher, checked

    def verify(self, hashed, password):
        self.checked.append(hashed)
        return self.hasher.verify(hashed, password)

    def hash(self, password):
        return self.hasher.hash(password)
