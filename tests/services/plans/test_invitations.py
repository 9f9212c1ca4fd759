"""The links with which Nadia, a customer without an account, sees Amal's plan, and with which she claims her record."""

import time
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import func, select, text

from portal.errors import Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import Event, Invitation, User
from portal.reports.plans import links
from portal.services.accounts import accounts, sessions
from portal.services.accounts.accounts import NewAccount
from portal.services.plans import invitations, plans
from portal.services.plans.plans import NewPlan
from tests.fixtures import mails, people, proofs
from tests.fixtures.concurrency import at_once

pytestmark = pytest.mark.usefixtures("context")


def invite(merchant_id, email="nadia@example.com"):
    """The id of a new plan for this email, and the token of its link."""
    opened = plans.open_plan(people.owner(merchant_id), NewPlan(email, 60_00, 3, people.today_of(merchant_id)))
    return opened.plan_id, people.token_of(opened.plan_id)


def kinds_of(plan_id):
    """The kinds of the plan's live links."""
    newest = links.links_of(people.plan_of(plan_id))
    return [kind for kind, link in (("customer", newest.customer), ("pay", newest.pay)) if links.works(link)]


claim = proofs.claim


def test_the_link_opens_its_plan_and_no_other():
    amal = people.amal()
    plan_id, token = invite(amal)
    other_id, other = invite(amal, "huda@example.com")
    assert invitations.find(token).plan_id == plan_id
    assert invitations.find(other).plan_id == other_id
    for wrong in ("", token[:-1], token.swapcase(), "x" * 5000, "\x00", "\ud800"):
        assert invitations.find(wrong) is None


def test_the_row_holds_a_digest_of_the_token():
    _, token = invite(people.amal())
    row = db.session.scalars(select(Invitation).where(Invitation.kind == "customer")).one()
    assert len(row.token_hash) == 32
    assert token.encode() not in row.token_hash
    assert len(token) >= 43


def test_nadia_claims_her_record_signs_in_and_pays_her_plan():
    plan_id, token = invite(people.amal())
    nadia = claim(token)
    assert sessions.authenticate("nadia", people.PASSWORD) == nadia
    assert sessions.authenticate("nadia@example.com", people.PASSWORD) == nadia
    assert people.plan_of(plan_id).customer_id == nadia
    assert people.pay(people.installments_of(plan_id)[0].id, nadia).state == "succeeded"
    assert "customer.claimed" in db.session.scalars(select(Event.kind)).all()


def test_a_claim_ends_all_links_of_the_customer():
    amal, badr = people.amal(), people.badr()
    tokens = [invite(merchant)[1] for merchant in (amal, amal, badr)]
    _, other = invite(amal, "huda@example.com")
    claim(tokens[0])
    assert [invitations.find(token) for token in tokens] == [None] * 3
    assert invitations.find(other)
    for token in tokens:
        with pytest.raises(NotFound):
            claim(token, "somebody")


def test_a_plan_after_the_claim_has_no_link():
    amal = people.amal()
    claim(invite(amal)[1])
    assert invite(amal)[1] is None


def test_renewing_creates_a_fresh_link_and_ends_the_old_one():
    amal = people.amal()
    plan_id, old = invite(amal)
    new = people.mailed_again(plan_id)
    assert invitations.find(old) is None
    assert invitations.find(new).plan_id == plan_id
    assert claim(new)


def test_the_pay_link_claims_nothing():
    """The business sees it on the plan's page. Neither a renewal nor a payment changes what it permits."""
    amal = people.amal()
    plan_id, mailed = invite(amal)
    pay_link = people.token_of(plan_id, "pay")
    assert pay_link != mailed
    with pytest.raises(NotFound):
        claim(pay_link)
    people.pay(people.installments_of(plan_id)[0].id, people.plan_of(plan_id).customer_id)
    invitations.renew_pay_link(plan_id, actor=people.owner(amal))
    renewed = people.token_of(plan_id, "pay")
    assert renewed != pay_link and invitations.find(pay_link) is None
    with pytest.raises(NotFound):
        claim(renewed)
    assert not people.plan_of(plan_id).customer.is_claimed
    assert claim(mailed)


def test_renewing_or_revoking_a_link_leaves_the_other_kind():
    amal = people.amal()
    plan_id, mailed = invite(amal)
    invitations.renew_pay_link(plan_id, actor=people.owner(amal))
    assert people.token_of(plan_id) == mailed and kinds_of(plan_id) == ["customer", "pay"]
    pay_link = people.token_of(plan_id, "pay")
    people.mailed_again(plan_id)
    assert people.token_of(plan_id, "pay") == pay_link and kinds_of(plan_id) == ["customer", "pay"]
    invitations.revoke(plan_id, "customer", actor=people.owner(amal))
    assert kinds_of(plan_id) == ["pay"]
    invitations.revoke(plan_id, "pay", actor=people.owner(amal))
    assert kinds_of(plan_id) == []


def test_renewing_the_pay_link_mails_nothing():
    amal = people.amal()
    plan_id, _ = invite(amal)
    invitations.renew_pay_link(plan_id, actor=people.owner(amal))
    assert [mail.kind for mail in mails.outbox()] == ["invitation"]


def test_only_the_plans_merchant_renews_or_revokes():
    amal, badr = people.amal(), people.badr()
    plan_id, token = invite(amal)
    for plan, merchant in ((plan_id, badr), (10**6, amal)):
        actor = people.owner(merchant)
        for change in (
            lambda plan=plan, actor=actor: invitations.renew_pay_link(plan, actor=actor),
            lambda plan=plan, actor=actor: invitations.mail_again(plan, actor=actor),
            lambda plan=plan, actor=actor: invitations.revoke(plan, "pay", actor=actor),
            lambda plan=plan, actor=actor: invitations.revoke(plan, "customer", actor=actor),
        ):
            with pytest.raises(NotFound):
                change()
    assert invitations.find(token)
    assert invitations.find(people.token_of(plan_id, "pay"))


