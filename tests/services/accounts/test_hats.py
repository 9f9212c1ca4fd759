"""Hats: the default of a sign-in, the switch, and what remains of a hat when a membership ends."""

import pytest
from sqlalchemy import delete, select

from portal.domain import permissions
from portal.domain.permissions import GIVEN_TO_KEYS
from portal.errors import Invalid, NotFound
from portal.extensions import db
from portal.models import ApiKey, Membership, Merchant, User
from portal.services.accounts import api_keys, hats, sessions, tokens
from portal.services.accounts.tokens import BadToken
from tests.fixtures import people

pytestmark = pytest.mark.usefixtures("context")


def session_of(token):
    db.session.rollback()
    return sessions.find(token)


def leave(user_id, merchant_id):
    db.session.execute(delete(Membership).where(Membership.user_id == user_id, Membership.merchant_id == merchant_id))
    db.session.commit()


def worn(session):
    return [(hat.merchant_id, hat.active) for hat in hats.of_session(session)]


class TestDefault:
    def hat(self, user_id, choice=hats.DEFAULT):
        db.session.rollback()
        return hats.choose(db.session.get_one(User, user_id), choice)

    def test_the_hat_of_registration(self):
        amal, badr, omar = people.amal(), people.badr(), people.omar()
        people.a_member("omar", amal, "viewer")
        people.a_member("amal", badr, "manager")
        assert self.hat(amal) == amal
        assert self.hat(omar) is None

    def test_else_the_only_business_else_the_customers_hat(self):
        amal, badr = people.amal(), people.badr()
        people.a_member("badr", amal, "manager")
        people.a_member("nour", badr, "owner")
        leave(badr, badr)
        assert self.hat(badr) == amal
        leave(badr, amal)
        assert self.hat(badr) is None

    def test_several_businesses_and_no_default_have_to_be_chosen(self):
        amal, badr, carla = people.amal(), people.badr(), people.a_merchant("carla")
        for merchant_id in (amal, badr):
            people.a_member("carla", merchant_id, "collector")
        people.a_member("nour", carla, "owner")
        leave(carla, carla)
        with pytest.raises(Invalid) as refused:
            self.hat(carla)
        assert refused.value.code == "choose_merchant"
        assert refused.value.facts["merchants"] == [
            {"id": amal, "name": "Amal's Bakery"},
            {"id": badr, "name": "Badr Electronics"},
        ]
        assert self.hat(carla, badr) == badr
        assert self.hat(carla, None) is None
        assert session_of(sessions.start(carla)).merchant_id is None

    def test_a_business_of_others_is_unknown(self):
        amal, badr = people.amal(), people.badr()
        for choice in (badr, 10**9):
            with pytest.raises(Invalid) as refused:
                self.hat(amal, choice)
            assert refused.value.code == "unknown_merchant"


class TestSession:
    def test_a_session_starts_under_the_default_hat_and_switches(self):
        amal = people.amal()
        token = sessions.start(amal)
        assert session_of(token).merchant_id == amal
        hats.switch(session_of(token).id, None)
        assert session_of(token).merchant_id is None
        hats.switch(session_of(token).id, amal)
        assert session_of(token).merchant_id == amal

    def test_nobody_switches_to_the_business_of_others(self):
        amal, badr = people.amal(), people.badr()
        token = sessions.start(amal)
        for other in (badr, 10**9):
            with pytest.raises(NotFound):
                hats.switch(session_of(token).id, other)
        assert session_of(token).merchant_id == amal

    def test_the_end_of_a_membership_takes_its_hat_off(self):
        amal = people.amal()
        omar = people.a_member("omar", amal, "manager")
        token = sessions.start(omar)
        hats.switch(session_of(token).id, amal)
        session = session_of(token)
        assert hats.actor_of(session.user, session.merchant_id) == permissions.member(omar, amal, "manager")
        leave(omar, amal)
        session = session_of(token)
        assert hats.actor_of(session.user, session.merchant_id) == permissions.customer(omar)

    def test_a_changed_role_counts_at_once(self):
        amal = people.amal()
        omar = people.a_member("omar", amal, "manager")
        token = sessions.start(omar)
        hats.switch(session_of(token).id, amal)
        db.session.get_one(Membership, (omar, amal)).role = "viewer"
        db.session.commit()
        session = session_of(token)
        assert hats.actor_of(session.user, session.merchant_id) == permissions.member(omar, amal, "viewer")

    def test_the_hats_are_the_businesses_and_the_customers_for_people_who_owe_or_registered_so(self):
        amal, badr = people.amal(), people.badr()
        token = sessions.start(amal)
        assert worn(session_of(token)) == [(amal, True)]
        people.a_plan(badr, "amal@example.com", total=10_000)
        assert worn(session_of(token)) == [(amal, True), (None, False)]
        people.a_member("omar", amal, "viewer")
        omar = db.session.scalar(select(User.id).where(User.username == "omar"))
        assert worn(session_of(sessions.start(omar))) == [(amal, False), (None, True)]
        assert worn(session_of(sessions.start(people.an_operator()))) == []


