"""Changes of an account's email: the new address proves it, the old one may undo it for 72 hours."""

from contextlib import nullcontext
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from portal.domain import clock
from portal.domain.permissions import GIVEN_TO_KEYS
from portal.errors import Invalid, NotFound, QistError, Refused
from portal.extensions import db
from portal.models import EmailChange, User
from portal.services.accounts import accounts, api_keys, email_changes, password_resets, proofs, sessions, tokens
from portal.services.accounts.accounts import NewAccount
from portal.services.accounts.proofs import Asker
from portal.services.mail import delivery
from portal.services.security import email_undos
from tests.fixtures import people
from tests.fixtures import proofs as mailed_proofs
from tests.fixtures.concurrency import at_once
from tests.fixtures.mails import Catcher, html_of, outbox, sending, text_of
from tests.fixtures.proofs import confirming, mailed

pytestmark = pytest.mark.usefixtures("context")

NEW = "new@example.com"
NEXT = "eleven red kites"


def ask(user_id, email=NEW, password=people.PASSWORD, asker=None):
    proofs.ask_change(user_id, email, password=password, asker=asker or Asker())


def user_of(user_id):
    db.session.rollback()
    return db.session.get_one(User, user_id, populate_existing=True)


def refusal(call, *args, **kwargs):
    with pytest.raises(QistError) as refused:
        call(*args, **kwargs)
    return refused.value.code


def an_undo_link():
    return email_changes.issue(db.session.scalar(select(func.max(EmailChange.id))))


def test_the_email_stays_until_the_new_one_is_proven(omar):
    ask(omar)
    secrets = mailed(NEW)
    assert user_of(omar).email == "omar@example.com"
    assert proofs.prove(omar, secrets.code) == omar
    assert (user_of(omar).email, user_of(omar).is_proven) == (NEW, True)
    assert sessions.authenticate(NEW, people.PASSWORD) == omar
    with pytest.raises(sessions.BadCredentials):
        sessions.authenticate("omar@example.com", people.PASSWORD)


def test_a_plan_for_the_new_email_is_theirs_and_so_is_one_for_the_old_until_it_is_let_go(amal, omar):
    now = clock.now()
    with time_machine.travel(now, tick=False) as time:
        mailed_proofs.change(omar, NEW)
        for email in (NEW, "omar@example.com"):
            assert people.plan_of(people.a_plan(amal, email)).customer_id == omar
        time.move_to(now + timedelta(hours=72))
        assert people.plan_of(people.a_plan(amal, "omar@example.com")).customer_id != omar


@pytest.mark.parametrize(
    ("email", "password", "code"),
    [
        (NEW, "not it", "wrong_password"),
        ("no email", people.PASSWORD, "bad_email"),
        ("", people.PASSWORD, "required"),
        ("Omar@EXAMPLE.com", people.PASSWORD, "email_unchanged"),
        ("amal@example.com", people.PASSWORD, "email_taken"),
    ],
)
def test_what_is_refused(amal, omar, email, password, code):
    assert refusal(ask, omar, email, password) == code
    assert proofs.pending(omar) is None


@pytest.mark.parametrize("mode", ["off", "required"])
def test_an_email_that_has_plans_is_told_to_take_an_account_of_its_own(app, amal, omar, mode, catcher):
    plan_id = people.a_plan(amal, "nadia@example.com")
    delivery.drain()
    with confirming(app) if mode == "required" else nullcontext():
        ask(omar, "nadia@example.com")
        assert refusal(proofs.prove, omar, "000000") == "wrong_code"
        delivery.drain()
    mail = catcher.mails[-1]
    assert (mail["To"], mail["Subject"]) == ("nadia@example.com", "There are plans for this email already")
    for words in (text_of(mail), html_of(mail)):
        assert "register an account with this email" in words and "/register?role=customer" in words
        assert "The plans of one email stay apart from an account with another email." in words
        assert "omar" not in words
    assert user_of(omar).email == "omar@example.com"
    assert mailed_proofs.claim(people.token_of(plan_id), "nadia") == people.plan_of(plan_id).customer_id != omar


