"""Registrations whose email is not proven: what they hold, what they can do, and how they become an account."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from portal import access
from portal.domain import clock
from portal.errors import Invalid, NotFound
from portal.extensions import Model, db
from portal.models import (
    EmailProof,
    Invitation,
    KeptForm,
    Membership,
    Merchant,
    OperatorAct,
    SignInCode,
    SignInStep,
    User,
)
from portal.services.accounts import accounts, hats, password_resets, proofs, registrations, sessions, tokens
from portal.services.accounts.accounts import NewAccount
from portal.services.accounts.proofs import Asker
from portal.services.mail import delivery
from portal.services.maintenance import retention
from portal.services.operations import account_deactivations, approvals, merchant_deactivations
from portal.services.plans import invitations, plans
from portal.services.plans.plans import NewPlan
from portal.services.security import kept_forms, sign_in_codes, sign_in_steps
from tests.fixtures import operations, people
from tests.fixtures import proofs as mailed_proofs
from tests.fixtures.mails import outbox
from tests.fixtures.proofs import confirming, mailed
from tests.services.accounts import ATTACKERS, VICTIM, a_browser, invite, refusal, register, user_of

pytestmark = pytest.mark.usefixtures("context")

GOES_BY_ITSELF = {"emails", "email_proofs", "operator_acts", "memberships"}
"""Tables whose rows of a registration `registrations._remove` handles one by one."""
PROVEN_ONLY = {
    *("acceptances", "api_keys", "customers", "disputes", "email_changes", "events", "factor_removals", "imports"),
    *("ledger_entries", "mutes", "passkeys", "payment_methods", "payments", "plan_drafts", "plans", "recovery_codes"),
    *("refunds", "reschedule_proposals", "shop_reports", "team_invitations", "totp_secrets", "webhook_endpoints"),
}
"""Tables with rows of proven accounts and of records alone: a registration that is not proven may do none of it."""


@pytest.fixture
def confirmed(app):
    """EMAIL_CONFIRMATION=required."""
    with confirming(app):
        yield


def squat(what):
    """A stranger registers a shop with the victim's email, and an operator acts on it. Returns its id."""
    olga = operations.olga()
    stranger = register("shop", VICTIM, role="merchant", business_name="Shop", home_currency="SAR", time_zone="UTC")
    if what == "declined":
        db.session.get_one(Merchant, stranger).approved_at = None
        db.session.commit()
        approvals.decline(stranger, actor=olga, reason="Spam")
    elif what == "deactivated":
        merchant_deactivations.deactivate(stranger, actor=olga, reason="Spam")
    else:
        account_deactivations.deactivate(stranger, actor=olga, reason="Spam")
    return stranger


def _leave_half_done(user_id, what):
    """A row that a sign-in or a form of this registration left behind."""
    if what == "form":
        kept_forms.keep(user_id, "/account/email/proof", [])
    elif what == "step":
        sign_in_steps.start(user_id)
    else:
        sign_in_codes.allow(user_id, "browser")
    tables = {"form": KeptForm, "step": SignInStep, "code": SignInCode}
    assert db.session.scalar(select(func.count()).select_from(tables[what])) == 1