class TestToken:
    def actor(self, token):
        db.session.rollback()
        return tokens.actor_of(tokens.find(token))

    def test_a_token_has_one_hat_and_its_successors_keep_it(self):
        amal = people.amal()
        omar = people.a_member("omar", amal, "collector")
        pair = tokens.start(omar, amal)
        assert self.actor(pair.access) == permissions.member(omar, amal, "collector")
        assert self.actor(tokens.refresh(pair.refresh).access) == permissions.member(omar, amal, "collector")
        assert self.actor(tokens.start(omar).access) == permissions.customer(omar)
        assert self.actor(tokens.start(amal, None).access) == permissions.customer(amal)
        olga = people.an_operator()
        assert self.actor(tokens.start(olga).access) == permissions.operator(olga)

    def test_the_end_of_a_membership_ends_the_tokens_of_its_hat(self):
        amal = people.amal()
        omar = people.a_member("omar", amal, "collector")
        pair, other = tokens.start(omar, amal), tokens.start(omar, None)
        leave(omar, amal)
        for act, token in ((tokens.find, pair.access), (tokens.refresh, pair.refresh)):
            with pytest.raises(BadToken):
                act(token)
        assert self.actor(other.access) == permissions.customer(omar)


class TestKey:
    def actor(self, token):
        db.session.rollback()
        return api_keys.actor_of(api_keys.find(token))

    def test_a_key_belongs_to_the_business_and_names_its_maker(self):
        amal = people.amal()
        nour = people.a_member("nour", amal, "owner")
        token = api_keys.create(permissions.member(nour, amal, "owner"), name="Till", given=GIVEN_TO_KEYS)
        row = db.session.scalars(select(ApiKey)).one()
        assert (row.merchant_id, row.created_by, row.maker_role) == (amal, nour, "owner")
        assert self.actor(token) == permissions.key(row.id, nour, amal, given=GIVEN_TO_KEYS, roles=["owner"])

    def test_a_key_follows_its_makers_role_down_and_outlives_them(self):
        amal = people.amal()
        nour = people.a_member("nour", amal, "owner")
        token = api_keys.create(permissions.member(nour, amal, "owner"), name="Till", given=GIVEN_TO_KEYS)
        db.session.get_one(Membership, (nour, amal)).role = "collector"
        db.session.commit()
        assert self.actor(token).permissions == permissions.OF_ROLE["collector"]
        leave(nour, amal)
        assert self.actor(token).permissions == permissions.SELL


def test_ids_of_accounts_and_businesses_never_meet():
    amal = people.amal()
    db.session.rollback()
    second = Merchant(business_name="Second", home_currency="SAR", time_zone="UTC", updated_at=db.func.now())
    owner = Membership(user_id=amal, merchant=second, role="owner", created_at=db.func.now())
    db.session.add_all([second, owner])
    db.session.commit()
    omar = people.omar()
    assert amal < second.id < omar
    assert db.session.get(Merchant, omar) is None