def test_with_confirmation_a_known_email_is_answered_like_an_unknown_one(app, amal, omar):
    people.a_plan(amal, "nadia@example.com")
    with confirming(app):
        for email in ("amal@example.com", "nadia@example.com", NEW):
            ask(omar, email)
            assert proofs.pending(omar).email == email
            assert refusal(proofs.prove, omar, "000000") == "wrong_code"
    delivery.drain()
    mails = [(mail.kind, mail.subject) for mail in outbox() if mail.kind != "invitation"]
    assert mails == [
        ("email_known", "You have an account already"),
        ("email_known", "There are plans for this email already"),
        ("email_proof", "Is this your email?"),
    ]


def test_the_link_elsewhere_needs_the_accounts_password_and_sets_none(omar):
    """Somebody who reads the mailbox of a mistyped address must not get the account."""
    ask(omar, asker=Asker(session_id=sessions.find(sessions.start(omar)).id))
    link = mailed(NEW).token
    assert refusal(proofs.prove_by_link, link, new_password=NEXT) == "wrong_password"
    assert refusal(proofs.prove_by_link, link, password=NEXT) == "wrong_password"
    assert user_of(omar).email == "omar@example.com"
    assert proofs.prove_by_link(link, password=people.PASSWORD) == omar


def test_the_other_sessions_and_tokens_end(omar):
    here, there, pair = sessions.start(omar), sessions.start(omar), tokens.start(omar)
    session_id = sessions.find(here).id
    ask(omar, asker=Asker(session_id=session_id))
    proofs.prove(omar, mailed(NEW).code, session_id=session_id)
    assert sessions.find(here)
    assert sessions.find(there) is None
    with pytest.raises(tokens.BadToken):
        tokens.find(pair.access)


def test_registrations_with_the_new_email_go(app, omar):
    with confirming(app):
        attacker = accounts.register(NewAccount("customer", "attacker", NEW, NEXT))
    mailed_proofs.change(omar, NEW)
    assert db.session.get(User, attacker) is None


def test_an_email_that_got_an_owner_meanwhile_is_refused(omar):
    ask(omar)
    code = mailed(NEW).code
    accounts.register(NewAccount("customer", "nadia", NEW, NEXT))
    assert refusal(proofs.prove, omar, code) == "proof_ended"
    assert user_of(omar).email == "omar@example.com"


def test_a_username_that_is_the_email_follows(context):
    nadia = accounts.register(NewAccount("customer", "nadia@example.com", "nadia@example.com", people.PASSWORD))
    mailed_proofs.change(nadia, NEW)
    assert user_of(nadia).username == NEW
    email_undos.undo(an_undo_link(), new_password=NEXT)
    assert user_of(nadia).username == "nadia@example.com"