class TestRegistration:
    def test_without_confirmation_a_new_email_is_proven_at_once(self):
        assert user_of(register()).is_proven
        assert outbox() == []

    def test_with_confirmation_every_registration_waits(self, confirmed):
        nadia = register()
        assert not user_of(nadia).is_proven
        assert mailed_proofs.prove(nadia) == nadia
        assert user_of(nadia).is_proven

    def test_a_known_email_and_an_unknown_one_give_the_same_result(self, confirmed):
        mailed_proofs.prove(people.amal())
        known, unknown = register("one", "AMAL@example.com"), register("two", "new@example.com")
        for user_id in (known, unknown):
            proofs.ask(user_id, Asker())
            assert (user_of(user_id).is_proven, proofs.pending(user_id).wrong_codes) == (False, 0)
            assert refusal(proofs.prove, user_id, "000000") == ("wrong_code", "")
        waiting = [(mail.kind, mail.to_user_id) for mail in outbox() if mail.state == "waiting"]
        amal = db.session.scalar(select(User.id).where(User.has_username("amal")))
        assert waiting[-2:] == [("email_known", amal), ("email_proof", unknown)]

    def test_the_owner_of_a_known_email_is_told_and_gets_no_code(self, confirmed, app):
        amal = mailed_proofs.prove(people.amal())
        proofs.ask(register("zanzibar", "amal@example.com"), Asker("192.0.2.7"))
        delivery.drain()
        mail = outbox()[-1]
        assert (mail.kind, mail.to_user_id) == ("email_known", amal)
        assert "You have an account already" in mail.subject
        assert "192.0.2.7" in mail.body and "zanzibar" not in mail.body
        assert db.session.scalars(select(EmailProof.code_hash).order_by(EmailProof.id.desc())).first() is None

    def test_a_registration_holds_no_email(self, confirmed):
        attacker = register("attacker", VICTIM, ATTACKERS)
        plan_id = invite().plan_id
        assert people.plan_of(plan_id).customer_id != attacker
        victim = mailed_proofs.prove(register("victim", VICTIM))
        assert people.plan_of(plan_id).customer_id == victim
        assert user_of(attacker) is None

    def test_a_registration_with_the_email_as_its_username_keeps_it_from_nobody(self, confirmed):
        register("attacker", VICTIM, ATTACKERS)
        first = accounts.register(NewAccount("customer", VICTIM, VICTIM, ATTACKERS))
        second = accounts.register(NewAccount("customer", VICTIM, VICTIM, people.PASSWORD))
        assert mailed_proofs.prove(second) == second
        assert sessions.authenticate(VICTIM, people.PASSWORD) == second
        assert user_of(first) is None

    def test_the_same_registration_again_is_the_same_account(self, confirmed):
        nadia = register()
        assert register() == nadia
        with pytest.raises(Invalid):
            register(password=ATTACKERS)
        mailed_proofs.prove(nadia)
        with pytest.raises(Invalid):
            register()

    def test_it_can_do_nothing_but_prove(self, confirmed):
        merchant = register("shop", role="merchant", business_name="Shop", home_currency="SAR", time_zone="Asia/Riyadh")
        actor = hats.actor_of(user_of(merchant), merchant)
        assert (actor.merchant_id, actor.permissions, actor.is_proven) == (None, frozenset(), False)
        assert refusal(plans.open_plan, actor, NewPlan("x@example.com", 100, 1, clock.today("UTC"))) == (
            "email_unproven",
            "",
        )
        assert hats.of_session(sessions.find(a_browser(merchant)[0])) == ()
        pair = tokens.start(merchant)
        assert not tokens.actor_of(tokens.find(pair.access)).is_proven

    def test_seven_days_later_the_username_is_free(self, confirmed):
        shop = register("shop", role="merchant", business_name="Shop", home_currency="SAR", time_zone="UTC")
        _, asker = a_browser(shop)
        proofs.ask(shop, asker)
        delivery.drain()
        with time_machine.travel(clock.now() + timedelta(days=6, hours=23)):
            retention.purge_expired()
            assert user_of(shop)
        with time_machine.travel(clock.now() + timedelta(days=7, seconds=1)):
            retention.purge_expired()
            assert user_of(shop) is None
            assert db.session.scalar(select(func.count(Merchant.id))) == 0
            register("shop", "other@example.com")

    def test_leaving_removes_the_registration_and_its_business(self, confirmed):
        shop = register("shop", role="merchant", business_name="Shop", home_currency="SAR", time_zone="UTC")
        token, asker = a_browser(shop)
        proofs.ask(shop, asker)
        registrations.leave(shop)
        assert sessions.find(token) is None
        assert user_of(shop) is None
        assert db.session.scalar(select(func.count(Merchant.id))) == 0

    @pytest.mark.parametrize("what", ["declined", "deactivated", "account"])
    def test_an_operators_act_on_a_registration_keeps_nobody_from_its_email(self, confirmed, what):
        """The act refers to a business or an account that goes when the owner of the email proves it."""
        stranger = squat(what)
        mine = register("victim", VICTIM)
        assert mailed_proofs.prove(mine) == mine
        assert user_of(stranger) is None
        delivery.drain()
        assert {mail.state for mail in outbox() if mail.kind == "operator_act"} == {"dropped"}

    def test_an_operators_act_on_a_registration_stops_no_purge(self, confirmed):
        strangers = [squat("declined"), register("nadia")]
        with time_machine.travel(clock.now() + timedelta(days=7, seconds=1)):
            assert registrations.purge() == 2
        assert [user_of(stranger) for stranger in strangers] == [None, None]

    def test_an_account_that_was_reactivated_before_its_proof_becomes_that_of_its_plans(self, confirmed):
        record = invite().plan.customer_id
        mine, olga = register("victim", VICTIM), operations.olga()
        account_deactivations.deactivate(mine, actor=olga, reason="Spam")
        account_deactivations.reactivate(mine, actor=olga, reason="A mistake")
        assert mailed_proofs.prove(mine) == record
        assert db.session.scalars(select(OperatorAct.user_id)).all() == [record, record]

    @pytest.mark.parametrize("what", ["form", "step", "code"])
    def test_what_a_stranger_left_half_done_keeps_nobody_from_the_email(self, confirmed, what):
        squatter = register("squatter", VICTIM, ATTACKERS)
        _leave_half_done(squatter, what)
        victim = register("victim", VICTIM)
        assert mailed_proofs.prove(victim) == victim
        assert user_of(victim).is_proven and user_of(squatter) is None

    @pytest.mark.parametrize("what", ["form", "step", "code"])
    def test_what_was_left_half_done_stops_no_purge(self, confirmed, what):
        nadia = register()
        with time_machine.travel(clock.now() + registrations.LIFETIME + timedelta(minutes=1)):
            _leave_half_done(nadia, what)
            registrations.purge()
        assert user_of(nadia) is None

    def test_every_table_of_people_is_removed_with_a_registration_or_needs_a_proof(self):
        of_people = {
            table.name
            for table in Model.metadata.tables.values()
            if any(key.column.table.name == "users" for key in table.foreign_keys)
        }
        removed = {table.__tablename__ for table in registrations.ROWS} | GOES_BY_ITSELF
        assert of_people == removed | PROVEN_ONLY and not removed & PROVEN_ONLY

    def test_an_account_never_leaves_this_way(self):
        assert refusal(registrations.leave, people.omar())[0] == "not_found"


