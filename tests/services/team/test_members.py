"""Members of a team: roles, removal, hand-over, leaving, and what ends with a membership."""

import threading

import pytest
from sqlalchemy import select, text

from portal.domain import permissions
from portal.domain.permissions import GIVEN_TO_KEYS
from portal.errors import Forbidden, Invalid, NotFound, Refused
from portal.extensions import db
from portal.models import ApiKey, Membership, TeamInvitation
from portal.services.accounts import accounts, api_keys, hats, sessions, tokens
from portal.services.accounts.merchant_settings import Settings
from portal.services.accounts.tokens import BadToken
from portal.services.adjustments import credits
from portal.services.mail import delivery
from portal.services.operations import account_deactivations
from portal.services.payments import manual_payments, refunds
from portal.services.plans import plans
from portal.services.plans.plans import NewPlan
from portal.services.privacy import erasures
from portal.services.team import invitations, members
from tests.fixtures import operations, people
from tests.fixtures.concurrency import at_once
from tests.fixtures.mails import text_of

pytestmark = pytest.mark.usefixtures("context")


def team_of(merchant_id):
    """Role by person."""
    db.session.rollback()
    rows = db.session.execute(select(Membership.user_id, Membership.role).where(Membership.merchant_id == merchant_id))
    return {row.user_id: row.role for row in rows}


def change(user_id, merchant_id, role, limit=None, by=None):
    actor = permissions.member(by or merchant_id, merchant_id, "owner")
    members.change(user_id, actor=actor, role=role, refund_limit=limit)


def subjects(catcher):
    delivery.drain()
    return [(mail["To"], mail["Subject"]) for mail in catcher.mails]


class TestRoles:
    def test_another_role_counts_at_once_and_is_told_by_mail(self, amal, catcher):
        sara = people.a_member("sara", amal, "viewer")
        token = tokens.start(sara, amal)
        change(sara, amal, "manager", limit=300_00)
        assert tokens.actor_of(tokens.find(token.access)) == permissions.member(sara, amal, "manager")
        assert subjects(catcher) == [("sara@example.com", "Your role at Amal's Bakery has changed")]
        assert "amal gave you another role at Amal's Bakery: Manager." in text_of(catcher.mails[0]).replace("\n", " ")
        assert db.session.get_one(Membership, (sara, amal)).refund_limit == 300_00

    def test_the_same_role_and_an_own_change_are_told_to_nobody(self, amal, catcher):
        sara = people.a_member("sara", amal, "owner")
        change(sara, amal, "owner", limit=1)
        change(amal, amal, "manager")
        assert team_of(amal) == {amal: "manager", sara: "owner"}
        assert subjects(catcher) == []

    def test_the_last_owner_keeps_the_role_and_the_membership(self, amal):
        people.a_member("sara", amal, "manager")
        for act in (
            lambda: change(amal, amal, "manager"),
            lambda: members.remove(amal, actor=people.owner(amal), revoke_keys=False),
            lambda: members.leave(amal, amal),
        ):
            with pytest.raises(Refused) as refused:
                act()
            assert refused.value.code == "last_owner"
        assert team_of(amal)[amal] == "owner"

    def test_two_owners_who_leave_at_once_leave_one(self, app, amal):
        sara = people.a_member("sara", amal, "owner")
        results = at_once(app, [lambda: members.leave(amal, amal), lambda: members.leave(sara, amal)])
        assert sorted(getattr(result, "code", "left") for result in results) == ["last_owner", "left"]
        assert list(team_of(amal).values()) == ["owner"]

    def test_a_role_that_does_not_exist_and_a_limit_that_is_no_amount_are_refused(self, amal):
        sara = people.a_member("sara", amal, "viewer")
        for role, limit in (("boss", None), ("operator", None), ("viewer", -1), ("viewer", 10**16)):
            with pytest.raises(Invalid):
                change(sara, amal, role, limit)
        assert team_of(amal)[sara] == "viewer"

    def test_an_owner_whose_account_is_deactivated_counts_as_none(self, amal):
        """An operator deactivated the other owner, who can't sign in: the business would have nobody."""
        sara = people.a_member("sara", amal, "owner")
        account_deactivations.deactivate(sara, actor=operations.olga(), reason="Stolen")
        for act in (
            lambda: members.leave(amal, amal),
            lambda: change(amal, amal, "manager"),
            lambda: members.hand_over(sara, actor=people.owner(amal)),
        ):
            with pytest.raises(Refused, match="last_owner"):
                act()
        assert [reason.about for reason in erasures.deferrals(amal)] == ["last_owner"]
        members.remove(sara, actor=people.owner(amal), revoke_keys=False)
        assert team_of(amal) == {amal: "owner"}

    def test_members_of_others_are_not_there(self, amal):
        badr = people.badr()
        with pytest.raises(NotFound):
            change(badr, amal, "viewer")
        with pytest.raises(NotFound):
            members.remove(badr, actor=people.owner(amal), revoke_keys=True)
        with pytest.raises(NotFound):
            members.leave(badr, amal)