def test_a_revoked_link_is_invalid_and_may_be_renewed():
    amal = people.amal()
    plan_id, token = invite(amal)
    for _ in range(2):
        invitations.revoke(plan_id, "customer", actor=people.owner(amal))
    assert invitations.find(token) is None
    with pytest.raises(NotFound):
        claim(token)
    kinds = db.session.scalars(select(Event.kind).order_by(Event.id)).all()
    assert kinds == ["plan.opened", "invitation.created", "invitation.revoked"]
    assert invitations.find(people.mailed_again(plan_id))


def test_a_claimed_customer_is_not_invited_again():
    amal = people.amal()
    plan_id, token = invite(amal)
    claim(token)
    with pytest.raises(Refused) as refused:
        invitations.mail_again(plan_id, actor=people.owner(amal))
    assert refused.value.code == "already_claimed"


def test_a_link_lapses_after_thirty_days():
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    with time_machine.travel(now, tick=False) as clock:
        amal = people.amal()
        plan_id, token = invite(amal)
        clock.move_to(now + timedelta(days=30, seconds=-1))
        assert invitations.find(token)
        clock.move_to(now + timedelta(days=30))
        db.session.rollback()
        assert invitations.find(token) is None
        with pytest.raises(NotFound):
            claim(token)
        fresh = people.mailed_again(plan_id)
        clock.move_to(now + timedelta(days=59))
        assert claim(fresh)


def test_a_bad_username_or_password_leaves_the_link_valid(subtests):
    people.omar()
    _, token = invite(people.amal())
    for username, password, fault in (
        ("", people.PASSWORD, ("username", "required")),
        ("na dia", people.PASSWORD, ("username", "bad_username")),
        ("na\x00dia", people.PASSWORD, ("username", "bad_username")),
        ("OMAR", people.PASSWORD, ("username", "username_taken")),
        ("omar@example.com", people.PASSWORD, ("username", "username_is_email")),
        ("nadia", "short", ("password", "password_too_short")),
        ("nadia", "nadia@example.com", ("password", "password_is_name")),
    ):
        with subtests.test(username=username):
            with pytest.raises(Invalid) as refused:
                claim(token, username, password)
            assert [(refusal.field, refusal.code) for refusal in refused.value.faults] == [fault]
            assert invitations.find(token)


def test_the_username_may_be_the_customers_own_email():
    assert claim(invite(people.amal())[1], "Nadia@example.com")


def test_emails_that_differ_in_the_case_of_a_letter_beyond_ascii_are_two_accounts():
    """Each may be the username of its own account and of no other."""
    _, token = invite(people.amal(), "νικος@example.com")
    accounts.register(NewAccount("customer", "ΝΙΚΟΣ@example.com", "ΝΙΚΟΣ@example.com", people.PASSWORD))
    with pytest.raises(Invalid) as refused:
        claim(token, "ΝΙΚΟΣ@example.com")
    assert refused.value.code == "username_is_email"
    assert claim(token, "νικος@example.com")


def test_of_claims_at_once_one_succeeds(app):
    """The others end before their registration, before their mail or before their code."""
    _, token = invite(people.amal())
    results = at_once(app, [lambda n=n: claim(token, f"nadia{n}") for n in range(5)])
    names = sorted(type(result).__name__ for result in results)
    assert names.count("int") == 1, results
    assert set(names) <= {"int", "NotFound", "Refused", "Invalid", "AssertionError"}, results
    db.session.rollback()
    assert db.session.scalar(select(func.count(User.id)).where(User.username.like("nadia%"))) == 1


def test_of_two_claims_with_the_same_username_at_once_one_succeeds(app):
    amal = people.amal()
    tokens = [invite(amal, email)[1] for email in ("nadia@example.com", "huda@example.com")]
    results = at_once(app, [lambda token=token: claim(token, "same") for token in tokens])
    assert sorted(type(result).__name__ for result in results) == ["Invalid", "int"]
    assert db.session.scalar(select(func.count(User.id)).where(User.username == "same")) == 1


@pytest.mark.parametrize("change", ["a new plan", "a renewed link"])
def test_a_claim_beside_a_new_link_leaves_no_live_link_of_a_claimed_record(app, change):
    """A lock on the table `invitations` holds the new link back until the claim has begun."""
    amal = people.amal()
    plan_id, token = invite(amal)
    changes = {
        "a new plan": lambda: invite(amal),
        "a renewed link": lambda: invitations.mail_again(plan_id, actor=people.owner(amal)),
    }
    with db.engine.connect() as holder:
        holder.execute(text("LOCK TABLE invitations IN EXCLUSIVE MODE"))

        def claim_meanwhile():
            waiting_for_a_lock(1)
            return claim(token)

        def release():
            waiting_for_a_lock(2)
            holder.rollback()

        link, claimed, _ = at_once(app, [changes[change], claim_meanwhile, release])
    assert not isinstance(link, Exception)
    db.session.rollback()
    live = select(Invitation).where(Invitation.revoked_at.is_(None), Invitation.claimed_at.is_(None))
    claimed_record = db.session.get_one(User, people.plan_of(plan_id).customer_id).is_claimed
    assert claimed_record is isinstance(claimed, int)
    assert not (claimed_record and db.session.scalars(live).all())


def waiting_for_a_lock(count):
    """Return when this many connections of this database wait for a lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with db.engine.connect() as connection:
        for _ in range(100):
            if connection.execute(text(waiting)).scalar_one() >= count:
                return
            connection.rollback()
            time.sleep(0.01)