class TestCorrection:
    def test_the_old_proof_ends_and_the_new_email_gets_one(self, confirmed):
        nadia = register("nadia", "nadai@example.com")
        proofs.ask(nadia, Asker())
        old = mailed("nadai@example.com")
        proofs.correct(nadia, " Nadia@example.com ", Asker())
        assert refusal(proofs.prove_by_link, old.token, password=people.PASSWORD)[0] == "not_found"
        assert proofs.prove(nadia, mailed("Nadia@example.com").code) == nadia
        assert (user_of(nadia).email, user_of(nadia).is_proven) == ("Nadia@example.com", True)

    def test_a_username_that_is_the_email_follows(self, confirmed):
        nadia = accounts.register(NewAccount("customer", "nadai@example.com", "nadai@example.com", people.PASSWORD))
        proofs.correct(nadia, "nadia@example.com", Asker())
        assert user_of(nadia).username == "nadia@example.com"

    def test_without_confirmation_a_free_email_counts_at_once_and_a_taken_one_is_refused(self):
        people.omar()
        invite()
        nadia = register("nadia", VICTIM)
        assert refusal(proofs.correct, nadia, "OMAR@example.com", Asker())[0] == "email_taken"
        assert refusal(proofs.correct, nadia, "no email", Asker())[0] == "bad_email"
        assert user_of(nadia).email == VICTIM
        proofs.correct(nadia, "nadia@example.com", Asker())
        assert user_of(nadia).is_proven

    def test_an_account_changes_its_email_another_way(self):
        assert refusal(proofs.correct, people.omar(), "x@example.com", Asker())[0] == "already_proven"
        assert refusal(proofs.ask, people.sara(), Asker())[0] == "already_proven"