class TestOwnersAreNoCustomers:
    def test_a_member_with_an_open_plan_becomes_no_owner(self, amal, omar):
        people.a_member("omar", amal, "manager")
        people.a_plan(amal)
        for act in (lambda: change(omar, amal, "owner"), lambda: members.hand_over(omar, actor=people.owner(amal))):
            with pytest.raises(Refused) as refused:
                act()
            assert (refused.value.code, refused.value.about) == ("owes_the_business", "member")
        assert team_of(amal) == {amal: "owner", omar: "manager"}

    def test_once_the_plan_is_closed_the_member_may_own_the_business(self, amal, omar):
        people.a_member("omar", amal, "manager")
        plan_id = people.a_plan(amal, total=10_00, count=1)
        people.pay(people.installments_of(plan_id)[0].id, omar)
        change(omar, amal, "owner")
        assert team_of(amal)[omar] == "owner"
        with pytest.raises(Invalid) as refused:
            people.a_plan(amal)
        assert refused.value.code == "not_a_customer"

    def test_a_plan_and_a_promotion_at_once_never_make_an_owner_who_owes(self, app, amal, omar):
        people.a_member("omar", amal, "manager")
        new = NewPlan("omar@example.com", 10_00, 1, people.today_of(amal))
        results = at_once(app, [lambda: plans.open_plan(people.owner(amal), new), lambda: change(omar, amal, "owner")])
        db.session.rollback()
        codes = {getattr(result, "code", "done") for result in results}
        assert codes in ({"done", "not_a_customer"}, {"done", "owes_the_business"})


