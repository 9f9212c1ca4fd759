"""Lost second factors: asked for by an operator, told at once, done a day later, and stopped by the mailed link."""

import re

import pytest
import time_machine

from portal.domain import clock
from portal.errors import Forbidden, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import Email, SecurityEvent
from portal.services.accounts import email_changes
from portal.services.mail import delivery
from portal.services.operations import lost_factors
from portal.services.security import second_factors
from tests.fixtures import operations, people, proofs
from tests.services.security import factors

pytestmark = pytest.mark.usefixtures("context")


def refusal(call, *args, **kwargs):
    with pytest.raises((Refused, Forbidden, Invalid, NotFound)) as refused:
        call(*args, **kwargs)
    return refused.value.code


def mailed_token(user_id):
    delivery.drain()
    mail = db.session.scalars(
        db.select(Email)
        .where(Email.kind == "factor_removal_asked", Email.to_user_id == user_id)
        .options(db.undefer(Email.body))
    ).one()
    match = re.search(r"/factor-removals/(\S+)", mail.body or "")
    assert match
    return match[1]


def kinds(user_id):
    found = db.session.scalars(db.select(SecurityEvent.kind).where(SecurityEvent.user_id == user_id)).all()
    db.session.rollback()
    return found


def test_the_factors_end_a_day_after_an_operator_asked(omar):
    olga = operations.olga()
    codes = factors.turn_on(omar)
    lost_factors.ask(omar, actor=olga, reason="Phone in the sea")
    assert operations.acts() == [("factor_removal_asked", olga.user_id, "Phone in the sea")]
    assert "factor_removal_asked" in operations.mails_to(omar)
    assert lost_factors.remove_due() == 0 and second_factors.is_on(omar)
    with time_machine.travel(clock.now() + lost_factors.WAIT):
        assert lost_factors.remove_due() == 1 and lost_factors.remove_due() == 0
        assert not second_factors.is_on(omar) and not factors.check(omar, codes[0])
    assert "factor_removed" in kinds(omar) and operations.mails_to(omar)[-1] == "factor_removed"


def test_nothing_is_removed_while_the_old_address_can_undo_a_change_of_the_email(omar):
    factors.turn_on(omar)
    lost_factors.ask(omar, actor=operations.olga(), reason="Lost")
    proofs.change(omar, "thief@example.com")
    lost_factors.stop(mailed_token(omar))
    assert refusal(lost_factors.ask, omar, actor=operations.olga(), reason="Lost") == "email_changed"


def test_a_removal_waits_for_the_end_of_that_time(omar):
    factors.turn_on(omar)
    lost_factors.ask(omar, actor=operations.olga(), reason="Lost")
    proofs.change(omar, "thief@example.com")
    with time_machine.travel(clock.now() + lost_factors.WAIT):
        assert lost_factors.remove_due() == 0 and second_factors.is_on(omar)
    with time_machine.travel(clock.now() + email_changes.UNDO):
        assert lost_factors.remove_due() == 1


def test_the_mailed_link_stops_it_once(omar):
    factors.turn_on(omar)
    lost_factors.ask(omar, actor=operations.olga(), reason="Lost")
    token = mailed_token(omar)
    lost_factors.stop(token)
    assert refusal(lost_factors.stop, token) == "not_found" and lost_factors.find(token) is None
    with time_machine.travel(clock.now() + lost_factors.WAIT):
        assert lost_factors.remove_due() == 0
    assert second_factors.is_on(omar) and kinds(omar)[-1] == "factor_removal_stopped"
    lost_factors.ask(omar, actor=None, reason="Again")


def test_who_may_ask_and_for_what(omar):
    olga = operations.olga()
    assert refusal(lost_factors.ask, omar, actor=olga, reason="Lost") == "no_factor"
    factors.turn_on(omar)
    factors.turn_on(olga.user_id)
    assert refusal(lost_factors.ask, omar, actor=people.actor_of(omar), reason="Lost") == "forbidden"
    assert refusal(lost_factors.ask, olga.user_id, actor=olga, reason="Lost") == "own_account"
    assert refusal(lost_factors.ask, omar, actor=olga, reason=" ") == "required"
    assert refusal(lost_factors.ask, 999_999, actor=olga, reason="Lost") == "not_found"
    lost_factors.ask(omar, actor=olga, reason="Lost")
    assert refusal(lost_factors.ask, omar, actor=olga, reason="Lost") == "removal_waits"
