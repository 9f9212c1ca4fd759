"""`qist setup`: a fresh installation gets an operator, an approved business, and two links."""

import dataclasses

import pytest
from flask import Flask

from portal.errors import Invalid, Refused
from portal.extensions import db
from portal.models import Merchant, User
from portal.services.accounts import password_resets, sessions
from portal.services.operations import setup
from portal.services.operations.setup import Installation
from tests.fixtures import operations, people

pytestmark = pytest.mark.usefixtures("context")

NEW = Installation("olga", "olga@example.com", "amal", "amal@example.com", "Amal's Bakery", "SAR", "Asia/Riyadh")


def test_both_people_choose_a_password_with_their_links_and_the_business_is_approved(app: Flask) -> None:
    with operations.registration(app, "approval"):
        tokens = setup.set_up(NEW)
    for name, token in (("olga", tokens.operator), ("amal", tokens.owner)):
        password_resets.use(token, new=people.PASSWORD)
        user = db.session.get_one(User, sessions.authenticate(name, people.PASSWORD))
        assert user.is_operator is (name == "olga")
        assert password_resets.find(token) is None
    business = db.session.scalars(db.select(Merchant)).one()
    assert (business.standing, business.business_name, business.home_currency) == ("live", "Amal's Bakery", "SAR")
    assert operations.acts() == [("set_up", None, None)]
    people.omar()
    assert people.plan_of(people.a_plan(business.id)).state == "active"


def test_it_refuses_when_an_operator_exists() -> None:
    people.an_operator()
    with pytest.raises(Refused, match="already_set_up"):
        setup.set_up(NEW)
    assert db.session.scalars(db.select(Merchant)).all() == []


def test_a_second_call_changes_nothing() -> None:
    setup.set_up(NEW)
    with pytest.raises(Refused, match="already_set_up"):
        setup.set_up(dataclasses.replace(NEW, operator="otto", operator_email="otto@example.com"))
    assert len(db.session.scalars(db.select(User)).all()) == 2


def test_it_works_where_registration_is_closed(app: Flask) -> None:
    with operations.registration(app, "closed"):
        assert setup.set_up(NEW).owner


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"operator": ""}, {"operator"}),
        ({"operator_email": "olga"}, {"operator_email"}),
        ({"owner": "a b", "owner_email": ""}, {"owner", "owner_email"}),
        ({"owner": "OLGA"}, {"owner"}),
        ({"owner_email": "Olga@example.com"}, {"owner"}),
        ({"business_name": " ", "home_currency": "sar"}, {"business_name", "home_currency"}),
        ({"time_zone": "Mars"}, {"time_zone"}),
    ],
)  # fmt: skip
def test_all_faults_are_named_at_once_and_nothing_is_made(changes: dict[str, str], fields: set[str]) -> None:
    with pytest.raises(Invalid) as refused:
        setup.set_up(dataclasses.replace(NEW, **changes))
    assert {fault.field for fault in refused.value.faults} == fields
    assert db.session.scalars(db.select(User)).all() == []
