"""Second factors: apps, recovery codes, sign-ins in two steps, and who is told."""

import contextlib
from dataclasses import replace

import pytest
import time_machine
from sqlalchemy import select

from portal.config import Settings
from portal.domain import clock
from portal.errors import Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import Email, RecoveryCode, SecurityEvent, SignInStep, TotpSecret
from portal.services.accounts import email_changes, hats, password_resets, sessions, tokens
from portal.services.maintenance import retention
from portal.services.operations import account_deactivations, lost_factors
from portal.services.privacy import erasures
from portal.services.security import recovery_codes, sealing, second_factors, sign_in_steps
from tests.fixtures import operations, people, proofs
from tests.fixtures.concurrency import at_once
from tests.services.security import factors

pytestmark = pytest.mark.usefixtures("context")


def refusal(call, *args):
    with pytest.raises((Refused, Invalid, NotFound)) as refused:
        call(*args)
    return refused.value.code, refused.value.about if not isinstance(refused.value, Invalid) else "fault"


def mails_of(user_id):
    kinds = db.session.scalars(select(Email.kind).where(Email.to_user_id == user_id).order_by(Email.id)).all()
    db.session.rollback()
    return kinds


def events_of(user_id):
    query = select(SecurityEvent.kind).where(SecurityEvent.user_id == user_id).order_by(SecurityEvent.id)
    kinds = db.session.scalars(query).all()
    db.session.rollback()
    return kinds


def test_an_app_counts_once_its_first_code_was_right(omar):
    second_factors.begin_app(omar)
    assert not second_factors.is_on(omar)
    assert refusal(second_factors.confirm_app, omar, "000000")[0] == "wrong_code"
    codes = second_factors.confirm_app(omar, factors.code_of(omar))
    assert second_factors.is_on(omar) and len(set(codes)) == recovery_codes.COUNT
    assert refusal(second_factors.begin_app, omar)[0] == "factor_on"
    assert second_factors.pending_secret(omar) is None, "the secret is not shown again"
    assert mails_of(omar)[-1] == "factor_added" and events_of(omar)[-1] == "factor_added"


def test_the_first_factor_and_the_end_of_one_end_other_sessions_and_tokens(omar):
    def enter():
        own = sessions.start(omar)
        return own, sessions.find(own).id, sessions.start(omar), tokens.start(omar).refresh

    def live(own, other, refresh):
        with contextlib.suppress(tokens.BadToken):
            return bool(sessions.find(own)), bool(sessions.find(other)), bool(tokens.refresh(refresh))
        return bool(sessions.find(own)), bool(sessions.find(other)), False

    own, session_id, other, refresh = enter()
    second_factors.begin_app(omar)
    assert live(own, other, refresh) == (True, True, True), "nothing is on yet"
    own, session_id, other, refresh = enter()
    second_factors.confirm_app(omar, factors.code_of(omar), keep_session_id=session_id)
    assert live(own, other, refresh) == (True, False, False)
    own, session_id, other, refresh = enter()
    second_factors.renew_codes(omar)
    assert live(own, other, refresh) == (True, True, True)
    own, session_id, other, refresh = enter()
    second_factors.remove_app(omar, keep_session_id=session_id)
    assert live(own, other, refresh) == (True, False, False)


def test_an_operators_removal_of_lost_factors_ends_every_sign_in(omar):
    factors.turn_on(omar)
    session, pair = sessions.start(omar), tokens.start(omar)
    lost_factors.ask(omar, actor=None, reason="Lost")
    assert sessions.find(session)
    with time_machine.travel(clock.now() + lost_factors.WAIT):
        assert lost_factors.remove_due() == 1
    assert sessions.find(session) is None
    with pytest.raises(tokens.BadToken):
        tokens.refresh(pair.refresh)


