"""The undo of a change of the email takes the factors away that a thief added before it; older ones stay."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from portal.domain import clock
from portal.errors import Forbidden, Invalid
from portal.extensions import db
from portal.models import ApiKey, EmailChange, RecoveryCode, SecurityEvent, TotpSecret
from portal.services.accounts import api_keys, email_changes, password_resets, sessions
from portal.services.dues import calendar_feeds
from portal.services.mail import delivery
from portal.services.security import email_undos, passkeys, second_factors
from tests.fixtures import operations, people, proofs
from tests.fixtures.mails import html_of, text_of
from tests.services.security import factors
from tests.services.security.authenticator import Authenticator

pytestmark = pytest.mark.usefixtures("context")

BROWSER, THIEF = "a browser", "thief@example.com"
NEXT = "eleven red kites"


def a_passkey(user_id, credential_id=b"credential-1", **session):
    device = Authenticator(credential_id)
    passkeys.add(user_id, BROWSER, device.create(passkeys.options("add", BROWSER, user_id)), name="Phone", **session)
    return device


def signs_in(device):
    answer = device.get(passkeys.options("sign_in", BROWSER, None))
    try:
        return passkeys.use("sign_in", BROWSER, answer, None)
    except Invalid as refused:
        return refused.code


def undo(user_id, **options):
    token = email_changes.issue(db.session.scalar(select(func.max(EmailChange.id))))
    assert email_undos.undo(token, new_password=NEXT, **options) == user_id


def removed(user_id):
    """The factors whose end is a security event."""
    mine = SecurityEvent.user_id == user_id, SecurityEvent.kind == "factor_removed"
    found = [facts["factor"] for facts in db.session.scalars(select(SecurityEvent.facts).where(*mine))]
    db.session.rollback()
    return sorted(found)


def test_a_factor_that_a_thief_added_before_the_change_goes_with_it(omar, catcher):
    """The owner needs none to sign in, and none lets the thief in."""
    codes = factors.turn_on(omar)
    device = a_passkey(omar)
    assert signs_in(device) == omar
    proofs.change(omar, THIEF)
    undo(omar)
    assert signs_in(device) == "passkey_refused"
    assert not second_factors.is_on(omar) and not factors.check(omar, codes[0])
    assert second_factors.state(omar).codes_left == 0
    assert sessions.authenticate("omar@example.com", NEXT) == omar
    assert removed(omar) == ["app", "passkey"]
    delivery.drain()
    told = [mail for mail in catcher.mails if mail["Subject"] == "A second factor was turned off"]
    assert [mail["To"] for mail in told] == ["omar@example.com"]
    for words in (text_of(told[0]), html_of(told[0])):
        assert "were removed" in words and "72 hours before that change" in words


@pytest.mark.parametrize("kind", ["app", "passkey"])
@pytest.mark.parametrize(("seconds", "stays"), [(1, True), (0, False), (-1, False)])
def test_a_factor_older_than_72_hours_at_the_change_stays(omar, kind, seconds, stays):
    now = clock.now()
    with time_machine.travel(now, tick=False) as time:
        device = a_passkey(omar) if kind == "passkey" else None
        codes = second_factors.renew_codes(omar) if device else factors.turn_on(omar)
        time.move_to(now + email_changes.UNDO + timedelta(seconds=seconds))
        proofs.change(omar, THIEF)
        time.move_to(now + 2 * email_changes.UNDO - timedelta(hours=1))
        undo(omar)
        assert second_factors.is_on(omar) == stays == factors.check(omar, codes[0])
        assert second_factors.state(omar).codes_left == (9 if stays else 0)
    assert removed(omar) == ([] if stays else [kind])
    assert ("factor_removed" in operations.mails_to(omar)) != stays


def test_of_old_and_new_factors_the_old_one_stays_and_new_codes_end(omar):
    """A thief who is in makes new recovery codes, too: they work no more, and the owner is told."""
    now = clock.now()
    with time_machine.travel(now, tick=False) as time:
        old = a_passkey(omar)
        time.move_to(now + timedelta(days=4))
        new = a_passkey(omar, b"credential-2")
        codes = second_factors.renew_codes(omar)
        proofs.change(omar, THIEF)
        undo(omar)
        assert (signs_in(old), signs_in(new)) == (omar, "passkey_refused")
        assert not factors.check(omar, codes[0])
    assert removed(omar) == ["passkey"]


def test_new_codes_alone_end_and_are_told(omar):
    now = clock.now()
    with time_machine.travel(now, tick=False) as time:
        factors.turn_on(omar)
        time.move_to(now + timedelta(days=4))
        second_factors.renew_codes(omar)
        proofs.change(omar, THIEF)
        undo(omar)
    assert second_factors.is_on(omar) and db.session.scalar(select(func.count(RecoveryCode.id))) == 0
    assert removed(omar) == [] and "factor_removed" in operations.mails_to(omar)


def test_an_app_that_is_being_set_up_ends_whenever_it_began(omar):
    """Its secret may be known to the thief, and the owner would turn it on."""
    now = clock.now()
    with time_machine.travel(now, tick=False) as time:
        second_factors.begin_app(omar)
        time.move_to(now + timedelta(days=9))
        proofs.change(omar, THIEF)
        undo(omar)
        assert db.session.get(TotpSecret, omar) is None
    assert removed(omar) == [] and "factor_removed" not in operations.mails_to(omar)


@pytest.mark.parametrize(("days", "stays"), [(4, True), (2, False), (0, False)])
def test_a_new_address_of_the_calendar_ends_too(omar, days, stays):
    now = clock.now()
    with time_machine.travel(now, tick=False) as time:
        calendar = calendar_feeds.make(omar) if days else ""
        time.move_to(now + timedelta(days=days))
        proofs.change(omar, THIEF)
        calendar = calendar or calendar_feeds.make(omar)
        undo(omar)
        assert (calendar_feeds.find(calendar) is not None) == stays


def test_factors_of_others_stay(omar, amal):
    factors.turn_on(amal)
    proofs.change(omar, THIEF)
    undo(omar)
    assert second_factors.is_on(amal)


@pytest.mark.parametrize("revoke", [True, False])
def test_the_keys_that_the_account_made_are_revoked_on_request(amal, revoke):
    api_keys.create(people.owner(amal), name="Till")
    proofs.change(amal, THIEF)
    assert (api_keys.count_of(amal), api_keys.count_of(amal, undoing=True)) == (0, 1)
    undo(amal, revoke_keys=revoke)
    assert (db.session.scalar(select(ApiKey.revoked_at)) is not None) == revoke


@pytest.mark.parametrize("way", ["undo", "reset"])
def test_a_request_that_waited_for_the_owner_changes_no_factor(omar, way):
    """A thief's request was let in, and the owner's undo or reset ended its session before it had the account."""
    device = a_passkey(omar)
    passkey_id = passkeys.of_user(omar)[0].id
    db.session.rollback()
    session_id = sessions.find(sessions.start(omar)).id
    second_factors.begin_app(omar)
    code = factors.code_of(omar)
    if way == "reset":
        password_resets.use(password_resets.make(omar), new=NEXT)
        with pytest.raises(Forbidden):
            second_factors.confirm_app(omar, code, keep_session_id=session_id)
        with pytest.raises(Forbidden):
            passkeys.remove(omar, passkey_id, keep_session_id=session_id)
        assert signs_in(device) == omar
    else:
        proofs.change(omar, THIEF)
        undo(omar)
    with pytest.raises(Forbidden):
        a_passkey(omar, b"credential-2", keep_session_id=session_id)
    assert second_factors.state(omar).passkeys == (1 if way == "reset" else 0)
