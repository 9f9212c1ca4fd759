"""A deactivated account: what ends, what goes on, and which mails still go out."""

import pytest

from portal.domain import permissions
from portal.domain.permissions import GIVEN_TO_KEYS
from portal.errors import Forbidden, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import Email, User
from portal.services import emails
from portal.services.accounts import api_keys, password_resets, sessions, tokens
from portal.services.accounts.sessions import AccountDeactivated
from portal.services.accounts.tokens import BadToken
from portal.services.mail import delivery
from portal.services.operations import account_deactivations
from portal.services.payments import automatic, payment_methods, refunds
from portal.services.unit_of_work import unit_of_work
from tests.fixtures import operations, people

pytestmark = pytest.mark.usefixtures("context")


def deactivate(user_id: int, reason: str = "Stolen") -> None:
    account_deactivations.deactivate(user_id, actor=operations.olga(), reason=reason)


def test_sessions_tokens_keys_and_reset_links_end_for_good() -> None:
    amal = people.amal()
    session, pair = sessions.start(amal), tokens.start(amal)
    key = api_keys.create(people.owner(amal), name="Till", given=GIVEN_TO_KEYS)
    reset = password_resets.make(amal)
    assert reset is not None and sessions.find(session) is not None and api_keys.find(key)
    deactivate(amal)
    for reactivated in (False, True):
        if reactivated:
            account_deactivations.reactivate(amal, actor=operations.olga(), reason="A mistake")
        assert sessions.find(session) is None
        assert password_resets.find(reset) is None
        for call in (
            lambda: tokens.find(pair.access),
            lambda: tokens.refresh(pair.refresh),
            lambda: api_keys.find(key),
        ):
            with pytest.raises(BadToken):
                call()
    assert sessions.authenticate("amal", people.PASSWORD) == amal


def test_only_the_right_password_learns_that_the_account_is_deactivated() -> None:
    omar = people.omar()
    deactivate(omar)
    with pytest.raises(AccountDeactivated):
        sessions.authenticate("OMAR@example.com", people.PASSWORD)
    with pytest.raises(sessions.BadCredentials):
        sessions.authenticate("omar", "another password")


def test_the_keys_of_other_members_and_the_business_go_on() -> None:
    amal = people.amal()
    nour = people.a_member("nour", amal, "owner")
    key = api_keys.create(permissions.member(nour, amal, "owner"), name="Shop", given=GIVEN_TO_KEYS)
    deactivate(amal)
    assert api_keys.find(key).merchant_id == amal
    people.omar()
    assert people.plan_of(people.a_plan(amal)).state == "active"


def test_every_operator_and_the_person_are_mailed_and_the_act_is_recorded() -> None:
    olga, omar = operations.olga(), people.omar()
    second = people.accounts.create_operator("otto", "otto@example.com", people.PASSWORD)
    deactivate(omar, " Stolen   card ")
    assert operations.acts() == [("account_deactivated", olga.user_id, "Stolen   card")]
    for operator_id in (olga.user_id, second):
        assert operations.mails_to(operator_id) == ["operator_act"]
    assert operations.mails_to(omar) == ["account_deactivated"]
    delivery.drain()
    mail = db.session.scalars(db.select(Email).where(Email.kind == "account_deactivated")).one()
    assert (mail.state, mail.subject) == ("kept", "Your account is deactivated")
    mail = db.session.scalars(db.select(Email).where(Email.kind == "operator_act")).first()
    assert mail is not None and mail.subject == "Operators: olga deactivated the account of omar."


def test_only_mails_about_refunds_still_go_out() -> None:
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal)
    people.pay(people.installments_of(plan_id)[0].id, omar)
    delivery.drain()
    deactivate(omar)
    refunds.refund(plan_id, actor=people.owner(amal), amount=1_00, reason="Sorry")

    @unit_of_work
    def post() -> None:
        emails.post("password_reset", to_user_id=omar, dedupe_key="password_reset:1:x")

    post()
    delivery.drain()
    assert operations.states_of("refund") == ["kept"]
    assert operations.states_of("password_reset") == ["dropped"]


def test_nothing_is_collected_from_a_deactivated_person() -> None:
    amal, omar = people.amal(), people.omar()
    plan_id = people.a_plan(amal, first=0)
    method_id = payment_methods.save(omar, "card_ok").method_id
    automatic.turn_on(plan_id, customer_id=omar, method_id=method_id)
    deactivate(omar)
    db.session.execute(db.text("UPDATE merchants SET sending_hour = 0"))
    db.session.commit()
    assert automatic.collect_automatic_payments() == 0
    account_deactivations.reactivate(omar, actor=operations.olga(), reason="A mistake")
    assert automatic.collect_automatic_payments() == 1


def test_an_unclaimed_record_is_deactivated_without_a_mail() -> None:
    amal = people.amal()
    people.a_plan(amal, "nadia@example.com")
    nadia = db.session.scalars(db.select(User.id).where(User.email == "nadia@example.com")).one()
    deactivate(nadia)
    assert operations.mails_to(nadia) == ["invitation"]
    with pytest.raises(Invalid):
        people.a_plan(amal, "nadia@example.com")


def test_refusals_change_nothing() -> None:
    olga, omar, amal = operations.olga(), people.omar(), people.amal()
    for actor in (permissions.customer(omar), people.owner(amal)):
        with pytest.raises(Forbidden):
            account_deactivations.deactivate(omar, actor=actor, reason="x")
        with pytest.raises(Forbidden):
            account_deactivations.reactivate(omar, actor=actor, reason="x")
    with pytest.raises(Invalid):
        deactivate(omar, "  ")
    with pytest.raises(NotFound):
        deactivate(2**40)
    for user_id, code in ((olga.user_id, "own_account"),):
        with pytest.raises(Refused, match=code):
            deactivate(user_id)
    with pytest.raises(Refused, match="last_operator"):
        account_deactivations.deactivate(olga.user_id, actor=None, reason="x")
    with pytest.raises(Refused, match="not_deactivated"):
        account_deactivations.reactivate(omar, actor=olga, reason="x")
    assert operations.acts() == []
    deactivate(omar)
    with pytest.raises(Refused, match="already_deactivated"):
        deactivate(omar)
    assert len(operations.acts()) == 1
