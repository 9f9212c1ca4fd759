"""Proofs of emails: who reads the mailbox has the account, and nobody else."""

import hashlib
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from portal.domain import clock
from portal.errors import TooMany
from portal.extensions import db
from portal.models import Email, EmailProof, User
from portal.services.accounts import password_resets, proofs, registrations, sessions, tokens
from portal.services.accounts.proofs import Asker
from portal.services.mail import delivery
from portal.services.maintenance import retention
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from tests.fixtures import people
from tests.fixtures import proofs as mailed_proofs
from tests.fixtures.concurrency import at_once
from tests.fixtures.mails import Catcher, outbox, sending, text_of
from tests.fixtures.proofs import confirming, mailed
from tests.services.accounts import ATTACKERS, VICTIM, a_browser, invite, refusal, register, user_of

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def confirmed(app):
    """EMAIL_CONFIRMATION=required."""
    with confirming(app):
        yield


class TestCode:
    def test_the_code_proves_in_the_browser_that_asked(self, confirmed):
        nadia = register()
        here, asker = a_browser(nadia)
        there, other = a_browser(nadia)
        proofs.ask(nadia, asker)
        code = mailed("nadia@example.com").code
        assert refusal(proofs.prove, nadia, code, session_id=other.session_id) == ("proof_ended", "browser")
        assert refusal(proofs.prove, nadia, code) == ("proof_ended", "browser")
        assert proofs.prove(nadia, code, session_id=asker.session_id) == nadia
        assert sessions.find(here) and sessions.find(there) is None

    @pytest.mark.parametrize("spelling", ["{0} ", "{1} {2}", "{1}-{2}", "arabic"])
    def test_it_is_read_in_any_digits(self, confirmed, spelling):
        nadia = register()
        proofs.ask(nadia, Asker())
        code = mailed("nadia@example.com").code
        typed = spelling.format(code, code[:3], code[3:])
        if spelling == "arabic":
            typed = code.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
        assert proofs.prove(nadia, typed) == nadia

    def test_five_wrong_tries_end_it(self, confirmed):
        nadia = register()
        proofs.ask(nadia, Asker())
        code = mailed("nadia@example.com").code
        wrong = f"{(int(code) + 1) % 10**6:06}"
        assert [refusal(proofs.prove, nadia, wrong)[0] for _ in range(4)] == ["wrong_code"] * 4
        assert refusal(proofs.prove, nadia, wrong) == ("proof_ended", "tries")
        assert refusal(proofs.prove, nadia, code) == ("proof_ended", "")
        assert refusal(proofs.prove_by_link, mailed("nadia@example.com").token, password="x")[0] == "not_found"

    def test_wrong_tries_at_once_are_all_counted(self, app, confirmed):
        nadia = register()
        proofs.ask(nadia, Asker())
        code = mailed("nadia@example.com").code
        wrong = [f"{(int(code) + n) % 10**6:06}" for n in range(1, 13)]
        results = at_once(app, [lambda typed=typed: proofs.prove(nadia, typed) for typed in wrong])
        assert {type(result).__name__ for result in results} <= {"Invalid", "Refused"}
        db.session.rollback()
        assert db.session.scalar(select(func.sum(EmailProof.wrong_codes))) == 5
        assert not user_of(nadia).is_proven

    def test_fifteen_wrong_codes_a_day_for_one_address(self, confirmed):
        for number in range(3):
            user_id = register(f"nadia{number}", VICTIM)
            proofs.ask(user_id, Asker())
            for _ in range(5):
                refusal(proofs.prove, user_id, "no code")
        victim = register("victim", VICTIM)
        proofs.ask(victim, Asker())
        secrets = mailed(VICTIM)
        with pytest.raises(TooMany) as refused:
            proofs.prove(victim, secrets.code)
        assert (refused.value.code, refused.value.status) == ("code_limit", 429)
        assert proofs.prove_by_link(secrets.token, password=people.PASSWORD) == victim

    def test_it_lapses_after_fifteen_minutes(self, confirmed):
        nadia = register()
        now = clock.now()
        with time_machine.travel(now, tick=False) as time:
            proofs.ask(nadia, Asker())
            secrets = mailed("nadia@example.com")
            time.move_to(now + timedelta(minutes=15))
            assert refusal(proofs.prove, nadia, secrets.code) == ("proof_ended", "")
            assert refusal(proofs.prove_by_link, secrets.token, password=people.PASSWORD)[0] == "not_found"
            time.move_to(now + timedelta(minutes=15, seconds=-1))
            assert proofs.prove(nadia, secrets.code) == nadia

    def test_only_the_newest_works(self, confirmed):
        nadia = register()
        proofs.ask(nadia, Asker())
        old = mailed("nadia@example.com")
        proofs.ask(nadia, Asker())
        new = mailed("nadia@example.com")
        assert refusal(proofs.prove_by_link, old.token, password=people.PASSWORD)[0] == "not_found"
        if old.code != new.code:
            assert refusal(proofs.prove, nadia, old.code)[0] == "wrong_code"
        assert proofs.prove(nadia, new.code) == nadia
        assert refusal(proofs.prove, nadia, new.code)[0] == "proof_ended"

    def test_no_table_holds_code_or_token_in_plain_text_or_under_a_bare_hash(self, app, confirmed):
        nadia = register()
        proofs.ask(nadia, Asker())
        issued = proofs.issue(proofs.pending(nadia).id)
        row = proofs.pending(nadia)
        assert issued.token.encode() not in row.token_hash
        assert issued.code.encode() not in row.code_hash
        assert row.code_hash not in {hashlib.sha256(f"{each:06}".encode()).digest() for each in (0, int(issued.code))}

    def test_two_registrations_of_one_email_race_and_one_wins(self, app, confirmed):
        askers = [register(f"nadia{number}", VICTIM) for number in range(2)]
        issued = []
        for user_id in askers:
            proofs.ask(user_id, Asker())
            issued.append(proofs.issue(proofs.pending(user_id).id))
        calls = [
            lambda user_id=user_id, code=each.code: proofs.prove(user_id, code)
            for user_id, each in zip(askers, issued, strict=True)
        ]
        results = at_once(app, calls * 2)
        winners = {result for result in results if isinstance(result, int)}
        assert len(winners) == 1
        assert {type(result).__name__ for result in results} <= {"int", "Refused"}, results
        db.session.rollback()
        assert db.session.scalars(select(User.id).where(User.has_email(VICTIM))).all() == list(winners)

    def test_registering_a_plan_and_a_proof_at_once_leave_one_holder(self, app, confirmed):
        amal = mailed_proofs.prove(people.amal())
        nadia = register("nadia", VICTIM)
        proofs.ask(nadia, Asker())
        code = proofs.issue(proofs.pending(nadia).id).code
        new = NewPlan(VICTIM, 60_00, 3, people.today_of(amal))
        opened, account = at_once(
            app, [lambda: plans.open_plan(people.owner(amal), new), lambda: proofs.prove(nadia, code)]
        )
        db.session.rollback()
        assert people.plan_of(opened.plan_id).customer_id == account
        assert user_of(account).is_proven


