"""Emails that look like the email of another account."""

import pytest
from sqlalchemy import select

from portal import access
from portal.errors import Invalid
from portal.extensions import db
from portal.models import Email
from portal.services.accounts import accounts, password_resets, sessions
from portal.services.accounts.accounts import NewAccount
from tests.fixtures import people

pytestmark = pytest.mark.usefixtures("context")


@pytest.mark.parametrize(
    ("owner", "attacker"),
    [
        ("kit@example.com", "kıt@example.com"),
        ("info@fass.example.com", "info@faß.example.com"),
        ("σιγμα@example.com", "ΣΙΓΜΑ@example.com"),
        ("strasse@example.com", "straße@example.com"),
        ("amelie@example.com", "ame\u0301lie@example.com"),
        ("sam@paypal.example", "sam@раypal.example"),
    ],
)
def test_a_lookalike_email_is_an_account_of_its_own(owner, attacker):
    """Sign-in, plans, resets and rate limits are those of the account with exactly this email."""
    amal = people.amal()
    owner_id = accounts.register(NewAccount("customer", "owner", owner, people.PASSWORD))
    plan = people.a_plan(amal, owner)
    attacker_id = accounts.register(NewAccount("customer", "attacker", attacker, "nine purple kites"))
    assert sessions.authenticate(attacker, "nine purple kites") == attacker_id
    with pytest.raises(sessions.BadCredentials):
        sessions.authenticate(attacker, people.PASSWORD)
    assert people.plan_of(plan).customer_id == owner_id
    assert people.plan_of(people.a_plan(amal, attacker)).customer_id == attacker_id
    assert access.login_key(owner) != access.login_key(attacker)
    password_resets.ask(attacker)
    assert db.session.scalars(select(Email.to_user_id).where(Email.kind == "password_reset")).all() == [attacker_id]


@pytest.mark.parametrize(
    "attacker",
    ["ſam@example.com", "ｓam@example.com", "sam@ｅxample.com", "s\u200bam@example.com", "sam@exam\u00adple.com"],
    ids=ascii,
)
def test_an_email_that_would_become_another_is_refused_everywhere(attacker):
    amal = people.amal()
    accounts.register(NewAccount("customer", "owner", "sam@example.com", people.PASSWORD))
    new = NewAccount("customer", "attacker", attacker, "nine purple kites")
    for field, request in (
        ("email", lambda: accounts.register(new)),
        ("customer_email", lambda: people.a_plan(amal, attacker)),
    ):
        with pytest.raises(Invalid) as refused:
            request()
        assert [(fault.field, fault.code) for fault in refused.value.faults] == [(field, "bad_email")]
    for login in (attacker, f" {attacker} "):
        with pytest.raises(sessions.BadCredentials):
            sessions.authenticate(login, people.PASSWORD)
        assert access.login_key(login) != access.login_key("sam@example.com")
        password_resets.ask(login)
    assert db.session.scalar(select(Email.id)) is None


def test_spellings_of_an_email_without_an_account_share_one_limit():
    spellings = {"Ghost@BÜCHER.example", "ghost@xn--bcher-kva.example", " GHOST@bu\u0308cher.example\ufeff"}
    assert len({access.login_key(spelling) for spelling in spellings}) == 1
