"""Invitations to a team: the mail, its link, who may accept it, and its bounds."""

import re
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select, text

from portal.domain import clock, permissions
from portal.errors import Forbidden, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import Membership, TeamInvitation, User
from portal.services.mail import delivery
from portal.services.maintenance import retention
from portal.services.team import invitations
from tests.fixtures import people
from tests.fixtures.concurrency import at_once
from tests.fixtures.mails import text_of

pytestmark = pytest.mark.usefixtures("context")


def invite(merchant_id, email="sara@example.com", role="collector"):
    """Returns the id of the invitation."""
    invitations.invite(people.owner(merchant_id), email=email, role=role)
    db.session.rollback()
    return db.session.scalar(select(func.max(TeamInvitation.id)))


def link_in(mail):
    return re.search(r"http://localhost/team-invitations/([\w-]{43})", text_of(mail))[1]


def role_of(user_id, merchant_id):
    db.session.rollback()
    member = db.session.get(Membership, (user_id, merchant_id))
    return member and member.role


def refused_with(call, *args, **kwargs):
    with pytest.raises((Refused, Invalid, NotFound, Forbidden)) as refused:
        call(*args, **kwargs)
    db.session.rollback()
    return refused.value.code


def test_the_mail_carries_a_link_that_no_table_holds(amal, catcher):
    invite(amal, "new.colleague@example.com")
    delivery.drain()
    (mail,) = catcher.mails
    assert (mail["To"], mail["Subject"]) == ("new.colleague@example.com", "Amal's Bakery invites you to its team")
    assert "May record payments and remind." in text_of(mail)
    token = link_in(mail)
    assert invitations.find(token).email == "new.colleague@example.com"
    for table in ("emails", "team_invitations"):
        rows = db.session.execute(text(f"SELECT {table}::text FROM {table}")).scalars()  # noqa: S608
        assert not any(token in row for row in rows)
    assert db.session.scalar(select(func.count(User.id))) == 1


def test_the_holder_of_the_email_accepts_once_and_the_owners_are_told(amal, catcher):
    sara = people.sara()
    invitation_id = invite(amal, " SARA@Example.com ")
    assert [row.id for row in invitations.for_user(db.session.get_one(User, sara))] == [invitation_id]
    assert invitations.accept(invitation_id, user_id=sara) == amal
    assert role_of(sara, amal) == "collector"
    assert refused_with(invitations.accept, invitation_id, user_id=sara) == "not_found"
    delivery.drain()
    assert {(mail["To"], mail["Subject"]) for mail in catcher.mails} == {
        ("amal@example.com", "sara joined the team of Amal's Bakery"),
    }
    assert "Role: Collector." in text_of(catcher.mails[-1])


def test_nobody_else_accepts_it(amal, omar):
    invitation_id = invite(amal, "sara@example.com")
    for user_id in (omar, people.an_operator()):
        assert refused_with(invitations.accept, invitation_id, user_id=user_id) == "not_found"
    invitation_id = invite(amal, "olga@example.com", "owner")
    olga = db.session.scalars(select(User.id).where(User.username == "olga")).one()
    assert refused_with(invitations.accept, invitation_id, user_id=olga) == "forbidden"
    people.a_plan(amal, "nadia@example.com")
    invitation_id = invite(amal, "nadia@example.com")
    nadia = db.session.scalars(select(User.id).where(User.has_email("nadia@example.com"))).one()
    assert refused_with(invitations.accept, invitation_id, user_id=nadia) == "not_found"
    assert db.session.scalar(select(func.count(Membership.user_id))) == 1