class TestLink:
    def test_elsewhere_it_takes_the_password_of_the_registration(self, confirmed):
        nadia = register()
        token, asker = a_browser(nadia)
        proofs.ask(nadia, asker)
        link = mailed("nadia@example.com").token
        assert refusal(proofs.prove_by_link, link)[0] == "wrong_password"
        assert refusal(proofs.prove_by_link, link, password=ATTACKERS)[0] == "wrong_password"
        assert proofs.prove_by_link(link, password=people.PASSWORD) == nadia
        assert sessions.find(token) is None

    def test_in_the_browser_that_asked_it_takes_nothing(self, confirmed):
        nadia = register()
        token, asker = a_browser(nadia)
        proofs.ask(nadia, asker)
        assert proofs.prove_by_link(mailed("nadia@example.com").token, session_id=asker.session_id) == nadia
        assert sessions.find(token)

    def test_a_victim_who_opens_the_attackers_link_and_chooses_a_password_has_the_account_alone(self, confirmed):
        plan_id = invite().plan_id
        attacker = register("attacker", VICTIM, ATTACKERS)
        session, asker = a_browser(attacker)
        pair = tokens.start(attacker)
        proofs.ask(attacker, asker)
        victim = proofs.prove_by_link(mailed(VICTIM).token, new_password="eleven red kites")
        assert people.plan_of(plan_id).customer_id == victim
        assert sessions.find(session) is None
        with pytest.raises(tokens.BadToken):
            tokens.find(pair.access)
        with pytest.raises(tokens.BadToken):
            tokens.refresh(pair.refresh)
        for login in ("attacker", VICTIM):
            with pytest.raises(sessions.BadCredentials):
                sessions.authenticate(login, ATTACKERS)
            assert sessions.authenticate(login, "eleven red kites") == victim

    def test_a_new_password_is_a_good_one(self, confirmed):
        nadia = register()
        proofs.ask(nadia, Asker())
        link = mailed("nadia@example.com").token
        assert refusal(proofs.prove_by_link, link, new_password="short")[0] == "password_too_short"
        assert proofs.prove_by_link(link, new_password="eleven red kites") == nadia

    @pytest.mark.parametrize("token", ["", "x", "\x00", "\ud800", "x" * 5000])
    def test_an_unknown_link_is_refused(self, token):
        assert refusal(proofs.prove_by_link, token, password="x")[0] == "not_found"