class TestRemoval:
    def test_every_sign_in_to_the_business_ends_in_the_same_commit(self, amal, catcher):
        sara = people.a_member("sara", amal, "manager")
        session, pair, own = sessions.start(sara), tokens.start(sara, amal), tokens.start(sara, None)
        hats.switch(sessions.find(session).id, amal)
        members.remove(sara, actor=people.owner(amal), revoke_keys=False)
        session_row = sessions.find(session)
        assert hats.actor_of(session_row.user, session_row.merchant_id) == permissions.customer(sara)
        for act, token in ((tokens.find, pair.access), (tokens.refresh, pair.refresh)):
            with pytest.raises(BadToken):
                act(token)
        assert tokens.actor_of(tokens.find(own.access)) == permissions.customer(sara)
        assert subjects(catcher) == [("sara@example.com", "You are no longer in the team of Amal's Bakery")]

    @pytest.mark.parametrize("revoke_keys", [True, False])
    def test_keys_go_on_unless_the_owner_revokes_them(self, amal, revoke_keys):
        sara = people.a_member("sara", amal, "owner")
        key = api_keys.create(permissions.member(sara, amal, "owner"), name="Till", given=GIVEN_TO_KEYS)
        mine = api_keys.create(people.owner(amal), name="Shop", given=GIVEN_TO_KEYS)
        members.remove(sara, actor=people.owner(amal), revoke_keys=revoke_keys)
        if revoke_keys:
            with pytest.raises(BadToken):
                api_keys.find(key)
        else:
            assert api_keys.actor_of(api_keys.find(key)).permissions == permissions.SELL
        assert api_keys.find(mine).state == "active"

    def test_the_invitations_of_a_removed_owner_end(self, amal):
        sara = people.a_member("sara", amal, "owner")
        invitations.invite(permissions.member(sara, amal, "owner"), email="accomplice@example.com", role="owner")
        invitations.invite(people.owner(amal), email="friend@example.com", role="viewer")
        members.remove(sara, actor=people.owner(amal), revoke_keys=False)
        open_ones = select(TeamInvitation.email).where(TeamInvitation.ended_at.is_(None))
        assert db.session.scalars(open_ones).all() == ["friend@example.com"]

    @pytest.mark.parametrize("act", ["record", "credit", "refund", "open a plan", "settings", "key", "invite"])
    def test_an_act_that_waits_during_the_removal_is_refused(self, app, amal, omar, act):
        """The actor was read while the member still belonged to the business."""
        plan_id = people.a_plan(amal)
        people.pay(people.installments_of(plan_id)[0].id, omar)
        sara = people.a_member("sara", amal, "owner")
        actor, today = permissions.member(sara, amal, "owner"), people.today_of(amal)
        call = {
            "record": lambda: manual_payments.record(
                plan_id, actor=actor, amount=1_00, method="cash", received_on=today
            ),
            "credit": lambda: credits.credit(plan_id, actor=actor, amount=1, how="last", reason="Sorry"),
            "refund": lambda: refunds.refund(plan_id, actor=actor, amount=1, reason="Sorry"),
            "open a plan": lambda: plans.open_plan(actor, NewPlan("x@example.com", 10_00, 1, today)),
            "settings": lambda: accounts.update_merchant(
                actor, Settings(business_name="X", time_zone="UTC", grace_days=1, home_currency="SAR")
            ),
            "key": lambda: api_keys.create(actor, name="Till"),
            "invite": lambda: invitations.invite(actor, email="new@example.com", role="viewer"),
        }[act]
        removing, may_commit = threading.Event(), threading.Event()

        def remove():
            with db.engine.begin() as connection:
                connection.execute(text("SELECT FROM merchants WHERE id = :id FOR NO KEY UPDATE"), {"id": amal})
                connection.execute(text("DELETE FROM memberships WHERE user_id = :id"), {"id": sara})
                removing.set()
                may_commit.wait(30)

        def during():
            removing.wait(30)
            threading.Timer(0.2, may_commit.set).start()
            return call()

        _, result = at_once(app, [remove, during])
        assert isinstance(result, Forbidden), result

    def test_a_refund_in_flight_of_a_removed_member_is_settled(self, amal, omar):
        plan_id = people.a_plan(amal)
        people.pay(people.installments_of(plan_id)[0].id, omar, "card_refund_lost_done")
        sara = people.a_member("sara", amal, "manager")
        actor = permissions.member(sara, amal, "manager")
        (refund_id,) = refunds.refund(plan_id, actor=actor, amount=10_00, reason="Broken").refund_ids
        members.remove(sara, actor=people.owner(amal), revoke_keys=False)
        refunds.settle_refund(refund_id)
        row = "SELECT state, created_by FROM refunds WHERE id = :id"
        assert db.session.execute(text(row), {"id": refund_id}).one() == ("succeeded", sara)

    def test_a_revoked_key_that_waits_is_refused(self, amal, omar):
        plan_id = people.a_plan(amal)
        token = api_keys.create(people.owner(amal), name="Till", given=GIVEN_TO_KEYS)
        actor = api_keys.actor_of(api_keys.find(token))
        api_keys.revoke(db.session.scalars(select(ApiKey.id)).one(), actor=people.owner(amal))
        with pytest.raises(Forbidden):
            credits.credit(plan_id, actor=actor, amount=1, how="last", reason="Sorry")


def test_a_business_is_handed_over_in_one_commit(amal, catcher):
    sara = people.a_member("sara", amal, "viewer")
    members.hand_over(sara, actor=people.owner(amal))
    assert team_of(amal) == {amal: "manager", sara: "owner"}
    assert subjects(catcher) == [("sara@example.com", "Your role at Amal's Bakery has changed")]
    with pytest.raises(Forbidden):
        members.hand_over(sara, actor=people.owner(amal))


def test_an_owner_hands_over_to_nobody_and_not_to_themselves(amal):
    for user_id in (amal, 10**9):
        with pytest.raises(NotFound):
            members.hand_over(user_id, actor=people.owner(amal))


def test_a_member_leaves_and_the_owners_are_told(amal, catcher):
    sara, nour = people.a_member("sara", amal, "collector"), people.a_member("nour", amal, "owner")
    members.leave(sara, amal)
    assert team_of(amal) == {amal: "owner", nour: "owner"}
    left = "sara left the team of Amal's Bakery"
    assert sorted(subjects(catcher)) == [("amal@example.com", left), ("nour@example.com", left)]