class TestUndo:
    def test_it_gives_the_email_back_and_ends_what_a_thief_has(self, omar):
        mailed_proofs.change(omar, NEW)
        link = an_undo_link()
        thief, pair = sessions.start(omar), tokens.start(omar)
        assert email_undos.undo(link, new_password=NEXT) == omar
        assert (user_of(omar).email, user_of(omar).is_proven) == ("omar@example.com", True)
        assert sessions.find(thief) is None
        with pytest.raises(tokens.BadToken):
            tokens.find(pair.access)
        for login in ("omar", NEW):
            with pytest.raises(sessions.BadCredentials):
                sessions.authenticate(login, people.PASSWORD)
        assert sessions.authenticate("omar@example.com", NEXT) == omar
        assert accounts.register(NewAccount("customer", "nadia", NEW, people.PASSWORD))

    def test_it_works_for_72_hours_and_once(self, omar):
        now = clock.now()
        with time_machine.travel(now, tick=False) as time:
            mailed_proofs.change(omar, NEW)
            link = an_undo_link()
            time.move_to(now + timedelta(hours=72))
            assert refusal(email_undos.undo, link, new_password=NEXT) == "not_found"
            time.move_to(now + timedelta(hours=72, seconds=-1))
            assert refusal(email_undos.undo, link, new_password="short") == "password_too_short"
            assert email_undos.undo(link, new_password=NEXT) == omar
            assert refusal(email_undos.undo, link, new_password=NEXT) == "not_found"

    def test_it_wins_over_a_password_that_was_changed_since(self, omar):
        mailed_proofs.change(omar, NEW)
        link = an_undo_link()
        accounts.change_password(omar, current=people.PASSWORD, new="nine purple kites", keep_session_id=None)
        reset = password_resets.make(omar)
        email_undos.undo(link, new_password=NEXT)
        assert password_resets.find(reset) is None
        assert sessions.authenticate("omar", NEXT) == omar

    def test_the_old_email_is_nobody_elses_until_then(self, app, omar, amal):
        now = clock.now()
        new = NewAccount("customer", "thief", "OMAR@example.com", NEXT)
        with time_machine.travel(now, tick=False) as time:
            mailed_proofs.change(omar, NEW)
            with pytest.raises(Invalid) as refused:
                accounts.register(new)
            assert refused.value.code == "email_taken"
            assert refusal(ask, amal, "omar@example.com") == "email_taken"
            with confirming(app):
                thief = accounts.register(new)
                proofs.ask(thief, Asker())
            assert outbox()[-1].kind == "email_known"
            with Catcher() as catcher, sending(app, catcher):
                delivery.drain()
            assert {mail["To"] for mail in catcher.mails if "already" in mail["Subject"]} == {"OMAR@example.com"}
            time.move_to(now + timedelta(hours=72))
            assert accounts.register(NewAccount("customer", "huda", "omar@example.com", NEXT))

    def test_no_second_change_and_no_change_of_a_key_until_then(self, amal):
        owner = people.owner(amal)
        api_keys.create(owner, name="Shop")
        now = clock.now()
        with time_machine.travel(now, tick=False) as time:
            mailed_proofs.change(amal, NEW)
            assert refusal(ask, amal, "third@example.com") == "email_changed"
            assert refusal(api_keys.create, owner, name="Till", given=GIVEN_TO_KEYS) == "email_changed"
            assert refusal(api_keys.revoke, 1, actor=owner) == "email_changed"
            with pytest.raises(Refused):
                email_changes.require_settled(amal)
            time.move_to(now + timedelta(hours=72))
            email_changes.require_settled(amal)
            api_keys.create(owner, name="Till", given=GIVEN_TO_KEYS)
            api_keys.revoke(1, actor=owner)
            mailed_proofs.change(amal, "third@example.com")
        assert user_of(amal).email == "third@example.com"

    def test_undone_at_once_it_is_undone_once(self, app, omar):
        mailed_proofs.change(omar, NEW)
        link = an_undo_link()
        results = at_once(app, [lambda: email_undos.undo(link, new_password=NEXT) for _ in range(4)])
        assert sorted(type(result).__name__ for result in results) == ["NotFound"] * 3 + ["int"]

    def test_an_unknown_link_is_refused(self):
        for token in ("", "x", "\x00", "\ud800"):
            with pytest.raises(NotFound):
                email_undos.undo(token, new_password=NEXT)


def test_both_addresses_are_told(app, omar):
    with Catcher() as catcher, sending(app, catcher):
        mailed_proofs.change(omar, NEW)
        delivery.drain()
        texts = {mail["To"]: text_of(mail) for mail in catcher.mails}
        assert set(texts) == {"omar@example.com", NEW}
        assert "/email-undos/" in texts["omar@example.com"] and "/email-undos/" not in texts[NEW]
        link = texts["omar@example.com"].split("/email-undos/")[1].split()[0]
        email_undos.undo(link, new_password=NEXT)
        delivery.drain()
        assert (catcher.mails[-1]["To"], "undone" in catcher.mails[-1]["Subject"]) == (NEW, True)


def test_a_business_that_answers_to_the_account_answers_to_the_new_email(amal):
    mailed_proofs.change(amal, NEW)
    assert db.session.scalar(select(User.email).where(User.id == amal)) == NEW