class TestBounds:
    def test_five_proofs_an_hour_and_ten_a_day_go_to_an_address(self, confirmed):
        now = clock.now()
        with time_machine.travel(now, tick=False) as time:
            for number in range(5):
                proofs.ask(register(f"nadia{number}", VICTIM), Asker())
            sixth = register("sixth", VICTIM)
            for hours in (0, 0.99):
                time.move_to(now + timedelta(hours=hours))
                with pytest.raises(TooMany) as refused:
                    proofs.ask(sixth, Asker())
                assert (refused.value.code, refused.value.limit) == ("mail_limit", 5)
            time.move_to(now + timedelta(hours=1, seconds=1))
            for _ in range(5):
                proofs.ask(sixth, Asker())
            time.move_to(now + timedelta(hours=3))
            assert refusal(proofs.ask, sixth, Asker()) == ("mail_limit", "proofs")
            time.move_to(now + timedelta(hours=24, seconds=1))
            proofs.ask(sixth, Asker())
        assert db.session.scalar(select(func.count(EmailProof.id))) == 11

    def test_a_known_email_counts_alike(self, confirmed):
        mailed_proofs.prove(people.amal())
        nadia = [register(f"nadia{number}", "amal@example.com") for number in range(5)]
        for user_id in nadia[:4]:
            proofs.ask(user_id, Asker())
        assert refusal(proofs.ask, nadia[4], Asker()) == ("mail_limit", "proofs")

    def test_a_stranger_elsewhere_uses_up_neither_the_mails_nor_the_code_of_the_owner(self, confirmed):
        stranger, owner = Asker("198.51.100.9"), Asker("203.0.113.5")
        for number in range(5):
            squatter = register(f"squatter{number}", VICTIM)
            proofs.ask(squatter, stranger)
            for _ in range(3):
                refusal(proofs.prove, squatter, "no code")
        assert refusal(proofs.ask, register("sixth", VICTIM), stranger) == ("mail_limit", "proofs")
        victim = register("victim", VICTIM)
        proofs.ask(victim, owner)
        assert proofs.prove(victim, mailed(VICTIM).code) == victim

    def test_a_stranger_who_asks_for_a_new_password_leaves_the_code_of_the_owner(self, confirmed):
        nadia = register()
        proofs.ask(nadia, Asker("203.0.113.5"))
        code = mailed("nadia@example.com").code
        for _ in range(6):
            password_resets.ask("nadia", address="198.51.100.9")
        assert proofs.prove(nadia, code) == nadia

    def test_all_addresses_together_get_twice_as_much(self, confirmed):
        users = [register(f"nadia{number}", VICTIM) for number in range(11)]
        for number, user_id in enumerate(users[:10]):
            proofs.ask(user_id, Asker(f"198.51.100.{number}"))
        with pytest.raises(TooMany) as refused:
            proofs.ask(users[10], Asker("203.0.113.5"))
        assert (refused.value.code, refused.value.limit) == ("mail_limit", 10)
        for user_id in users[:6]:
            for _ in range(5):
                refusal(proofs.prove, user_id, "no code")
        assert refusal(proofs.prove, users[9], "no code")[0] == "code_limit"

    def test_asks_at_once_are_all_counted(self, app, confirmed):
        nadia = [register(f"nadia{number}", VICTIM) for number in range(8)]
        results = at_once(app, [lambda user_id=user_id: proofs.ask(user_id, Asker()) for user_id in nadia])
        assert sorted(type(result).__name__ for result in results) == ["NoneType"] * 5 + ["TooMany"] * 3

    def test_registrations_that_leave_still_count(self, confirmed):
        for number in range(5):
            user_id = register(f"nadia{number}", VICTIM)
            proofs.ask(user_id, Asker())
            registrations.leave(user_id)
        assert refusal(proofs.ask, register("sixth", VICTIM), Asker()) == ("mail_limit", "proofs")

    def test_one_registration_mails_five_addresses_an_hour(self, confirmed):
        nadia = register()
        for number in range(5):
            proofs.correct(nadia, f"victim{number}@example.com", Asker())
        assert refusal(proofs.correct, nadia, "victim5@example.com", Asker()) == ("mail_limit", "proofs")

    def test_old_proofs_are_deleted_after_a_week(self, confirmed):
        proofs.ask(register(), Asker())
        with time_machine.travel(clock.now() + timedelta(days=7, seconds=1)):
            retention.purge_expired()
        assert db.session.scalar(select(func.count(EmailProof.id))) == 0


