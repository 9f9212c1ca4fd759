"""Registrations, browsers and invitations of the tests of accounts."""

import pytest

from portal.errors import QistError
from portal.extensions import db
from portal.models import User
from portal.services.accounts import accounts, sessions
from portal.services.accounts.accounts import NewAccount
from portal.services.accounts.proofs import Asker
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from tests.fixtures import people

VICTIM = "victim@example.com"
ATTACKERS = "nine purple kites"


def register(name="nadia", email=None, password=people.PASSWORD, role="customer", **more):
    return accounts.register(NewAccount(role, name, email or f"{name}@example.com", password, **more))


def user_of(user_id):
    db.session.rollback()
    return db.session.get(User, user_id, populate_existing=True)


def a_browser(user_id):
    """A session of this user: its token, and who asks in it."""
    token = sessions.start(user_id)
    return token, Asker("192.0.2.7", sessions.find(token).id)


def refusal(call, *args, **kwargs):
    with pytest.raises(QistError) as refused:
        call(*args, **kwargs)
    return refused.value.code, refused.value.about


def invite(email=VICTIM):
    amal = people.amal()
    return plans.open_plan(people.owner(amal), NewPlan(email, 60_00, 3, people.today_of(amal)))
