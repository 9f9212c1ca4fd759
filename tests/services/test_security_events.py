"""Security events: what is recorded of an account's day, what the log says, retention, and erasure."""

import logging
from datetime import timedelta

import pytest
import structlog
from sqlalchemy import text
from structlog.testing import capture_logs

from portal.domain import clock, permissions
from portal.domain.permissions import GIVEN_TO_KEYS
from portal.errors import Invalid
from portal.extensions import db
from portal.models import SecurityEvent, TeamInvitation
from portal.reports import security_events as reports
from portal.services import security_events
from portal.services.accounts import accounts, api_keys, password_resets, sessions, tokens
from portal.services.maintenance import retention
from portal.services.operations import account_deactivations
from portal.services.privacy import erasures
from portal.services.team import invitations, members
from portal.wording.security_events import SENTENCES
from tests.fixtures import operations, people
from tests.fixtures.people import PASSWORD

pytestmark = pytest.mark.usefixtures("context")

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


@pytest.fixture
def from_berlin():
    """Requests come from this address and browser."""
    security_events.arrived("192.0.2.7", FIREFOX)
    yield
    security_events.left()


@pytest.fixture
def log_lines():
    """The log of the test at the level info."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with capture_logs() as lines:
        yield lines
    structlog.configure(**before)


def kinds(user_id):
    db.session.rollback()
    return [event.kind for event in reversed(reports.of_account(user_id).items)]


@pytest.mark.usefixtures("from_berlin")
def test_a_day_of_an_account_can_be_read_from_its_events_and_from_the_log(omar, log_lines):
    with pytest.raises(sessions.BadCredentials):
        sessions.authenticate("omar", "not this one")
    token = sessions.start(sessions.authenticate("omar", PASSWORD))
    session_id = sessions.find(token).id
    accounts.change_password(omar, current=PASSWORD, new="eleven red kites", keep_session_id=session_id)
    sessions.end_others(omar, session_id)
    sessions.end(token)
    tokens.start(omar)
    password_resets.ask("omar")
    password_resets.use(password_resets.make(omar), new="nine purple kites")
    expected = [
        "sign_in_failed", "signed_in", "password_changed", "sessions_ended", "signed_out", "token_made",
        "password_reset_asked", "password_reset",
    ]  # fmt: skip
    assert kinds(omar) == expected
    assert {(event.address, event.browser) for event in reports.of_account(omar).items} == {
        ("192.0.2.7", "Firefox 128, Linux")
    }
    lines = [line for line in log_lines if line["event"].startswith("security.")]
    assert [line["event"] for line in lines] == [f"security.{kind}" for kind in expected]
    assert {(line["account"], line["address"], line["browser"]) for line in lines} == {
        (omar, "192.0.2.7", "Firefox 128, Linux")
    }
    for secret in (PASSWORD, "not this one", "eleven red kites", token):
        assert secret not in str(log_lines)


def test_a_change_that_is_refused_leaves_no_event(omar, log_lines):
    with pytest.raises(Invalid):
        accounts.change_password(omar, current="wrong", new="eleven red kites", keep_session_id=None)
    assert kinds(omar) == [] and "security." not in str(log_lines)


def test_a_failed_sign_in_with_a_name_that_nobody_has_is_an_event_without_the_name(amal):
    with pytest.raises(sessions.BadCredentials):
        sessions.authenticate("my secret password", PASSWORD)
    event = db.session.scalars(db.select(SecurityEvent)).one()
    assert (event.kind, event.user_id, event.facts) == ("sign_in_failed", None, {})


def test_keys_and_the_team_are_events_of_the_business(amal):
    owner = people.owner(amal)
    key = api_keys.create(owner, name="Till", given=GIVEN_TO_KEYS)
    api_keys.revoke(api_keys.find(key).id, actor=owner)
    nour = people.a_customer("nour")
    invitations.invite(owner, email="nour@example.com", role="viewer")
    invitations.accept(db.session.scalars(db.select(TeamInvitation.id)).one(), user_id=nour)
    members.change(nour, actor=owner, role="manager", refund_limit=None)
    members.change(nour, actor=owner, role="manager", refund_limit=5)
    members.remove(nour, actor=owner, revoke_keys=True)
    invitations.invite(owner, email="dana@example.com", role="viewer")
    open_id = db.session.scalars(db.select(TeamInvitation.id).where(TeamInvitation.ended_at.is_(None))).one()
    invitations.revoke(open_id, actor=owner)
    db.session.rollback()
    events = list(reversed(reports.of_merchant(amal).items))
    assert [(event.kind, event.user_id, event.by_id) for event in events] == [
        ("key_made", amal, None),
        ("key_revoked", amal, None),
        ("member_invited", amal, None),
        ("member_joined", nour, None),
        ("member_changed", nour, amal),
        ("member_changed", nour, amal),
        ("member_removed", nour, amal),
        ("member_invited", amal, None),
        ("invitation_revoked", amal, None),
    ]
    assert events[4].facts == {"role": "manager", "before": "viewer"}
    assert key.partition(".")[2] not in str([event.facts for event in events])


def test_an_operators_act_is_an_event_of_the_account(omar):
    account_deactivations.deactivate(omar, actor=operations.olga(), reason="Stolen")
    account_deactivations.reactivate(omar, actor=operations.olga(), reason="Found")
    assert kinds(omar) == ["account_deactivated", "account_reactivated"]
    assert reports.of_account(omar).items[0].by_id == operations.olga().user_id


@pytest.mark.usefixtures("from_berlin")
def test_erasure_takes_the_addresses_of_what_the_person_did_and_leaves_those_of_others(amal, omar):
    sessions.start(omar)
    people.a_member("omar", amal, "owner")
    nour = people.a_member("nour", amal, "viewer")
    members.remove(nour, actor=permissions.member(omar, amal, "owner"), revoke_keys=False)
    sessions.start(amal)
    erasures.erase(omar, password=PASSWORD)
    db.session.rollback()
    rows = db.session.scalars(db.select(SecurityEvent).order_by(SecurityEvent.id)).all()
    origins = {(row.kind, row.user_id): (row.address, row.browser) for row in rows}
    assert origins[("signed_in", omar)] == origins[("member_removed", nour)] == ("", "")
    assert origins[("signed_in", amal)] == ("192.0.2.7", "Firefox 128, Linux")


def test_events_are_deleted_after_their_retention(omar, app):
    days = app.config["QIST"].security_event_days
    insert = text(
        "INSERT INTO security_events (kind, user_id, address, browser, created_at)"
        " VALUES ('signed_in', :user, '', '', :at)"
    )
    for age in (days + 1, days - 1):
        db.session.execute(insert, {"user": omar, "at": clock.now() - timedelta(days=age)})
    db.session.commit()
    retention.purge_expired()
    assert kinds(omar) == ["signed_in"]


def test_every_kind_has_a_sentence():
    assert set(SENTENCES) == set(SecurityEvent.__table__.c.kind.type.enums)