class TestClaim:
    @pytest.mark.parametrize("mode", ["off", "required"])
    def test_a_merchant_who_opens_the_link_of_his_own_page_gets_no_account(self, app, mode):
        """The blocker: make a plan for a victim's email, open the link, set a password, have the victim's account."""
        opened = invite()
        customer_id = people.plan_of(opened.plan_id).customer_id
        if mode == "required":
            with confirming(app):
                attacker = invitations.begin_claim(
                    people.token_of(opened.plan_id), username="attacker", password=ATTACKERS
                )
        else:
            attacker = invitations.begin_claim(people.token_of(opened.plan_id), username="attacker", password=ATTACKERS)
        assert attacker != customer_id
        assert not user_of(customer_id).is_claimed
        actor = hats.actor_of(user_of(attacker), None)
        assert (actor.is_proven, actor.permissions) == (False, frozenset())
        with pytest.raises(NotFound):
            access.my_plan(actor, opened.plan_id)
        assert invitations.find(people.token_of(opened.plan_id))
        proofs.ask(attacker, Asker())
        delivery.drain()
        assert outbox()[-1].recipient.email == VICTIM

    def test_the_victim_registers_later_and_has_the_plan(self):
        opened = invite()
        attacker = invitations.begin_claim(people.token_of(opened.plan_id), username="attacker", password=ATTACKERS)
        victim = mailed_proofs.prove(register("victim", VICTIM))
        assert people.plan_of(opened.plan_id).customer_id == victim
        assert user_of(attacker) is None
        with pytest.raises(sessions.BadCredentials):
            sessions.authenticate("attacker", ATTACKERS)

    def test_a_revoked_link_keeps_nobody_from_registering(self):
        opened = invite()
        amal = people.plan_of(opened.plan_id).merchant_id
        invitations.revoke(opened.plan_id, "customer", actor=people.owner(amal))
        victim = register("victim", VICTIM)
        _, asker = a_browser(victim)
        proofs.ask(victim, asker)
        account = proofs.prove(victim, mailed(VICTIM).code, session_id=asker.session_id)
        assert people.plan_of(opened.plan_id).customer_id == account

    def test_the_record_keeps_its_row_and_its_plans_lose_their_links(self):
        opened = invite()
        record = people.plan_of(opened.plan_id).customer_id
        nadia = register("nadia", VICTIM)
        token, asker = a_browser(nadia)
        proofs.ask(nadia, asker)
        account = proofs.prove(nadia, mailed(VICTIM).code, session_id=asker.session_id)
        assert account == record != nadia
        assert sessions.find(token).user_id == record
        assert user_of(nadia) is None
        assert invitations.find(people.token_of(opened.plan_id)) is None
        assert db.session.scalars(select(Invitation.claimed_at).where(Invitation.kind == "customer")).one()
        assert people.pay(people.installments_of(opened.plan_id)[0].id, account).state == "succeeded"

    def test_a_business_that_was_registered_with_it_keeps_its_id(self):
        opened = invite()
        shop = register("shop", VICTIM, role="merchant", business_name="Shop", home_currency="SAR", time_zone="UTC")
        token, asker = a_browser(shop)
        proofs.ask(shop, asker)
        account = proofs.prove(shop, mailed(VICTIM).code, session_id=asker.session_id)
        assert account == people.plan_of(opened.plan_id).customer_id
        assert db.session.get_one(Merchant, shop).business_name == "Shop"
        rows = db.session.execute(select(Membership.user_id, Membership.role).where(Membership.merchant_id == shop))
        assert rows.all() == [(account, "owner")]
        session = sessions.find(token)
        assert (session.user_id, session.merchant_id) == (account, shop)
        assert hats.choose(session.user, hats.DEFAULT) == shop
        actor = hats.actor_of(session.user, shop)
        plans.open_plan(actor, NewPlan("x@example.com", 100, 1, people.today_of(shop)))

    def test_an_owner_never_becomes_the_customer_of_their_business(self):
        opened = invite()
        shop = register("shop", VICTIM, role="merchant", business_name="Shop", home_currency="SAR", time_zone="UTC")
        amal = people.plan_of(opened.plan_id).merchant_id
        db.session.add(Membership(user_id=shop, merchant_id=amal, role="owner", created_at=clock.now()))
        db.session.commit()
        proofs.ask(shop, Asker())
        assert refusal(proofs.prove, shop, mailed(VICTIM).code) == ("own_plan_of_business", "")

    def test_a_reset_for_a_registration_mails_a_proof_without_a_code(self, confirmed):
        register("nadia", VICTIM)
        for login in ("nadia", VICTIM):
            password_resets.ask(login, address="192.0.2.9")
            secrets = mailed(VICTIM)
            assert secrets.code == ""
        assert {mail.kind for mail in outbox()} == {"email_proof"}
        account = proofs.prove_by_link(secrets.token, new_password="eleven red kites")
        assert sessions.authenticate(VICTIM, "eleven red kites") == account

    def test_a_reset_looks_at_the_holder_of_the_email(self, confirmed):
        amal = mailed_proofs.prove(people.amal())
        register("attacker", "amal@example.com", ATTACKERS)
        password_resets.ask("amal@example.com")
        assert (outbox()[-1].kind, outbox()[-1].to_user_id) == ("password_reset", amal)
        assert password_resets.make(db.session.scalar(select(User.id).where(User.has_username("attacker")))) is None

    def test_signing_in_by_email_looks_at_the_holder_of_the_email(self, confirmed):
        amal = mailed_proofs.prove(people.amal())
        attacker = register("attacker", "amal@example.com", ATTACKERS)
        with pytest.raises(sessions.BadCredentials):
            sessions.authenticate("amal@example.com", ATTACKERS)
        assert sessions.authenticate("amal@example.com", people.PASSWORD) == amal
        assert sessions.authenticate("attacker", ATTACKERS) == attacker