@pytest.mark.parametrize("known", [True, False])
def test_a_mail_about_a_known_email_goes_to_its_own_spelling(app, confirmed, known):
    if known:
        mailed_proofs.prove(register("victim", VICTIM))
    else:
        people.a_plan(mailed_proofs.prove(people.amal()), VICTIM)
    proofs.ask(register("attacker", "VICTIM@example.com"), Asker())
    with Catcher() as catcher, sending(app, catcher):
        delivery.drain()
    assert VICTIM in {mail["To"] for mail in catcher.mails}
    assert "VICTIM@example.com" not in {mail["To"] for mail in catcher.mails}


def test_a_mail_that_waited_for_a_day_is_not_sent(confirmed):
    proofs.ask(register(), Asker())
    with time_machine.travel(clock.now() + timedelta(days=1, seconds=1)):
        delivery.drain()
        assert [(mail.state, mail.last_error) for mail in outbox()] == [("dropped", "too_old")]


def test_a_mail_that_waited_for_an_hour_still_works(confirmed):
    nadia = register()
    proofs.ask(nadia, Asker())
    with time_machine.travel(clock.now() + timedelta(hours=1)):
        assert proofs.prove_by_link(mailed("nadia@example.com").token, password=people.PASSWORD) == nadia


def test_the_sent_mail_keeps_neither_link_nor_code(app, confirmed):
    proofs.ask(register(), Asker("192.0.2.7"))
    with Catcher() as catcher, sending(app, catcher):
        delivery.drain()
    (sent,) = catcher.mails
    secrets = mailed_proofs.read(text_of(sent))
    kept = db.session.scalars(select(Email.body)).one()
    assert secrets.code not in kept and secrets.token not in kept and secrets.code not in sent["Subject"]
    assert sent["To"] == "nadia@example.com" and "192.0.2.7" in text_of(sent)