def test_a_code_works_once_and_no_earlier_one_after_it(omar):
    with time_machine.travel(clock.now(), tick=False):
        factors.turn_on(omar)
        now, before = factors.code_of(omar), factors.code_of(omar, -1)
        assert not factors.check(omar, before), "it turned the app on"
        assert factors.check(omar, f" {now[:3]} {now[3:]} ")
        assert not factors.check(omar, now)
        assert factors.check(omar, factors.code_of(omar, 1)), "a clock that is ahead"
        assert not factors.check(omar, factors.code_of(omar, 3))
    with time_machine.travel(clock.now() + 5 * factors.STEP):
        assert factors.check(omar, factors.code_of(omar))


def test_one_code_sent_twice_at_once_works_once(app, omar):
    factors.turn_on(omar)
    code = factors.code_of(omar)
    assert sorted(at_once(app, [lambda: factors.check(omar, code)] * 4)) == [False] * 3 + [True]


def test_recovery_codes_raced_work_once_each(app, omar):
    first, second = factors.turn_on(omar)[:2]
    used = at_once(app, [lambda code=code: factors.check(omar, code) for code in [first] * 4 + [second] * 4])
    assert sorted(used) == [False] * 6 + [True] * 2
    assert second_factors.state(omar).codes_left == 8
    assert mails_of(omar).count("recovery_code_used") == 2 == events_of(omar).count("recovery_code_used")


def test_a_code_of_another_account_does_not_work(omar):
    sara = people.sara()
    codes = factors.turn_on(omar)
    factors.turn_on(sara)
    assert not factors.check(sara, codes[0]) and not factors.check(sara, factors.code_of(omar))
    assert second_factors.state(omar).codes_left == 10


def test_new_codes_end_the_old_ones(omar):
    old = factors.turn_on(omar)[0]
    new = second_factors.renew_codes(omar)
    assert not factors.check(omar, old)
    assert factors.check(omar, new[0].upper().replace("-", " "))
    assert "recovery_codes_made" in mails_of(omar)


def test_without_its_last_factor_an_account_has_no_recovery_codes(omar):
    codes = factors.turn_on(omar)
    second_factors.remove_app(omar)
    assert not second_factors.is_on(omar) and not factors.check(omar, codes[0])
    assert refusal(second_factors.remove_app, omar)[0] == refusal(second_factors.renew_codes, omar)[0] == "not_found"
    assert mails_of(omar)[-1] == "factor_removed"


def test_five_wrong_codes_end_the_sign_in_and_the_account_is_told(omar):
    factors.turn_on(omar)
    token = sign_in_steps.start(omar)
    assert [refusal(sign_in_steps.use_code, token, "000000")[0] for _ in range(4)] == ["wrong_code"] * 4
    assert refusal(sign_in_steps.use_code, token, "000000") == ("sign_in_ended", "tries")
    assert refusal(sign_in_steps.use_code, token, factors.code_of(omar)) == ("sign_in_ended", "")
    assert mails_of(omar)[-1] == "factor_failed" and events_of(omar).count("factor_failed") == 5


def test_wrong_codes_spread_over_sign_ins_and_the_api_are_told_too(omar):
    factors.turn_on(omar)
    for _ in range(2):
        token = sign_in_steps.start(omar)
        assert [refusal(sign_in_steps.use_code, token, "000000")[0] for _ in range(2)] == ["wrong_code"] * 2
    assert "factor_failed" not in mails_of(omar)
    assert second_factors.start_tokens(omar, hats.DEFAULT, "000000") is None
    assert mails_of(omar)[-1] == "factor_failed"


def test_a_new_password_and_a_deactivation_end_a_sign_in_that_waits_for_a_code(omar):
    factors.turn_on(omar)
    waiting = sign_in_steps.start(omar)
    password_resets.use(password_resets.make(omar), new="a quiet blue kettle")
    assert refusal(sign_in_steps.use_code, waiting, factors.code_of(omar)) == ("sign_in_ended", "")
    waiting = sign_in_steps.start(omar)
    account_deactivations.deactivate(omar, actor=operations.olga(), reason="Stolen")
    account_deactivations.reactivate(omar, actor=None, reason="Found")
    assert refusal(sign_in_steps.use_code, waiting, factors.code_of(omar)) == ("sign_in_ended", "")