def test_a_revoked_replaced_or_lapsed_invitation_is_gone(amal, catcher):
    sara = people.sara()
    first = invite(amal)
    delivery.drain()
    second = invite(amal, role="viewer")
    assert invitations.find(link_in(catcher.mails[0])) is None
    assert refused_with(invitations.accept, first, user_id=sara) == "not_found"
    invitations.send_again(second, actor=people.owner(amal))
    third = db.session.scalar(select(func.max(TeamInvitation.id)))
    assert third > second and refused_with(invitations.accept, second, user_id=sara) == "not_found"
    with time_machine.travel(clock.now() + timedelta(days=7, seconds=1)):
        assert refused_with(invitations.accept, third, user_id=sara) == "not_found"
        invitations.send_again(third, actor=people.owner(amal))
        fourth = db.session.scalar(select(func.max(TeamInvitation.id)))
        invitations.revoke(fourth, actor=people.owner(amal))
        assert refused_with(invitations.accept, fourth, user_id=sara) == "not_found"
        assert refused_with(invitations.send_again, fourth, actor=people.owner(amal)) == "not_found"
    assert role_of(sara, amal) is None


def test_a_revoked_invitation_is_not_mailed(amal, catcher):
    invitations.revoke(invite(amal), actor=people.owner(amal))
    delivery.drain()
    assert catcher.mails == []


def test_a_customer_with_an_open_plan_joins_as_anything_but_an_owner(amal, omar):
    people.a_plan(amal)
    invitation_id = invite(amal, "omar@example.com", "owner")
    assert refused_with(invitations.accept, invitation_id, user_id=omar) == "owes_the_business"
    assert role_of(omar, amal) is None
    invitation_id = invite(amal, "omar@example.com", "manager")
    invitations.accept(invitation_id, user_id=omar)
    assert role_of(omar, amal) == "manager"


def test_members_bad_emails_and_bad_roles_are_refused(amal):
    people.a_member("sara", amal, "viewer")
    assert refused_with(invite, amal, "Sara@example.com") == "already_member"
    assert refused_with(invite, amal, "amal@example.com") == "already_member"
    for email in ("", "x", "a@b@c.example", "\ufb01@example.com"):
        assert refused_with(invite, amal, email) in ("required", "bad_email")
    assert refused_with(invite, amal, "new@example.com", "boss") == "unknown_team_role"


def test_one_mailbox_gets_three_invitations_a_day_from_a_business(amal):
    badr = people.badr()
    for _ in range(invitations.DAILY_MAX):
        newest = invite(amal)
    assert refused_with(invite, amal) == "mail_limit"
    assert refused_with(invite, amal, "SARA@example.com") == "mail_limit"
    assert refused_with(invitations.send_again, newest, actor=people.owner(amal)) == "mail_limit"
    invite(badr)
    with time_machine.travel(clock.now() + timedelta(days=1, seconds=1)):
        invite(amal)


def test_a_business_has_a_limited_number_of_open_invitations(amal, monkeypatch):
    monkeypatch.setattr(invitations, "OPEN_MAX", 2)
    first = invite(amal, "a@example.com")
    invite(amal, "b@example.com")
    assert refused_with(invite, amal, "c@example.com") == "too_many_invitations"
    invite(amal, "b@example.com")
    invitations.revoke(first, actor=people.owner(amal))
    invite(amal, "c@example.com")


def test_two_acceptances_at_once_are_one_membership(app, amal):
    sara = people.sara()
    invitation_id = invite(amal)
    accept = [lambda: invitations.accept(invitation_id, user_id=sara)] * 2
    assert sorted(str(getattr(result, "code", result)) for result in at_once(app, accept)) == [str(amal), "not_found"]


def test_only_an_owner_invites(amal):
    sara = people.a_member("sara", amal, "manager")
    for actor in (permissions.member(sara, amal, "manager"), permissions.member(sara, amal, "owner")):
        assert refused_with(invitations.invite, actor, email="new@example.com", role="viewer") == "forbidden"


def test_old_invitations_are_deleted(amal):
    invite(amal)
    with time_machine.travel(clock.now() + timedelta(days=36)):
        retention.purge_expired()
        assert db.session.scalar(select(func.count(TeamInvitation.id))) == 1
    with time_machine.travel(clock.now() + timedelta(days=38)):
        retention.purge_expired()
        assert db.session.scalar(select(func.count(TeamInvitation.id))) == 0