def test_a_refused_hat_leaves_the_code_unused(omar):
    amal = people.amal()
    factors.turn_on(omar)
    code = factors.code_of(omar)
    assert refusal(second_factors.start_tokens, omar, amal, code)[0] == "unknown_merchant"
    assert second_factors.start_tokens(omar, None, code) is not None


def test_an_app_whose_secret_no_key_opens_works_no_more_and_is_set_up_again(app, omar, monkeypatch):
    factors.turn_on(omar)
    other = replace(app.config["QIST"], secret_key="another-0123456789abcdefghijklmnopqrstuv")
    monkeypatch.setitem(app.config, "QIST", other)
    assert not factors.check(omar, "123456")
    second_factors.begin_app(omar)
    assert second_factors.confirm_app(omar, factors.code_of(omar)) == []
    assert second_factors.is_on(omar)


def test_a_step_is_used_once_and_lapses(omar):
    factors.turn_on(omar)
    token = sign_in_steps.start(omar)
    assert sign_in_steps.use_code(token, factors.code_of(omar)) == omar
    assert refusal(sign_in_steps.use_code, token, factors.code_of(omar, 1))[0] == "sign_in_ended"
    late = sign_in_steps.start(omar)
    with time_machine.travel(clock.now() + sign_in_steps.LIFETIME):
        assert refusal(sign_in_steps.use_code, late, factors.code_of(omar))[0] == "sign_in_ended"
        retention.purge_expired()
        assert db.session.scalar(select(SignInStep.id)) is None


def test_no_factor_changes_while_the_email_can_be_given_back(omar):
    factors.turn_on(omar)
    proofs.change(omar, "omar-2@example.com")
    assert email_changes.open_until(omar) is not None
    db.session.rollback()
    assert refusal(second_factors.remove_app, omar)[0] == "email_changed"
    assert refusal(second_factors.renew_codes, omar)[0] == "email_changed"


def test_no_secret_is_stored_in_plain_text(omar):
    codes = factors.turn_on(omar)
    second_factors.begin_app(people.sara())
    rows = [row.sealed for row in db.session.scalars(select(TotpSecret))]
    rows += [row.code_hash for row in db.session.scalars(select(RecoveryCode))]
    db.session.rollback()
    assert not any(code.replace("-", "").encode() in row for code in codes for row in rows)


def test_a_sealed_text_opens_for_its_row_and_under_the_keys_before(app, monkeypatch):
    sealed = sealing.seal("second factors v1", "secret", about="7")
    changed = sealed[:-9] + (b"y" if sealed[-9:-8] == b"x" else b"x") + sealed[-8:]
    for purpose, about, text in (
        ("second factors v1", "8", sealed),
        ("kept forms v1", "7", sealed),
        ("second factors v1", "7", changed),
        ("second factors v1", "7", b"\xff"),
    ):
        with pytest.raises(sealing.Unopenable):
            sealing.unseal(purpose, text, about=about)
    settings: Settings = app.config["QIST"]
    newer = replace(settings, secret_key="n" * 20 + "ewer-key-7261904", secret_keys_previous=(settings.secret_key,))
    monkeypatch.setitem(app.config, "QIST", newer)
    assert sealing.unseal("second factors v1", sealed, about="7") == "secret"
    monkeypatch.setitem(app.config, "QIST", replace(newer, secret_keys_previous=()))
    with pytest.raises(sealing.Unopenable):
        sealing.unseal("second factors v1", sealed, about="7")


def test_erasure_takes_the_factors_along(omar):
    factors.turn_on(omar)
    sign_in_steps.start(omar)
    erasures.erase(omar, password=people.PASSWORD)
    for table in (TotpSecret, RecoveryCode, SignInStep):
        assert db.session.scalar(select(table)) is None
